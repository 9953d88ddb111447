"""A real process that writes a bundle is killed again and again, and nothing it finished is ever lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hlsdl.bundle.writing import BundleWriter

from .handwritten import NEEDS_PAGE_CACHE
from .shelves import require_true

KILLS = 30

PROGRAM = """
import asyncio, hashlib, pathlib, sys
from hlsdl.bundle.writing import BundleWriter

STREAM = "0-" + "A" * 32 + "-800000"

def body(number):
    return hashlib.sha256(str(number).encode()).digest() * (500 if number % 7 else 40_000)

async def main(path):
    writer = BundleWriter.open(path)
    print("open", len(writer.entries), len(writer.recovery.dropped), flush=True)
    todo = (n for n in range(1_000_000) if not writer.is_stored(f"{STREAM}/{n:09d}.m4s"))

    async def work():
        for number in todo:
            sink = writer.sink(f"{STREAM}/{number:09d}.m4s", limit=10**8)
            data = body(number)
            for start in range(0, len(data), 1 << 20):
                await sink.write(data[start : start + (1 << 20)])
            await sink.finish()
            print(number, flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(work())

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@NEEDS_PAGE_CACHE
def test_a_killed_writer_loses_nothing_it_finished(tmp_path: Path) -> None:
    """After each of thirty kills at random moments, every object that was reported finished is there, whole."""
    path = tmp_path / "A.movpkg"
    finished: set[int] = set()
    rolled = 0
    chance = random.Random(20)
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            opened = process.stdout.readline().split()
            assert opened[0] == "open"
            assert int(opened[1]) >= len(finished)
            assert opened[2] == "0"
            # The moment is counted in finished objects, so that the load of the machine does not matter.
            for _ in range(chance.randrange(1, 16)):
                finished.add(int(process.stdout.readline()))
            process.send_signal(signal.SIGKILL)
            finished.update(int(line) for line in process.stdout.read().splitlines()[:-1])
        with BundleWriter.open(path) as writer:
            assert writer.recovery.dropped == ()
            rolled += len(writer.recovery.rolled_forward)
            writer.close(clean=False)
        entries = require_true(path)
        stored = {int(name[-13:-4]) for name in entries}
        assert finished <= stored
    print(f"\n{KILLS} kills: {len(finished)} objects reported finished, 0 lost, {rolled} rolled forward")
    assert len(finished) >= KILLS
