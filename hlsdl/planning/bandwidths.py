"""What of a declared bandwidth is a stream's own, for estimates.

BANDWIDTH and AVERAGE-BANDWIDTH are those of everything that plays together: the variant's playlist and one rendition
of each group that it names (RFC 8216 §4.3.4.2). Nobody declares what a rendition takes, so its share is a guess; but
variants with one URI differ in nothing else, so their differences are not.
"""

from __future__ import annotations

from collections.abc import Callable

from hlsdl.planning.selection import TYPICAL_BANDWIDTH, StreamSource
from hlsdl.playlist.models import MultivariantPlaylist, Variant

Bits = Callable[[Variant], int]
Lines = list[Variant]
"""The variants of one URI whose sound is a stream apart, the one that takes least first."""


def own_bandwidth(source: StreamSource, master: MultivariantPlaylist | None) -> int:
    """Bits per second that the playlist declares for this stream, without what is stored beside it; 0: none."""
    if master is not None:
        bits = _measure(master)
        for lines in (found := _lines(master, bits)):
            if lines[0].uri == source.url:
                return bits(lines[0]) - _sound_of(lines[0].audio, found, bits)
    return source.average_bandwidth or source.bandwidth


def usual_bandwidth(source: StreamSource, master: MultivariantPlaylist | None) -> int:
    """A guess at the bits per second of a stream for which nothing is declared."""
    if source.kind != "audio" or master is None:
        return source.typical_bandwidth
    bits = _measure(master)
    return _sound_of(source.group, _lines(master, bits), bits)


def _sound_of(group: str | None, found: list[Lines], bits: Bits) -> int:
    """What a rendition of this group takes: a guess where the sound takes least, and what its variants have more."""
    usual = TYPICAL_BANDWIDTH["audio"]
    shares = (
        min(usual, bits(lines[0]) // 2) + bits(one) - bits(lines[0])
        for lines in found
        for one in lines
        if one.audio == group
    )
    return min(shares, default=usual)


def _measure(master: MultivariantPlaylist) -> Bits:
    """The bits per second of a variant: on average where every one says it, so that they can be compared."""
    if all(one.average_bandwidth for one in master.variants):
        return lambda one: one.average_bandwidth or 0
    return lambda one: one.bandwidth


def _lines(master: MultivariantPlaylist, bits: Bits) -> list[Lines]:
    by_uri: dict[str, Lines] = {}
    groups = {one.audio for one in master.variants if one.audio is not None}
    apart: dict[str | None, set[str | None]] = {
        group: {one.uri for one in master.group("AUDIO", group)} - {None} for group in groups
    }
    for one in master.variants:
        renditions = apart.get(one.audio)
        # Where the sound is part of the variant, or is the variant, nothing of the bandwidth is another stream's.
        if renditions and one.uri not in renditions and bits(one):
            by_uri.setdefault(one.uri, []).append(one)
    return [sorted(lines, key=bits) for lines in by_uri.values()]
