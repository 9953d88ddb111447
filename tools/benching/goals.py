"""Goals: the figures that hlsdl has to reach, beside those that were measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benching.figures import Figures, best_curl, middle, ratio

AT_MOST, AT_LEAST = "≤", "≥"


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure to reach."""

    name: str
    what: str
    sign: str
    wanted: float
    found: float
    unit: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether it is."""
        return self.found <= self.wanted if self.sign == AT_MOST else self.found >= self.wanted


def goals(figures: Figures) -> list[Goal]:
    """All goals that something was measured for."""
    return [
        *_large(figures),
        *_small(figures.cases.get("small")),
        *_far(figures),
        *_start_up(figures.start_up),
        *_memory(figures.memory),
        *_playlists(figures.playlists),
        *_instructions(figures.instructions),
    ]


def _large(figures: Figures) -> Iterator[Goal]:
    case = figures.cases.get("large")
    curl = best_curl(case) if case else None
    if not case or not curl or "hlsdl" not in case["results"]:
        return
    # Where client and server share two cores, there is less beside which to hash.
    wanted = 1.4 if figures.machine.get("cores", 0) <= 2 else 1.25
    yield Goal("P1", f"large segments: wall ÷ `{curl}`", AT_MOST, wanted, ratio(case, "hlsdl", curl) or 0)
    ours, theirs = middle(case, "hlsdl", "cpu"), middle(case, curl, "cpu")
    yield Goal("P1", f"large segments: CPU ÷ `{curl}`", AT_MOST, 2, (ours or 0) / (theirs or 1))


def _small(case: dict[str, Any] | None) -> Iterator[Goal]:
    if case is None:
        return
    found = ratio(case, "hlsdl", "aria2c")
    if found is not None:
        yield Goal("P2", "small segments: wall ÷ `aria2c -j16`", AT_MOST, 0.75, found)
    for peer, wanted in (("yt-dlp", 10), ("streamlink", 5)):
        found = ratio(case, peer, "hlsdl")
        if found is not None:
            yield Goal("P2", f"small segments: times as fast as {peer}", AT_LEAST, wanted, found)


def _far(figures: Figures) -> Iterator[Goal]:
    for name in ("far-large", "far-small"):
        case = figures.cases.get(name)
        curl = best_curl(case) if case else None
        found = ratio(case, curl, "hlsdl") if case and curl else None
        if case and found is not None:
            what = f"far away, {case['input']['title']}: share of the speed of `{curl}`, curl's best"
            yield Goal("P3", what, AT_LEAST, 0.9, found)


def _start_up(start_up: dict[str, Any]) -> Iterator[Goal]:
    if start_up:
        beside = f"(`python -c pass`: {start_up['python -c pass']['median']:.0f} ms)"
        yield Goal("P4", f"`hlsdl --help` {beside}", AT_MOST, 150, start_up["hlsdl --help"]["median"], " ms")
        yield Goal("P4", f"`import hlsdl` {beside}", AT_MOST, 60, start_up["import hlsdl"]["median"], " ms")


def _memory(memory: dict[str, Any]) -> Iterator[Goal]:
    huge, long, resume = memory.get("huge asset"), memory.get("long playlist"), memory.get("resume")
    if huge and "peak" in huge:
        what = f"peak memory, an asset of {huge['bytes'] / 1e9:.1f} GB"
        yield Goal("P5", what, AT_MOST, 120, huge["peak"] / 1e6, " MB")
    if long:
        what = f"peak memory, fetching {long['segments']:,} segments"
        yield Goal("P5", what, AT_MOST, 450, long["fetch"]["peak"] / 1e6, " MB")
    if resume:
        what = f"going on after {resume['segments']:,} finished segments"
        yield Goal("P5", what, AT_MOST, 1.5, resume["until_going_on"], " s")


def _playlists(playlists: dict[str, Any]) -> Iterator[Goal]:
    keyed = playlists.get("a key each")
    if keyed:
        lengths = sorted(keyed, key=int)
        if "100000" in keyed:
            yield Goal("P6", "parsing 100,000 segments with a key each", AT_MOST, 4, keyed["100000"], " s")
        times = int(lengths[-1]) // int(lengths[0])
        grown = keyed[lengths[-1]] / keyed[lengths[0]] / times
        yield Goal("P6", f"linear: {times} times as long, cost per segment grows", AT_MOST, 1.3, grown, " ×")


def _instructions(instructions: dict[str, Any]) -> Iterator[Goal]:
    if instructions:
        found, allowed = instructions["per_segment"] / 1e6, instructions["allowed"] / 1e6
        yield Goal("guard", "instructions per segment", AT_MOST, allowed, found, " million")
