"""Which streams of an unfinished bundle have come from a redundant copy, and not from where their playlist says.

That is written down before the first segment of it is stored: the next run cannot see it, and would go on at the first
place, which may have another encode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.writing import BundleWriter

COPIES = "copies"
"""In the manifest's `choices`: the ids of those streams."""


def from_copies(manifest: Manifest | None) -> frozenset[str]:
    """The streams of an unfinished bundle that came from a copy, as far as they have come."""
    if manifest is None or manifest.state == "complete":
        return frozenset()
    return manifest.texts_in(COPIES)


def choices_of_copies(before: Manifest | None) -> Mapping[str, Any]:
    """What a new manifest of the same bundle says of them."""
    copied = from_copies(before)
    return {COPIES: sorted(copied)} if copied else {}


def note_copy(writer: BundleWriter, stream: str) -> None:
    """Write down that what comes of a stream from now on comes from a copy; a sealed bundle knows its bytes."""
    manifest = writer.manifest
    if manifest is None or manifest.state == "complete" or stream in from_copies(manifest):
        return
    copied = sorted({*from_copies(manifest), stream})
    writer.save_manifest(replace(manifest, choices={**manifest.choices, COPIES: copied}))
