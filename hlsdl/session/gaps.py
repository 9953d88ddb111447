"""Gaps: the segments that a bundle does without, because its source had lost them and whoever fetched it allowed that.

They are written down when the bundle is sealed, so that what is added later need not have them either, and a repair
knows what to ask for once more. What the source itself declares absent (EXT-X-GAP) is of the plan, and not of these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hlsdl.bundle.manifest import GAPS, Manifest
from hlsdl.planning.plan import DownloadPlan


def gaps_of(manifest: Manifest | None, plan: DownloadPlan, stored: Collection[str]) -> frozenset[str]:
    """The paths of planned segments that are gaps, and are not stored since.

    A bundle that was sealed before they were written down has those that are not there, where these are as many as its
    manifest counts beyond those of the playlists.
    """
    if manifest is None:
        return frozenset()
    if GAPS in manifest.choices:
        named = manifest.gaps
        return frozenset(
            one.path for one in plan.resources if one.kind == "segment" and one.path in named and one.path not in stored
        )
    counted = {claim.id: claim.gaps for claim in manifest.streams}
    gaps: list[str] = []
    for stream in plan.streams if manifest.state == "complete" else ():
        lacking = [one.path for one in stream.resources if one.kind == "segment" and one.path not in stored]
        if len(lacking) == counted.get(stream.id, 0) - stream.gaps:
            gaps += lacking
    return frozenset(gaps)


def choices_of_gaps(gaps: Collection[str]) -> Mapping[str, Any]:
    """What a manifest says of them."""
    return {GAPS: sorted(gaps)} if gaps else {}


def told_of(gaps: Collection[str]) -> str:
    """One sentence on them."""
    if len(gaps) == 1:
        return "a segment was lost by the origin and is a gap: `hlsdl repair` asks for it once more"
    return f"{len(gaps)} segments were lost by the origin and are gaps: `hlsdl repair` asks for them once more"
