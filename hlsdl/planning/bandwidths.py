"""What of a declared bandwidth is a stream's own, for estimates.

BANDWIDTH and AVERAGE-BANDWIDTH are those of everything that plays together: the variant's playlist and one rendition
of each group that it names (RFC 8216 §4.3.4.2). Nobody declares what a rendition takes, so its share is a guess; but
variants with one URI differ in nothing else, so their differences are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from hlsdl.planning.selection import TYPICAL_BANDWIDTH, StreamSource
from hlsdl.playlist.models import MultivariantPlaylist, Variant

Bits = Callable[[Variant], int]
Lines = list[Variant]
"""The variants of one URI whose sound is a stream apart, the one that takes least first."""


@dataclass(frozen=True, slots=True)
class Bandwidths:
    """What a multivariant playlist says of all its streams; one that there is not says nothing."""

    _own: Mapping[str, int]
    """By the URI of variants whose sound is a stream apart."""
    _sounds: Mapping[str | None, int]
    """By the group of renditions that are streams apart."""

    @classmethod
    def of(cls, master: MultivariantPlaylist | None) -> Self:
        """Look at every variant and rendition, once for all the streams of a plan."""
        if master is None:
            return cls({}, {})
        bits = _measure(master)
        found = _lines(master, bits)
        sounds = _sounds(found, bits)
        return cls({lines[0].uri: bits(lines[0]) - sounds[lines[0].audio] for lines in found}, sounds)

    def own(self, source: StreamSource) -> int:
        """Bits per second that are declared for this stream, without what is stored beside it; 0: none."""
        declared = self._own.get(source.url)
        return declared if declared is not None else source.average_bandwidth or source.bandwidth

    def usual(self, source: StreamSource) -> int:
        """A guess at the bits per second of a stream for which nothing is declared."""
        if source.kind != "audio":
            return source.typical_bandwidth
        return self._sounds.get(source.group, TYPICAL_BANDWIDTH["audio"])


def _sounds(found: list[Lines], bits: Bits) -> dict[str | None, int]:
    """What a rendition of each group takes: a guess where the sound takes least, and what its variants have more."""
    shares: dict[str | None, int] = {}
    for lines in found:
        least = min(TYPICAL_BANDWIDTH["audio"], bits(lines[0]) // 2)
        for one in lines:
            share = least + bits(one) - bits(lines[0])
            shares[one.audio] = min(share, shares.get(one.audio, share))
    return shares


def _measure(master: MultivariantPlaylist) -> Bits:
    """The bits per second of a variant: on average where every one says it, so that they can be compared."""
    if all(one.average_bandwidth for one in master.variants):
        return lambda one: one.average_bandwidth or 0
    return lambda one: one.bandwidth


def _lines(master: MultivariantPlaylist, bits: Bits) -> list[Lines]:
    by_uri: dict[str, Lines] = {}
    apart: dict[str | None, set[str]] = {}
    for rendition in master.renditions:
        if rendition.type == "AUDIO" and rendition.uri is not None:
            apart.setdefault(rendition.group, set()).add(rendition.uri)
    for one in master.variants:
        renditions = apart.get(one.audio)
        # Where the sound is part of the variant, or is the variant, nothing of the bandwidth is another stream's.
        if renditions and one.uri not in renditions and bits(one):
            by_uri.setdefault(one.uri, []).append(one)
    return [sorted(lines, key=bits) for lines in by_uri.values()]
