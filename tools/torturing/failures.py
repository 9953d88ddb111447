"""Each system call on the bundle's files fails in turn: once, or from then on for ever.

A run that meets a failure ends with 0 (it found a way) or with a documented exit code and one JSON error, and shows no
traceback; so does the run that goes on, which meets another one. Then an undisturbed run completes the bundle.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torturing.film import Film
from torturing.judge import Judge, Tally
from torturing.processes import Ended, Injection, run_traced
from torturing.workers import Bench, Shared, bench, share

SEGMENTS = 6
BIG_EVERY = 4
DOCUMENTED = (8, 9)
"""Exit codes that a failing disk may have: damaged, and refused by the disk."""

_MAKING = ("openat", "mkdir", "mkdirat", "write", "rename", "renameat", "fsync", "fdatasync", "ftruncate")
_REMOVING = ("unlink", "unlinkat", "rmdir")
ACTIONS: dict[str, tuple[str, ...]] = {
    "EIO": (*_MAKING, *_REMOVING, "read", "pread64", "close", "getdents64", "newfstatat"),
    "ENOSPC": _MAKING,
    "EDQUOT": _MAKING,
    "EROFS": ("openat", "mkdir", "mkdirat", "rename", "renameat", *_REMOVING),
    "EMFILE": ("openat",),
    "short": ("write",),
}
"""Which calls each failure is injected into. EIO comes everywhere, as it does on a dying disk."""
SAMPLE = tuple(
    Injection(calls=ACTIONS[action], at=at, action=action, lasting=lasting)
    for action, at, lasting in (
        ("EIO", 91, False),
        ("ENOSPC", 55, True),
        ("EMFILE", 12, False),
        ("short", 9, True),
    )
)


@dataclass(slots=True)
class Told:
    """What was injected, and how the processes ended."""

    fired: int = 0
    by_action: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)


def torture(*, stride: int, first: int, jobs: int, folder: Path) -> tuple[Tally, Told]:
    """Let each action happen at each point, `stride` apart, once and for ever, until a run meets it no more."""
    starts = [
        Injection(calls=calls, at=first, action=action, lasting=lasting)
        for action, calls in ACTIONS.items()
        for lasting in (False, True)
    ]
    return _torture([_points(start, stride) for start in starts], jobs, folder)


def sample(*, jobs: int, folder: Path) -> tuple[Tally, Told]:
    """A few of these, for a test suite."""
    return _torture([iter(SAMPLE)], jobs, folder)


def _torture(rounds: Iterable[Iterator[Injection]], jobs: int, folder: Path) -> tuple[Tally, Told]:
    film = Film(SEGMENTS, big_every=BIG_EVERY)
    told, total = Told(), Tally()
    for injections in rounds:
        work = Shared(injections)
        total.add(share(jobs, lambda _, work=work: _one_worker(work, film, told, folder)))  # type: ignore[misc]
    return total, told


def _points(start: Injection, stride: int) -> Iterator[Injection]:
    at = start.at
    while True:
        yield Injection(calls=start.calls, at=at, action=start.action, lasting=start.lasting)
        at += stride


def _one_worker(work: Shared[Injection], film: Film, told: Told, folder: Path) -> Tally:
    with bench(film, folder) as place:
        for injection in work:
            if not _fail_twice(place, injection, told):
                work.stop()
        return place.tally


def _fail_twice(place: Bench, injection: Injection, told: Told) -> bool:
    """Fail a fresh job, fail the one that goes on, let the third finish. False when nothing failed in the first."""
    judge = place.new_bundle()
    for at in (injection.at, injection.at * 7 % 31 + 1):
        again = Injection(calls=injection.calls, at=at, action=injection.action, lasting=injection.lasting)
        judge.begin(f"{judge.story}; then {again}" if judge.story else str(again))
        try:
            ended = run_traced(judge.command("--json", "-N", "4"), again, inside=judge.bundle, scratch=place.folder)
        except subprocess.TimeoutExpired:
            judge.fault("the process hangs")
            return True
        if not ended.fired and at == injection.at:
            _judge_end(judge, ended)
            place.clear(judge)
            return False
        told.fired += len(ended.fired)
        told.by_action[injection.action] += bool(ended.fired)
        told.codes[ended.code] += 1
        _judge_end(judge, ended)
    place.let_finish(judge)
    place.clear(judge)
    return True


def _judge_end(judge: Judge, ended: Ended) -> None:
    """The end must be as documented, whatever it is."""
    if ended.fired:
        judge.story += f" ({ended.fired[0]})"
    if "Traceback" in ended.err or "Exception ignored" in ended.err:
        judge.fault(f"shows a traceback: {ended.err.strip()}")
    if ended.code == 0:
        judge.after_end()
        return
    judge.after_failure()
    if ended.code not in DOCUMENTED or not ended.fired:
        judge.fault(f"ends with {ended.code}: {ended.out.strip()} {ended.err.strip()}")
        return
    try:
        document = json.loads(ended.out)
    except ValueError:
        judge.fault(f"stdout is not one JSON document: {ended.out!r}")
        return
    if (document.get("schema"), document.get("code")) != ("hlsdl.error/1", ended.code):
        judge.fault(f"the JSON document says something else than the exit code {ended.code}: {ended.out.strip()}")
