"""Variant lines for a bundle without any of its variants: of a film whose picture was taken out, the sound still plays.

A multivariant playlist needs variants (RFC 8216 §4.3.4.2), so a stored rendition stands in for one: the first line of
the source that names its group points to it, and says nothing of the picture any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hlsdl.planning.codecs import AUDIO_CODECS, TEXT_CODECS, four_characters
from hlsdl.playlist import lines
from hlsdl.playlist.models import MultivariantPlaylist, Rendition, Variant

OF_THE_PICTURE = (
    "RESOLUTION",
    "FRAME-RATE",
    "VIDEO-RANGE",
    "HDCP-LEVEL",
    "VIDEO",
    "CLOSED-CAPTIONS",
    "SUPPLEMENTAL-CODECS",
    "REQ-VIDEO-LAYOUT",
)
OF_THE_VARIANT = ("AVERAGE-BANDWIDTH", "SCORE", "STABLE-VARIANT-ID", "NAME")

Rates = Mapping[str, tuple[int, int]]
"""Peak and average bits per second of what is stored, by the URL of the media playlist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A rendition in the place of a variant."""

    variant: Variant
    rendition: Rendition


def stand_ins(master: MultivariantPlaylist, stored: Collection[str]) -> dict[int, StandIn]:
    """Which renditions stand in for variants when none of those is stored, by the variant's index.

    Args:
        master: the source.
        stored: URLs of the media playlists that are stored.
    """
    for kind in ("VIDEO", "AUDIO"):
        found: dict[str, StandIn] = {}
        for variant in master.variants:
            group = variant.video if kind == "VIDEO" else variant.audio
            members = [one for one in master.group(kind, group) if one.uri in stored]
            if group is not None and group not in found and members:
                first = min(members, key=lambda one: not one.default)
                found[group] = StandIn(variant=variant, rendition=first)
        if found:
            return {one.variant.index: one for one in found.values()}
    return {}


def stand_in_line(line: str, one: StandIn, rates: Rates) -> str:
    """The variant's line, saying what is true of the rendition."""
    gone = OF_THE_VARIANT + (OF_THE_PICTURE if one.rendition.type == "AUDIO" else ())
    for name in gone:
        line = lines.remove_attribute(line, name)
    rate = rates.get(one.rendition.uri or "")
    if rate is not None:
        line = lines.set_attribute(line, "BANDWIDTH", str(max(rate[0], 1)))
    if one.rendition.type != "AUDIO" or not one.variant.codecs:
        return line
    heard = [codec for codec in one.variant.codecs if four_characters(codec) in AUDIO_CODECS | TEXT_CODECS]
    if not heard:
        return lines.remove_attribute(line, "CODECS")
    return lines.set_attribute(line, "CODECS", f'"{",".join(heard)}"')
