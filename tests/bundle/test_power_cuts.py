"""Recovery from a power cut, or from what may have been one: only what was checkpointed is believed unread."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hlsdl.bundle import recovery as recovery_module
from hlsdl.bundle.durable import Folder
from hlsdl.bundle.journal import (
    close_line,
    replay,
)
from hlsdl.bundle.page_cache import page_cache_of
from hlsdl.bundle.recovery import Cause
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError

from .handwritten import Shelf
from .shelves import body, require_true, sealed, segment_path


def test_after_a_power_cut_only_checkpointed_objects_are_taken_unread(shelf: Shelf) -> None:
    """Everything after the last checkpoint is hashed: whole ones stay, zeroed, empty and short ones go."""
    shelf.opened("an-earlier-boot")
    shelf.stored(1, 2)
    shelf.checkpoint()
    shelf.stored(3, 4, 5, 6)
    shelf.file(4, bytes(2000))
    shelf.file(5, b"")
    (shelf.path / segment_path(6)).unlink()
    result = shelf.recover()
    assert result.cause is Cause.POWER_LOST
    assert result.hashed == 2
    assert set(result.dropped) == {segment_path(number) for number in (4, 5, 6)}
    assert shelf.numbers() == {1, 2, 3}


def test_a_page_cache_without_a_name_counts_as_a_power_cut(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell one mount from the next, recent objects are hashed."""
    monkeypatch.setattr(Folder, "page_cache", lambda folder: None)
    shelf.opened(None)
    shelf.stored(1)
    shelf.file(2, bytes(2000))
    shelf.entry(2)
    assert shelf.recover().cause is Cause.POWER_LOST
    assert shelf.numbers() == {1}


def test_after_a_power_cut_a_segment_without_a_line_is_removed(shelf: Shelf) -> None:
    """A name alone proves nothing after a power cut: the file may be full of zeros."""
    shelf.opened("an-earlier-boot")
    shelf.stored(1)
    shelf.file(2)
    assert shelf.recover().removed == (segment_path(2),)
    assert shelf.numbers() == {1}


def test_a_kill_during_recovery_does_not_hide_the_power_cut(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any step of recovery in the new boot, the next start still hashes what it has not judged."""
    shelf.opened("an-earlier-boot")
    shelf.stored(1, 2, 3, 4)
    shelf.file(2, bytes(2000))
    shelf.file(4, bytes(2000))
    (shelf.path / "journal.jsonl").write_bytes(b"".join(shelf.lines))
    shelf.lines.clear()
    real = recovery_module.remove_file
    calls: list[str] = []

    def killed(root: object, path: str) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise DiskError("killed here")
        real(root, path)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(recovery_module, "remove_file", killed)
        with pytest.raises(DiskError, match="killed here"):
            BundleWriter.open(shelf.path)
    result = shelf.recover()
    assert result.cause is Cause.POWER_LOST
    assert shelf.numbers() == {1, 3}


def test_objects_recovered_from_a_power_cut_take_part_in_the_next_checkpoint(shelf: Shelf) -> None:
    """What was hashed and kept is flushed and named by the next `ckpt`."""
    shelf.opened("an-earlier-boot")
    shelf.stored(1, 2)
    (shelf.path / "journal.jsonl").write_bytes(b"".join(shelf.lines))
    with BundleWriter.open(shelf.path):
        pass
    state = replay((shelf.path / "journal.jsonl").read_bytes())
    assert state.is_clean
    assert state.unsynced == frozenset()
    assert state.opening is not None
    assert state.opening.boot == page_cache_of(str(shelf.path))


def test_a_clean_end_is_believed_in_any_boot(shelf: Shelf) -> None:
    """After `close` sizes are enough, and a bundle that is only looked at keeps its journal as it is."""
    shelf.opened("an-earlier-boot")
    shelf.stored(1, 2)
    shelf.checkpoint()
    shelf.lines.append(close_line())
    result = shelf.recover()
    assert (result.cause, result.hashed, result.kept) == (Cause.CLEAN, 0, 2)
    assert (shelf.path / "journal.jsonl").read_bytes() == b"".join(shelf.lines)


def test_a_copied_bundle_is_hashed_whole_and_then_at_home(tmp_path: Path) -> None:
    """A copy is believed in nothing; after one clean end it is a bundle like any other."""
    original = sealed(tmp_path / "A.movpkg")
    copy = tmp_path / "B.movpkg"
    shutil.copytree(original, copy)
    (copy / segment_path(1)).write_bytes(bytes(2000))
    with BundleWriter.open(copy) as writer:
        assert writer.recovery.cause is Cause.MOVED
        assert writer.recovery.hashed == 5
        assert writer.recovery.wanted == (segment_path(1),)
        writer.put(segment_path(1), body(1))
    require_true(copy)
    with BundleWriter.open(copy) as writer:
        assert (writer.recovery.cause, writer.recovery.hashed) == (Cause.CLEAN, 1), "the key, as always"


def test_a_renamed_bundle_is_the_same(tmp_path: Path) -> None:
    """Moving the folder within its file system costs nothing."""
    path = sealed(tmp_path / "A.movpkg").rename(tmp_path / "B.movpkg")
    with BundleWriter.open(path) as writer:
        assert (writer.recovery.cause, writer.recovery.hashed) == (Cause.CLEAN, 1), "the key, as always"
