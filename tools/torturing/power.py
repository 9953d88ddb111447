"""Power cuts: an ext4 of our own is shut down without flushing its log, mounted again, and the job goes on.

A cut takes everything that was not flushed, which is what the ioctl EXT4_IOC_SHUTDOWN with NOLOGFLUSH does to a mounted
file system. The system itself runs on, and its boot id stays the same: that the page cache is another one, recovery
must see by the mount.

What must survive: every object that a checkpoint covers. Which those are is known in two ways: from the journal that
survived, and from a copy of the journal read before the cut. Of that copy all but the last `ckpt` line count, since
each is written only after the one before it has been flushed; the last may still have been on its way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hlsdl.bundle.journal import JournalState, decode_line, replay
from hlsdl.testing import ScriptedOrigin
from torturing.film import Film
from torturing.judge import Judge, Tally, number_of
from torturing.processes import PATIENCE, run, start

IMAGE_BYTES = 512 * 1024 * 1024
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
LOCK = Path(tempfile.gettempdir()) / "hlsdl-power.lock"
DELAY = 0.005
LONGEST_WAIT = 2.5
"""Seconds after the first request."""


@dataclass(slots=True)
class Cuts:
    """What the cuts met."""

    cuts: int = 0
    checkpointed: int = 0
    """Segments that a checkpoint covered at a cut, added up over all cuts."""
    checkpointed_lost: int = 0
    uncertain: int = 0
    """Entries that survived without a checkpoint: recovery reads these files."""
    damaged: int = 0
    """Of them, those whose file was missing, short or full of other bytes: found, and fetched again."""
    damage_missed: int = 0
    after_the_end: int = 0
    """Cuts just after the process had said that the bundle is complete."""


def why_not() -> str | None:
    """Why this machine cannot do it; None when it can."""
    if sys.platform != "linux":
        return "power cuts need Linux and its ext4"
    if os.geteuid() != 0:
        return "power cuts need root, to mount a file system"
    for program in ("mkfs.ext4", "losetup", "mount"):
        if shutil.which(program) is None:
            return f"not installed: {program}"
    try:
        with _disk(8 * 1024 * 1024):
            return None
    except subprocess.CalledProcessError as error:
        return f"loop mounts do not work here: {error.stderr.strip()}"
    except BlockingIOError:
        return "another torture by power cuts is running"


def torture(*, trials: int, segments: int, seed: int) -> tuple[Tally, Cuts]:
    """Cut the power so many times; the bundle that was cut last is finished."""
    film, chance = Film(segments), random.Random(seed)
    tally, cuts = Tally(), Cuts()
    with _disk(IMAGE_BYTES) as disk, ScriptedOrigin(delay=DELAY) as origin:
        url = film.serve(origin)
        judge = _new_judge(film, origin, url, disk, tally)
        while cuts.cuts < trials:
            if _cut(judge, disk, cuts, chance):
                judge.after_end()
                if tally.unfinished:
                    break  # a hlsdl that cannot fetch at all proves nothing
                shutil.rmtree(judge.bundle)
                judge = _new_judge(film, origin, url, disk, tally)
        judge.begin("undisturbed after the last cut")
        ended = run(judge.command("-q"))
        if ended.code != 0:
            judge.fault(f"ends with {ended.code}: {ended.err.strip()}")
        else:
            judge.after_end()
    return tally, cuts


class Disk:
    """A file system on a loop device that can lose its power."""

    def __init__(self, device: str, at: Path) -> None:
        self._device, self.at = device, at
        self.mount()

    def mount(self) -> None:
        """Mount, replaying the log as after a boot."""
        _system("mount", "-t", "ext4", self._device, str(self.at))

    def lose_power(self) -> None:
        """Stop the file system at this instant: nothing that is not on the device will ever get there."""
        descriptor = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Unmount; a process that has just been killed may take a moment to let go."""
        for _ in range(50):
            if subprocess.run(["umount", str(self.at)], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        _system("umount", "--lazy", str(self.at))


@contextmanager
def _disk(size: int) -> Iterator[Disk]:
    """A fresh ext4, mounted; everything is gone afterwards, also when the work fails."""
    with contextlib.ExitStack() as undo:
        # A process in a mount namespace of its own keeps every file system of its time alive, those of another torture
        # too; mounted again, that one would then be found as dead as it was left.
        lock = undo.enter_context(LOCK.open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="hlsdl-power-"))).resolve()
        image, at = folder / "disk.img", folder / "disk"
        at.mkdir()
        with image.open("wb") as file:
            file.truncate(size)
        _system("mkfs.ext4", "-q", "-F", str(image))
        device = _system("losetup", "--find", "--show", str(image)).strip()
        undo.callback(_system, "losetup", "--detach", device)
        disk = Disk(device, at)
        undo.callback(disk.unmount)
        yield disk


def _system(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _new_judge(film: Film, origin: ScriptedOrigin, url: str, disk: Disk, tally: Tally) -> Judge:
    return Judge(film, origin, url, disk.at / f"{uuid.uuid4().hex[:8]}.movpkg", tally)


def _cut(judge: Judge, disk: Disk, cuts: Cuts, chance: random.Random) -> bool:
    """One cut in one run. True when the run had ended, so that the whole bundle must be there."""
    judge.begin(f"cut {cuts.cuts}")
    before = _journal(judge)
    with start(judge.command("-q")) as process:
        deadline = time.monotonic() + PATIENCE
        while not judge.origin.requests and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.random() * LONGEST_WAIT)
        is_recovered = bool(judge.asked())
        alive = _journal(judge)
        for path in _untrue(judge, replay(alive)) if is_recovered else ():
            cuts.damage_missed += 1
            judge.fault(f"`{path}` is damaged, and recovery believed it")
        ended = process.poll()
        disk.lose_power()
        if ended is None:
            process.kill()
        err = process.communicate()[1]
    disk.unmount()
    disk.mount()
    cuts.cuts += 1
    judge.tally.interruptions += 1
    if ended is not None:
        cuts.after_the_end += ended == 0
        if ended != 0:
            judge.fault(f"ends by itself with {ended}: {err.strip()}")
        return True
    _judge_cut(judge, acknowledged(before, alive), cuts)
    return False


def acknowledged(before: bytes, alive: bytes) -> frozenset[str]:
    """The paths that a journal, read from a living process, proves to be on the device.

    `before` is what the last cut had left of the journal, so every line of it has survived. Of what was added since,
    the last `ckpt` line may not have been flushed yet: it does not prove itself, but those before it.
    """
    if not alive.startswith(before):
        return frozenset()  # compacted meanwhile: what was checkpointed is known from the journal that survives
    ends, end = [], len(before)
    for line in alive[len(before) :].splitlines(keepends=True):
        end += len(line)
        record = decode_line(line.rstrip(b"\n"))
        if record is not None and record.get("t") == "ckpt":
            ends.append(end)
    proven = replay(alive[: ends[-2]] if len(ends) > 1 else before)
    later = replay(alive).entries
    return frozenset(
        path for path, entry in proven.entries.items() if path not in proven.unsynced and later.get(path) == entry
    )


def _judge_cut(judge: Judge, promised: frozenset[str], cuts: Cuts) -> None:
    """Compare what survived with what had been promised."""
    state = replay(_journal(judge))
    covered = {path for path in state.entries if path not in state.unsynced}
    untrue = set(_untrue(judge, state)) | {path for path in state.entries if not (judge.bundle / path).exists()}
    for path in sorted(promised - state.entries.keys()):
        _lose(judge, cuts, f"`{path}` was checkpointed and its entry is gone")
    for path in sorted((covered | promised) & untrue):
        _lose(judge, cuts, f"`{path}` was checkpointed and is gone or damaged")
    cuts.checkpointed += len(covered | promised)
    cuts.uncertain += len(state.unsynced)
    cuts.damaged += len(untrue & state.unsynced)
    judge.finished = {number_of(path) for path in covered | promised if path.endswith(".ts")}


def _lose(judge: Judge, cuts: Cuts, what: str) -> None:
    cuts.checkpointed_lost += 1
    judge.lost(what)


def _journal(judge: Judge) -> bytes:
    file = judge.bundle / "journal.jsonl"
    return file.read_bytes() if file.exists() else b""


def _untrue(judge: Judge, state: JournalState) -> list[str]:
    """The segments that an entry speaks of and whose file is there with other bytes than the origin's."""
    segments = [path for path in state.entries if path.endswith(".ts") and (judge.bundle / path).exists()]
    return [path for path in segments if not judge.film.has(number_of(path), (judge.bundle / path).read_bytes())]
