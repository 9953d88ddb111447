"""Every single call to the file system is made to fail, or to be the last one before a kill, in turn.

The story is short: open, save the manifest, store some objects, checkpoint, replace one, remove one, seal. It is run once
for every call it makes, with that call interrupted; what recovery then finds must be true, and recovery itself is
interrupted at every one of its own calls as well.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hlsdl.bundle.checkpoint import Checkpointer
from hlsdl.bundle.durable import Folder
from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.objects import Whole
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import HlsdlError

from .handwritten import NEEDS_PAGE_CACHE
from .shelves import AUDIO, body, entry_for, manifest, require_true, segment_path, stream, write_derived

CALLS = ("open", "write", "close", "replace", "unlink", "mkdir", "rmdir", "fsync", "fdatasync")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the process runs after it, so every later call raises it, too."""


@pytest.fixture(autouse=True)
def like_a_process() -> Iterator[None]:
    """The kernel closes the files of a killed process; here the process lives on, so the test does."""
    descriptors = Path("/proc/self/fd")
    before = {one.name for one in descriptors.iterdir()} if descriptors.is_dir() else set()
    yield
    for one in list(descriptors.iterdir()) if before else []:
        with suppress(OSError):
            if one.name not in before and str(one.readlink()).startswith(("/dev/shm", tempfile.gettempdir())):
                os.close(int(one.name))


class Trap:
    """Counts calls; at the given one it does what `spring` says, and for ever after that if `lasting`."""

    def __init__(self, at: int, spring: Callable[[str, tuple[Any, ...]], BaseException], *, lasting: bool) -> None:
        self.at = at
        self.count = 0
        self.spring = spring
        self.lasting = lasting

    @property
    def is_sprung(self) -> bool:
        return self.count >= self.at

    @contextmanager
    def set(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patched:
            for name in CALLS:
                if hasattr(os, name):
                    patched.setattr(os, name, self._wrapped(name, getattr(os, name)))
            yield

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            if self.count == self.at or (self.lasting and self.count > self.at):
                failure = self.spring(name, arguments)
                if name == "close":
                    real(*arguments)  # a failing close still closes, and a dead process holds nothing
                raise failure
            return real(*arguments, **named)

        return call


def kill(name: str, arguments: tuple[Any, ...]) -> BaseException:
    return Killed(name)


class Story:
    """What is done to the bundle, and what was reported as done before the interruption."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stored: dict[str, bytes] = {}
        self.unsure: set[str] = set()
        self.durable: set[str] = set()
        self.writer: BundleWriter | None = None

    def put(self, path: str, data: bytes) -> None:
        assert self.writer is not None
        self.unsure.add(path)
        self.writer.put(path, data)
        self.stored[path] = data
        self.unsure.discard(path)

    def put_together(self, objects: dict[str, bytes]) -> None:
        """As small objects are stored that are ready at the same time."""
        assert self.writer is not None
        self.unsure.update(objects)
        answers = self.writer._store.store_all([Whole(path=path, data=data) for path, data in objects.items()])
        for path, answer in zip(objects, answers, strict=True):
            if not isinstance(answer, HlsdlError):
                self.stored[path] = objects[path]
                self.unsure.discard(path)
        for answer in answers:
            if isinstance(answer, HlsdlError):
                raise answer

    def run(self) -> None:
        self.writer = writer = BundleWriter.open(self.path)
        draft = manifest(stream(3))
        writer.save_manifest(draft)
        self.put("keys/K.key", bytes(16))
        for number in range(4):
            self.put(segment_path(number), body(number))
        writer.checkpoint()
        self.durable = set(self.stored)
        self.put_together({segment_path(number, AUDIO): body(number) for number in range(3)})
        self.durable.discard(segment_path(1))
        self.put(segment_path(1), body(10))
        self.unsure.add(segment_path(3))
        writer.forget(segment_path(3))
        del self.stored[segment_path(3)]
        write_derived(writer)
        writer.seal(draft)
        self.durable = set(self.stored)
        writer.close()

    def abandon(self) -> None:
        """What the system does for a dead process: close its files and with them release the lock."""
        if self.writer is not None:
            self.writer._ledger.close()
            self.writer._lock.release()
            self.writer._root.close()

    def leave(self) -> None:
        """Close, as a `with` block does, however far it came."""
        if self.writer is not None:
            self.writer.close()

    def check(self) -> None:
        """Nothing that was reported is lost, and nothing is there that is not true."""
        entries = require_true(self.path)
        for path, data in self.stored.items():
            if path not in self.unsure:
                assert entries[path] == entry_for(path, data), path
        if (self.path / "manifest.json").exists():
            Manifest.decode((self.path / "manifest.json").read_bytes())
            if Bundle.open(self.path).state == "complete":
                assert Bundle.open(self.path).is_playable_offline


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of flushes to a real disk take minutes and prove no more."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _no_background_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are counted, so they must come in the same order every time."""
    monkeypatch.setattr(Checkpointer, "_start", lambda self: None)


def told(act: Callable[[], None]) -> HlsdlError | None:
    """The error of ours that `act` ends with; any other error fails the test."""
    try:
        act()
    except HlsdlError as error:
        return error
    return None


def recover_through_kills(path: Path) -> int:
    """Open the bundle with a kill at the first call, then at the second …, until it opens; return how many kills."""
    at = 0
    while True:
        at += 1
        trap = Trap(at, kill, lasting=True)
        with trap.set():
            try:
                writer = BundleWriter.open(path)
                writer.close(clean=False)
            except Killed:
                continue
        assert not trap.is_sprung
        return at - 1


@NEEDS_PAGE_CACHE
def test_a_kill_before_any_call_loses_nothing(quick_disk: Path) -> None:
    """The process dies before its first, second, third … call, then so does every attempt to recover."""
    kills, nested, at = 0, 0, 0
    while True:
        at += 1
        story = Story(quick_disk / str(at) / "A.movpkg")
        trap = Trap(at, kill, lasting=True)
        with trap.set():
            try:
                story.run()
            except Killed:
                kills += 1
        story.abandon()
        nested += recover_through_kills(story.path)
        story.check()
        if not trap.is_sprung:
            break
    print(f"\n{kills} kills, {nested} more during recovery")
    assert kills > 80


@NEEDS_PAGE_CACHE
def test_a_kill_in_the_middle_of_any_write_loses_nothing(quick_disk: Path) -> None:
    """As above, but a write gets half of its bytes to the file first: torn lines and torn objects."""

    write, torn = os.write, []

    def tear(name: str, arguments: tuple[Any, ...]) -> BaseException:
        if name == "write" and trap.count == trap.at:
            descriptor, data = arguments
            torn.append(write(descriptor, bytes(data)[: len(data) // 2]))
        return Killed(name)

    at = 0
    while True:
        at += 1
        story = Story(quick_disk / str(at) / "A.movpkg")
        trap = Trap(at, tear, lasting=True)
        with trap.set(), suppress(Killed):
            story.run()
        story.abandon()
        BundleWriter.open(story.path).close(clean=False)
        story.check()
        if not trap.is_sprung:
            break
    assert len(torn) > 10


class Platter:
    """What a disk holds after a power cut: of each file only the bytes it had when it was last flushed.

    Names survive and data does not, which is what journalling file systems really do to new files; a file that was never
    flushed has its length and is full of zeros.
    """

    def __init__(self) -> None:
        self.flushed: dict[int, bytes] = {}

    def note(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self.flushed[status.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def lose_power(self, path: Path) -> None:
        for file in path.rglob("*"):
            status = file.lstat()
            if stat.S_ISREG(status.st_mode):
                file.write_bytes(self.flushed.get(status.st_ino, bytes(status.st_size)))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to look at what is flushed")
def test_a_power_cut_before_any_call_loses_no_checkpointed_object(
    quick_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine dies before each call in turn, and every byte that was not flushed is lost with it."""
    at = cuts = 0
    while True:
        at += 1
        story = Story(quick_disk / str(at) / "A.movpkg")
        platter, trap = Platter(), Trap(at, kill, lasting=True)
        flush = os.fdatasync

        def noted(descriptor: int, platter: Platter = platter, flush: Callable[[int], None] = flush) -> None:
            flush(descriptor)
            platter.note(descriptor)

        with pytest.MonkeyPatch.context() as patched, suppress(Killed):
            patched.setattr(os, "fdatasync", noted)
            with trap.set():
                story.run()
        story.abandon()
        if trap.is_sprung:
            platter.lose_power(story.path)
            cuts += 1
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "page_cache", lambda folder: "the boot after")
            BundleWriter.open(story.path).close(clean=False)
        story.stored = {path: data for path, data in story.stored.items() if path in story.durable}
        story.check()
        if not trap.is_sprung:
            break
    assert cuts > 80


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failure_of_any_call_is_told_and_harms_nothing(quick_disk: Path, number: int, lasting: bool) -> None:
    """Each call fails once, or from then on for ever: only our errors come out, and what was stored is true."""
    at = failures = 0
    while True:
        at += 1
        story = Story(quick_disk / str(at) / "A.movpkg")
        trap = Trap(at, lambda *_: OSError(number, os.strerror(number)), lasting=lasting)
        with trap.set():
            errors = [error for act in (story.run, story.leave) if (error := told(act)) is not None]
        failures += bool(errors)
        assert [(error.code, bool(error.hint)) for error in errors] == [(9, True)] * len(errors)
        with BundleWriter.open(story.path):
            pass
        # An object whose flush failed is given up on purpose, so it may be missing; nothing may be untrue.
        require_true(story.path)
        if not trap.is_sprung:
            break
    assert failures > 50
