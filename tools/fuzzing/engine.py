"""The loop: mutants of one target in order of their numbers, each timed and watched, shared by several processes."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from fuzzing.mutation import Mutator
from fuzzing.targets import TARGETS

MOST_SECONDS = 1.0
"""CPU time that one mutant may take."""
MOST_MEMORY = 64 * 1024 * 1024
"""Bytes by which the process may grow, over all of its mutants together: none of them can have taken more."""
HANGS_AFTER = 20
"""Seconds of wall time after which a mutant is given up."""
MOST_FINDINGS = 50
WARM_UP = 200
"""Mutants after which imports, caches and seeds have taken the memory they take."""
_CHUNK = 500
"""Mutants between two looks at the clock."""


@dataclass(slots=True)
class Outcome:
    """What came of many mutants."""

    mutants: int = 0
    seconds: float = 0.0
    results: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_number: int = -1
    grown: int = 0
    """Bytes of peak memory above what the process had after warming up; the largest of all processes."""
    findings: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take in what another process saw."""
        self.mutants += other.mutants
        self.results += other.results
        self.grown = max(self.grown, other.grown)
        self.findings += other.findings
        if other.slowest > self.slowest:
            self.slowest, self.slowest_number = other.slowest, other.slowest_number


class Mutant(NamedTuple):
    """One input, and how to make it again."""

    target: str
    seed: int
    number: int
    data: bytes


class Hang(BaseException):
    """Raised into a mutant that does not come to an end."""


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang(f"no end after {HANGS_AFTER} s")


def fuzz(target: str, *, count: int, seed: int, seconds: float, jobs: int, folder: Path) -> Outcome:
    """Run mutants 0 … `count` - 1, or as many as fit into `seconds`; findings become files in `folder`."""
    started = time.monotonic()
    work = [(target, start, count, jobs, seed, started + seconds, folder) for start in range(jobs)]
    outcome = Outcome()
    # A pool that is interrupted half made is waited for without end; and Ctrl-C is for this process, not for its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for part in pool.imap_unordered(_fuzz_some, work):
            outcome.add(part)
    outcome.seconds = time.monotonic() - started
    return outcome


def make_mutator(target: str, seed: int) -> Mutator:
    """The mutator of a target."""
    return Mutator(TARGETS[target].seeds(), TARGETS[target].words, seed=seed)


def run_one(target: str, data: bytes) -> str:
    """Run one mutant; returns what came of it, or raises what is a finding."""
    try:
        return TARGETS[target].run(data)
    except TARGETS[target].refusals as error:
        return type(error).__name__


def _fuzz_some(work: tuple[str, int, int, int, int, float, Path]) -> Outcome:
    """One process: every `step`th mutant from `start` on."""
    target, start, count, step, seed, deadline, folder = work
    signal.signal(signal.SIGALRM, _hang)
    mutator, outcome = make_mutator(target, seed), Outcome()
    before = _peak()
    for done, number in enumerate(range(start, count, step)):
        if done % _CHUNK == 0 and time.monotonic() > deadline:
            break
        if done == WARM_UP:
            before = _peak()
        data = mutator.mutant(number)
        finding = _run_watched(target, number, data, outcome)
        if finding is None and done > WARM_UP and _peak() - before > MOST_MEMORY:
            finding = f"the process has grown by {_peak() - before} bytes"
            before = _peak()
        if finding is not None:
            outcome.findings.append(_keep(folder, Mutant(target, seed, number, data), finding))
            if len(outcome.findings) >= MOST_FINDINGS:
                break
    outcome.grown = max(outcome.grown, _peak() - before)
    return outcome


def _run_watched(target: str, number: int, data: bytes, outcome: Outcome) -> str | None:
    """Run one mutant under the clock; what is wrong about it, if anything."""
    outcome.mutants += 1
    finding = None
    signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER)
    started = time.process_time()
    try:
        outcome.results[run_one(target, data)] += 1
    except (Exception, Hang) as error:  # noqa: BLE001 - whatever comes out is what we are looking for
        outcome.results[f"FINDING {type(error).__name__}"] += 1
        finding = traceback.format_exc()
    taken = time.process_time() - started
    signal.setitimer(signal.ITIMER_REAL, 0)
    if taken > outcome.slowest:
        outcome.slowest, outcome.slowest_number = taken, number
    if finding is None and taken > MOST_SECONDS:
        finding = f"it took {taken:.2f} s"
    return finding


def _keep(folder: Path, mutant: Mutant, finding: str) -> str:
    """Write a finding where somebody will look for it, the input and what happened; returns it in one line."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{mutant.target}-{mutant.seed}-{mutant.number}"
    file.with_suffix(".input").write_bytes(mutant.data)
    again = f"tools/fuzz --target {mutant.target} --seed {mutant.seed} --only {mutant.number}"
    file.with_suffix(".txt").write_text(f"{again}\n\n{finding}\n")
    return f"{again}: {finding.strip().splitlines()[-1][:200]}"


def _peak() -> int:
    """Peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
