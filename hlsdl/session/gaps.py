"""Gaps: the segments that a bundle does without, because its source had lost them and whoever fetched it allowed that.

They are written down when the bundle is sealed, so that what is added later need not have them either, and a repair
knows what to ask for once more. What the source itself declares absent (EXT-X-GAP) is of the plan, and not of these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hlsdl.bundle.manifest import Manifest
from hlsdl.planning.plan import DownloadPlan

GAPS = "gaps"
"""In the manifest's `choices`: the paths of those segments."""


def gaps_in(manifest: Manifest | None) -> frozenset[str]:
    """The paths of segments that a bundle does without."""
    named = manifest.choices.get(GAPS, ()) if manifest is not None else ()
    return frozenset(one for one in named if isinstance(one, str)) if isinstance(named, (list, tuple)) else frozenset()


def gaps_of(manifest: Manifest | None, plan: DownloadPlan, stored: Collection[str]) -> frozenset[str]:
    """Those of them that are planned segments and not stored."""
    known = gaps_in(manifest)
    if not known:
        return known
    return frozenset(
        one.path for one in plan.resources if one.kind == "segment" and one.path in known and one.path not in stored
    )


def choices_of_gaps(gaps: Collection[str]) -> Mapping[str, Any]:
    """What a manifest says of them."""
    return {GAPS: sorted(gaps)} if gaps else {}


def told_of(gaps: Collection[str]) -> str:
    """One sentence on them."""
    if len(gaps) == 1:
        return "a segment was lost by the origin and is a gap: `hlsdl repair` asks for it once more"
    return f"{len(gaps)} segments were lost by the origin and are gaps: `hlsdl repair` asks for them once more"
