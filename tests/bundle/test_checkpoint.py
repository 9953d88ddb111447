"""Checkpoints: what a `ckpt` line promises was flushed before it was written."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.bundle import checkpoint as checkpoint_module
from hlsdl.bundle.checkpoint import Checkpointer
from hlsdl.bundle.durable import Folder
from hlsdl.bundle.journal import JournalState
from hlsdl.bundle.ledger import Ledger, load_journal
from hlsdl.bundle.objects import ObjectStore, Whole
from hlsdl.errors import DiskError

from .shelves import VIDEO, body, segment_path


class Desk:
    """A bundle's folder with a ledger, a checkpointer and a store."""

    def __init__(self, path: Path) -> None:
        self.root = Folder.open(path)
        self.ledger = Ledger(self.root, JournalState())
        self.checkpointer = Checkpointer(self.root, self.ledger)
        self.objects = ObjectStore(self.root, self.ledger, self.checkpointer)

    def store(self, number: int) -> None:
        self.objects.store(Whole(path=segment_path(number), data=body(number)))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.checkpointer.stop()
    made.ledger.close()
    made.root.close()


def test_objects_folders_and_journal_are_flushed_in_order(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First each object, then its folder, then the bundle's folder, and the journal last."""
    order: list[str] = []

    def name_of(descriptor: int) -> str:
        return os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), tmp_path)

    real_sync = Folder.sync

    def sync(folder: Folder) -> None:
        order.append(os.path.relpath(folder.path, tmp_path))
        real_sync(folder)

    from hlsdl.bundle import ledger as ledger_module

    monkeypatch.setattr(checkpoint_module, "flush", lambda fd: order.append(name_of(fd)))
    monkeypatch.setattr(ledger_module, "flush", lambda fd: order.append(name_of(fd)))
    monkeypatch.setattr(Folder, "sync", sync)
    desk.store(1)
    desk.store(2)
    desk.checkpointer.checkpoint()
    assert order == [segment_path(1), segment_path(2), VIDEO, ".", "journal.jsonl"]
    assert load_journal(desk.root).unsynced == frozenset()


def test_nothing_new_means_nothing_to_do(desk: Desk, tmp_path: Path) -> None:
    """A second checkpoint writes no second line, and an empty one makes no journal."""
    desk.checkpointer.checkpoint()
    assert not (tmp_path / "journal.jsonl").exists()
    desk.store(1)
    desk.checkpointer.checkpoint()
    length = (tmp_path / "journal.jsonl").stat().st_size
    desk.checkpointer.checkpoint()
    assert (tmp_path / "journal.jsonl").stat().st_size == length


def test_an_object_whose_flush_fails_is_not_complete(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed and dropped, the error is told, no checkpoint is claimed, and no descriptor is flushed twice."""
    flushed: list[int] = []

    def fail_second(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        if len(flushed) == 2:
            raise OSError(errno.EIO, "broken")

    for number in range(3):
        desk.store(number)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint_module, "flush", fail_second)
        with pytest.raises(DiskError, match="I/O error"):
            desk.checkpointer.checkpoint()
    assert len(set(flushed)) == len(flushed) == 2
    state = load_journal(desk.root)
    assert set(state.entries) == set(desk.ledger.entries) == {segment_path(0), segment_path(2)}
    assert state.unsynced == set(state.entries)
    assert not (tmp_path / segment_path(1)).exists()
    desk.checkpointer.checkpoint()
    assert load_journal(desk.root).unsynced == frozenset()


def test_a_vanished_object_is_dropped_and_the_rest_goes_on(desk: Desk, tmp_path: Path) -> None:
    """A file that someone deleted meanwhile is not vouched for."""
    for number in range(3):
        desk.store(number)
    (tmp_path / segment_path(1)).unlink()
    desk.checkpointer.checkpoint()
    assert set(desk.ledger.entries) == {segment_path(0), segment_path(2)}
    assert load_journal(desk.root).unsynced == frozenset()


def test_an_object_that_was_stored_anew_is_not_dropped_with_the_one_that_vanished(desk: Desk, tmp_path: Path) -> None:
    desk.store(1)
    (tmp_path / segment_path(1)).unlink()
    desk.checkpointer.found_gone = lambda: desk.store(1)  # in this very moment
    desk.checkpointer.checkpoint()
    assert set(desk.ledger.entries) == {segment_path(1)}
    assert load_journal(desk.root).unsynced == {segment_path(1)}


def test_a_close_that_fails_leaves_no_other_descriptor_open(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        desk.store(number)
    closed: list[int] = []
    real = os.close

    def close(descriptor: int) -> None:
        real(descriptor)
        closed.append(descriptor)
        if len(closed) == 2:
            raise OSError(errno.EIO, "refused")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint_module.os, "close", close)
        with pytest.raises(DiskError):
            desk.checkpointer.checkpoint()
    for descriptor in closed[:5]:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    assert len(closed) >= 5


def test_thirty_two_objects_make_a_checkpoint_by_themselves(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The background thread wakes without being asked, long before its five seconds."""
    made = threading.Event()
    mark = desk.ledger.mark_checkpoint
    monkeypatch.setattr(desk.ledger, "mark_checkpoint", lambda batch: (mark(batch), made.set()))
    for number in range(checkpoint_module.EVERY_OBJECTS):
        desk.store(number)
    assert made.wait(4)


def test_the_next_checkpoint_lets_objects_gather(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast objects come, a pass begins a quarter of a second after the last one ended, and ends it at once."""
    monkeypatch.setattr(checkpoint_module, "LEAST_SECONDS", 1000.0)
    waits: list[float] = []
    is_waiting = threading.Event()
    wait = desk.checkpointer._stopping.wait

    def noted(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 2:
            is_waiting.set()
        return wait(seconds)

    monkeypatch.setattr(desk.checkpointer._stopping, "wait", noted)
    made = threading.Event()
    mark = desk.ledger.mark_checkpoint
    monkeypatch.setattr(desk.ledger, "mark_checkpoint", lambda batch: (mark(batch), made.set()))
    for number in range(checkpoint_module.EVERY_OBJECTS):
        desk.store(number)
    assert made.wait(4)
    for number in range(checkpoint_module.EVERY_OBJECTS):
        desk.store(100 + number)
    assert is_waiting.wait(4)
    assert waits[0] == 0
    assert waits[1] > 900
    assert desk.ledger.pending >= checkpoint_module.EVERY_OBJECTS
    desk.checkpointer.stop()


def test_time_alone_makes_a_checkpoint(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single object is flushed after the interval, however few follow it."""
    made = threading.Event()
    mark = desk.ledger.mark_checkpoint
    monkeypatch.setattr(checkpoint_module, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(desk.ledger, "mark_checkpoint", lambda batch: (mark(batch), made.set()))
    desk.store(1)
    assert made.wait(4)


def test_a_background_failure_stops_the_work(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the background thread met is raised by the next object that is stored."""
    tried = threading.Event()

    def fail(_: int) -> None:
        tried.set()
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(checkpoint_module, "flush", fail)
    monkeypatch.setattr(checkpoint_module, "EVERY_SECONDS", 0.01)
    desk.store(1)
    assert tried.wait(4)
    thread = desk.checkpointer._thread
    assert thread is not None
    thread.join(4)
    with pytest.raises(DiskError, match="I/O error"):
        desk.store(2)


def test_after_a_folder_was_moved_away_objects_are_stored_where_they_belong(desk: Desk, tmp_path: Path) -> None:
    """The first checkpoint finds that the folder that is kept open is another one now."""
    desk.store(1)
    (tmp_path / VIDEO).rename(tmp_path / "moved")
    desk.store(2)
    assert (tmp_path / "moved" / segment_path(2).rpartition("/")[2]).exists()
    desk.checkpointer.checkpoint()
    assert desk.ledger.entries == {}
    desk.store(2)
    assert (tmp_path / segment_path(2)).read_bytes() == body(2)
    desk.checkpointer.checkpoint()
    assert list(desk.ledger.entries) == [segment_path(2)]
