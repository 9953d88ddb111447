"""kill -9 at random moments of real `hlsdl fetch` processes, again and again over the same bundle until it is whole.

The origin is slow, so that a job lasts through many kills. Three kinds of moments take turns, chosen by the seed: while
the process starts, soon after its first request (recovery has just ended), and anywhere in the transfer or the seal.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from hlsdl.testing import ScriptedOrigin
from torturing.film import Film
from torturing.judge import Judge, Tally
from torturing.processes import PATIENCE, start
from torturing.workers import Bench, Shared, bench, share

DELAY = 0.015
"""Seconds that the origin thinks before each answer: 8 connections get some 500 segments a second."""
AT_START, AFTER_FIRST, ANYWHERE = 0.6, 0.1, 1.5
"""The longest waits of the three kinds of moments, in seconds."""


def torture(*, kills: int, segments: int, seed: int, jobs: int, folder: Path) -> Tally:
    """Kill so many times; what was killed last is finished."""
    film = Film(segments)
    film.hashes  # noqa: B018 - worked out once, before the threads need it
    moments = Shared(range(kills))

    def work(number: int) -> Tally:
        chance = random.Random(f"{seed}/{number}")
        with bench(film, folder, delay=DELAY) as place:
            judge = place.new_bundle()
            for kill in moments:
                while not _kill_once(place, judge, kill, chance):
                    place.clear(judge)
                    judge = place.new_bundle()
                if place.tally.unfinished:
                    moments.stop()  # a hlsdl that cannot fetch at all would be run for ever
            place.let_finish(judge)
            return place.tally

    return share(jobs, work)


def _kill_once(place: Bench, judge: Judge, kill: int, chance: random.Random) -> bool:
    """Run and kill once; False when the process completed the bundle before its moment."""
    judge.begin(f"kill {kill}")
    with start(judge.command("-q")) as process:
        _wait_for_moment(process, place.origin, chance)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        err = process.communicate()[1]
    if process.returncode == -signal.SIGKILL:
        judge.after_interruption()
        return True
    if process.returncode != 0:
        judge.fault(f"ends by itself with {process.returncode}: {err.strip()}")
        return True
    judge.after_end()
    return False


def _wait_for_moment(process: subprocess.Popen[str], origin: ScriptedOrigin, chance: random.Random) -> None:
    """Wait until the moment has come, or the process has ended."""
    kind = chance.randrange(8)
    wait = chance.random() * (AT_START if kind == 0 else AFTER_FIRST if kind == 1 else ANYWHERE)
    deadline = time.monotonic() + PATIENCE
    while kind != 0 and not origin.requests and process.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError("hlsdl asks the origin for nothing")
        time.sleep(0.005)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(wait)
