"""kill -9 before the first, second, third … system call of a small job, and of the recovery that follows.

Two ways. Ours counts the calls of all threads together and only those on the bundle's files, so that every point of the
job is reached once. strace counts call by call and thread by thread (see `tracer`), and reaches what our tracer leaves
out: the calls outside the bundle. A point counts only when the kill is seen to have happened.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torturing.film import Film
from torturing.judge import Tally
from torturing.processes import NEVER, Ended, Injection, run_straced, run_traced
from torturing.workers import Bench, Shared, bench, share

SEGMENTS = 20
CHANGING = (
    "openat",
    "write",
    "close",
    "rename",
    "renameat",
    "renameat2",
    "fsync",
    "fdatasync",
    "ftruncate",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rmdir",
)
"""The calls before which our tracer kills."""
STRACED = ("openat", "write", "rename", "renameat", "fsync", "fdatasync", "ftruncate", "mkdir", "mkdirat", "unlinkat")
"""The calls at which strace kills, one after the other. What is never made costs one run to find out."""
BIG_EVERY = 7

Round = tuple[tuple[str, ...], Iterable[int]]
"""Calls that are counted together, and the counts at which to kill."""
CHANGING_SAMPLE: tuple[Round, ...] = ((CHANGING, (25, 110, 210)),)
STRACED_SAMPLE: tuple[Round, ...] = ((("write",), (9,)), (("renameat",), (3,)), (("fdatasync",), (2,)))


@dataclass(slots=True)
class Points:
    """Which points there were, and which kills fired."""

    killed: int = 0
    by_call: dict[str, int] = field(default_factory=dict)
    in_recovery: int = 0

    def note(self, call: str, *, recovering: bool) -> None:
        """A kill that was seen."""
        self.by_call[call] = self.by_call.get(call, 0) + 1
        self.killed += 1
        self.in_recovery += recovering


Killer = Callable[[list[str], Injection, Path, Path], Ended]
"""(command, injection, bundle, scratch folder) -> how it ended."""


def by_tracer(command: list[str], injection: Injection, bundle: Path, scratch: Path) -> Ended:
    """Kill with our tracer."""
    return run_traced(command, injection, inside=bundle, scratch=scratch)


def by_strace(command: list[str], injection: Injection, bundle: Path, scratch: Path) -> Ended:
    """Kill with strace."""
    return run_straced(command, injection, scratch=scratch)


def torture(*, stride: int, first: int, jobs: int, folder: Path, strace: bool) -> tuple[Tally, Points]:
    """Kill at each point from `first` on, `stride` apart, until a run gets through without being killed."""
    numbers = range(first, NEVER, stride)
    rounds = [((call,), numbers) for call in STRACED] if strace else [(CHANGING, numbers)]
    return _torture(rounds, jobs=jobs, folder=folder, killer=by_strace if strace else by_tracer)


def sample(*, jobs: int, folder: Path, strace: bool) -> tuple[Tally, Points]:
    """A few of these, for a test suite."""
    rounds = STRACED_SAMPLE if strace else CHANGING_SAMPLE
    return _torture(rounds, jobs=jobs, folder=folder, killer=by_strace if strace else by_tracer)


def _torture(rounds: Sequence[Round], *, jobs: int, folder: Path, killer: Killer) -> tuple[Tally, Points]:
    film = Film(SEGMENTS, big_every=BIG_EVERY)
    points, total = Points(), Tally()
    for calls, numbers in rounds:
        kill = partial(_kill_twice, calls=calls, points=points, killer=killer)
        work = Shared(numbers)
        total.add(share(jobs, partial(_one_worker, work=work, film=film, folder=folder, kill=kill)))
    return total, points


def _one_worker(_: int, *, work: Shared[int], film: Film, folder: Path, kill: Callable[[Bench, int], bool]) -> Tally:
    with bench(film, folder) as place:
        for number in work:
            if not kill(place, number):
                work.stop()
        return place.tally


def _kill_twice(place: Bench, number: int, *, calls: tuple[str, ...], points: Points, killer: Killer) -> bool:
    """Kill a fresh job, kill the one that goes on, let the third finish. False when the first was never killed."""
    judge = place.new_bundle()
    for at, recovering in ((number, False), (_other(number), True)):
        again = Injection(calls=calls, at=at)
        judge.begin(f"{judge.story}; then {again}" if recovering else str(again))
        try:
            ended = killer(judge.command("-q", "-N", "4"), again, judge.bundle, place.folder)
        except subprocess.TimeoutExpired:
            judge.fault("the process hangs")
            return True
        if ended.code == 0:
            judge.after_end()
            if not recovering:
                place.clear(judge)
                return False
            break
        if ended.code != -9 or not ended.fired:
            judge.fault(f"was not killed and ends with {ended.code}: {ended.err.strip()}")
            return True
        points.note(calls[0] if len(calls) == 1 else ended.fired[0].partition(" ")[0], recovering=recovering)
        judge.after_interruption()
    else:
        place.let_finish(judge)
    place.clear(judge)
    return True


def _other(number: int) -> int:
    """Where to kill the run that goes on: early for most, since that is where recovery is, and different each time."""
    return number * 7 % 61 + 1
