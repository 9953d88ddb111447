"""Partial files: bytes on their way in, counted, bounded, and never under a final name before they are whole."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from hlsdl.bundle import objects as objects_module
from hlsdl.bundle import partial as partial_module
from hlsdl.bundle.partial import SMALL
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, LimitError

from .shelves import VIDEO, body, require_true, segment_path

BIG = os.urandom(SMALL)


@dataclass(frozen=True)
class Validator:
    etag: str | None = '"v1"'
    last_modified: str | None = None
    complete_length: int | None = None


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[BundleWriter]:
    with BundleWriter.open(tmp_path / "A.movpkg") as opened:
        yield opened


def temporaries(writer: BundleWriter) -> list[str]:
    return [file.name for file in writer.path.rglob("*.part")]


async def test_a_small_object_touches_the_disk_only_when_it_is_whole(writer: BundleWriter) -> None:
    """Up to 1 MiB nothing is on disk before `finish`, which stores it with its hash and validators."""
    sink = writer.sink(segment_path(1), limit=10_000)
    sink.describe(validator=Validator(), length_verified=False)
    await sink.write(body(1)[:500])
    await sink.write(body(1)[500:])
    assert sink.size == 2000
    assert sink.validator == Validator()
    assert not (writer.path / VIDEO).exists()
    entry = await sink.finish()
    assert entry == writer.entries[segment_path(1)]
    assert (entry.size, entry.etag, entry.length_verified) == (2000, '"v1"', False)
    assert entry.sha256 == hashlib.sha256(body(1)).hexdigest()
    assert (writer.path / segment_path(1)).read_bytes() == body(1)
    assert (writer.path / segment_path(1)).stat().st_mode & 0o777 == 0o600
    assert (writer.path / VIDEO).stat().st_mode & 0o777 == 0o700


async def test_a_large_object_grows_in_a_temporary(writer: BundleWriter) -> None:
    """Above 1 MiB the bytes go to a `.part` beside the final name, which appears at the end."""
    sink = writer.sink(segment_path(1), limit=10 * SMALL)
    for _ in range(4):
        await sink.write(BIG)
    assert sink.size == 4 * SMALL
    assert len(temporaries(writer)) == 1
    assert not (writer.path / segment_path(1)).exists()
    entry = await sink.finish()
    assert entry.sha256 == hashlib.sha256(BIG * 4).hexdigest()
    assert (writer.path / segment_path(1)).read_bytes() == BIG * 4
    assert temporaries(writer) == []


async def test_restart_forgets_every_byte(writer: BundleWriter) -> None:
    """After `restart`, small or large, only what follows is stored."""
    for number, first in ((1, body(9)), (2, BIG * 2)):
        sink = writer.sink(segment_path(number), limit=10 * SMALL)
        await sink.write(first)
        await sink.restart()
        assert sink.size == 0
        assert temporaries(writer) == []
        await sink.write(body(number))
        await sink.finish()
        assert (writer.path / segment_path(number)).read_bytes() == body(number)


async def test_an_endless_body_is_stopped(writer: BundleWriter) -> None:
    """The limit is exact: so many bytes are taken, one more is a LimitError."""
    sink = writer.sink(segment_path(1), limit=100)
    await sink.write(bytes(100))
    with pytest.raises(LimitError, match="100 bytes"):
        await sink.write(b"x")
    assert sink.size == 100


async def test_what_nobody_finished_is_removed_at_close(writer: BundleWriter) -> None:
    """Closing removes the temporaries of objects that are still on their way."""
    sink = writer.sink(segment_path(1), limit=10 * SMALL)
    await sink.write(BIG * 2)
    assert len(temporaries(writer)) == 1
    writer.close()
    assert temporaries(writer) == []


async def test_a_full_disk_forgets_the_object_and_nothing_else(
    writer: BundleWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC while writing removes the temporary; a retry begins at 0 and succeeds when there is room again."""
    await_stored = writer.put(segment_path(0), body(0))
    sink = writer.sink(segment_path(1), limit=10 * SMALL)
    await sink.write(BIG * 2)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(objects_module, "write_all", full)
        with pytest.raises(DiskError, match="the disk is full"):
            await sink.write(BIG)
    assert sink.size == 0
    assert temporaries(writer) == []
    await sink.write(BIG * 2)
    await sink.finish()
    assert (writer.path / segment_path(1)).read_bytes() == BIG * 2
    assert writer.entries[segment_path(0)] == await_stored


async def test_an_error_of_close_means_not_stored(writer: BundleWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that reports the full disk only at close gets no entry for it."""
    sink = writer.sink(segment_path(1), limit=10 * SMALL)
    await sink.write(BIG * 2)
    close, failures = os.close, [OSError(errno.ENOSPC, "full")]

    def fail(descriptor: int) -> None:
        close(descriptor)
        if failures:
            raise failures.pop()

    with monkeypatch.context() as patched:
        patched.setattr(os, "close", fail)
        with pytest.raises(DiskError):
            await sink.finish()
    assert not writer.is_stored(segment_path(1))
    assert temporaries(writer) == []


async def test_an_overlong_validator_is_not_kept(writer: BundleWriter) -> None:
    """A hostile ETag does not make a journal line that cannot be read again."""
    sink = writer.sink(segment_path(1), limit=10_000)
    sink.describe(validator=Validator(etag="x" * 100_000, last_modified="now"), length_verified=True)
    await sink.write(body(1))
    entry = await sink.finish()
    assert (entry.etag, entry.last_modified) == (None, "now")


async def test_many_objects_at_once_are_all_stored(writer: BundleWriter) -> None:
    """Two hundred objects in flight together end with the right bytes, each in its own file."""

    async def store(number: int) -> None:
        sink = writer.sink(segment_path(number), limit=10 * SMALL)
        await sink.write(body(number))
        if number % 20 == 0:
            await sink.write(BIG)
        await sink.finish()

    await asyncio.gather(*(store(number) for number in range(200)))
    writer.close()
    assert len(require_true(writer.path)) == 200


async def test_small_objects_that_are_ready_are_stored_together(
    writer: BundleWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 128 KiB one thread takes all that waits, by one write to the journal; above that a worker takes each."""
    stored_by: list[tuple[str, int]] = []
    real = objects_module.ObjectStore.store_all
    first_taken, go_on = threading.Event(), threading.Event()

    def noted(store: objects_module.ObjectStore, objects: Sequence[objects_module.Whole]) -> object:
        stored_by.append((threading.current_thread().name, len(objects)))
        first_taken.set()
        assert go_on.wait(10)
        return real(store, objects)

    monkeypatch.setattr(writer._gatherer, "_do", lambda objects: noted(writer._store, objects))
    monkeypatch.setattr(objects_module.ObjectStore, "store_all", noted)

    async def keep(number: int, data: bytes) -> None:
        sink = writer.sink(segment_path(number), limit=SMALL)
        await sink.write(data)
        await sink.finish()

    tasks = [asyncio.create_task(keep(0, b"first"))]
    await asyncio.to_thread(first_taken.wait, 10)
    tasks += [asyncio.create_task(keep(number, bytes(partial_module.TINY))) for number in range(1, 11)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*tasks)
    assert stored_by == [("hlsdl-disk-small", 1), ("hlsdl-disk-small", 10)]
    lines = (writer.path / "journal.jsonl").read_bytes().splitlines()
    assert sum(b'"seg"' in line for line in lines) == 11
    await keep(11, bytes(partial_module.TINY + 1))
    assert stored_by[-1][0] in ("hlsdl-disk-1", "hlsdl-disk-2")
    assert len(writer.entries) == 12


async def test_one_of_many_that_cannot_be_stored_fails_alone(writer: BundleWriter) -> None:
    """The error reaches the one whose name is taken by a folder; those beside it are stored."""
    (writer.path / segment_path(5) / "foreign").mkdir(parents=True)

    async def keep(number: int) -> None:
        sink = writer.sink(segment_path(number), limit=SMALL)
        await sink.write(body(number))
        await sink.finish()

    answers = await asyncio.gather(*(keep(number) for number in range(10)), return_exceptions=True)
    assert [number for number, answer in enumerate(answers) if answer is not None] == [5]
    assert isinstance(answers[5], DiskError)
    assert segment_path(5) in answers[5].message
    assert set(writer.entries) == {segment_path(number) for number in range(10) if number != 5}
    assert temporaries(writer) == []


async def test_a_caller_that_gives_up_does_not_hold_up_the_others(writer: BundleWriter) -> None:
    """A cancelled `finish` leaves its object stored or not, but whole; the next ones are stored."""
    sinks = [writer.sink(segment_path(number), limit=SMALL) for number in range(3)]
    for number, sink in enumerate(sinks):
        await sink.write(body(number))
    tasks = [asyncio.create_task(sink.finish()) for sink in sinks]
    await asyncio.sleep(0)
    tasks[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert {segment_path(1), segment_path(2)} <= set(writer.entries)
    writer.close()
    require_true(writer.path)


async def test_a_folder_that_was_removed_is_made_again(writer: BundleWriter) -> None:
    """Folders are kept open; one that vanished behind our back costs nothing but a second look."""
    for number in (1, 2):
        sink = writer.sink(segment_path(number), limit=SMALL)
        await sink.write(body(number))
        await sink.finish()
        assert (writer.path / segment_path(number)).read_bytes() == body(number)
        if number == 1:
            writer.forget(segment_path(1))
            assert not (writer.path / VIDEO).exists()


async def test_no_folder_stays_open(tmp_path: Path) -> None:
    """However many folders objects went to, closing the writer lets go of all of them."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("only where open descriptors can be listed")
    before = len(os.listdir("/proc/self/fd"))
    with BundleWriter.open(tmp_path / "B.movpkg") as writer:
        for stream in range(2 * objects_module.OPEN_FOLDERS):
            sink = writer.sink(segment_path(1).replace("0-", f"{stream}-", 1), limit=SMALL)
            await sink.write(b"G")
            await sink.finish()
    assert len(os.listdir("/proc/self/fd")) <= before
