"""Recovery: every state an interruption can leave, built by hand, ends as a bundle whose every entry is true."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from hlsdl.bundle import recovery as recovery_module
from hlsdl.bundle.durable import boot_id
from hlsdl.bundle.journal import (
    Entry,
    JournalState,
    Opening,
    checkpoint_line,
    close_line,
    drop_line,
    entry_line,
    opening_line,
    replay,
)
from hlsdl.bundle.manifest import WrittenIn
from hlsdl.bundle.recovery import Cause, Recovery, trust_in
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError

from .shelves import VIDEO, body, entry_for, fill, manifest, require_true, sealed, segment_path, stream

HERE = Opening(boot="this-boot", device=1, inode=2, pid=3)
NEEDS_BOOT_ID = pytest.mark.skipif(
    boot_id() is None, reason="this system has no boot id: a dead process looks like a power cut"
)


class Shelf:
    """A bundle folder whose state is written by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / VIDEO).mkdir(parents=True)
        self.lines: list[bytes] = []

    def opened(self, boot: str | None = "", *, inode: int = 0) -> None:
        """An `open` line; by default of this boot and this folder."""
        status = self.path.stat()
        self.lines.append(
            opening_line(
                Opening(
                    boot=boot_id() if boot == "" else boot,
                    device=status.st_dev,
                    inode=inode or status.st_ino,
                    pid=1,
                )
            )
        )

    def entry(self, number: int) -> Entry:
        entry = entry_for(segment_path(number), body(number))
        self.lines.append(entry_line(entry))
        return entry

    def file(self, number: int, data: bytes | None = None, *, temporary: bool = False) -> Path:
        path = self.path / segment_path(number)
        if temporary:
            path = path.with_name(f".{path.name}.0badcafe.part")
        path.write_bytes(body(number) if data is None else data)
        return path

    def stored(self, *numbers: int) -> None:
        for number in numbers:
            self.entry(number)
            self.file(number)

    def checkpoint(self) -> None:
        self.lines.append(checkpoint_line(sum(map(len, self.lines))))

    def recover(self) -> Recovery:
        """Open for writing, leave as a dying process does, and check the promise; then once more: nothing changes."""
        if self.lines:
            (self.path / "journal.jsonl").write_bytes(b"".join(self.lines))
        first = self.open()
        entries = require_true(self.path)
        again = self.open()
        assert (again.dropped, again.removed, again.rolled_forward, again.adopted) == ((), (), (), ())
        assert require_true(self.path) == entries
        return first

    def open(self) -> Recovery:
        writer = BundleWriter.open(self.path)
        writer.close(clean=False)
        return writer.recovery

    def numbers(self) -> set[int]:
        entries = replay((self.path / "journal.jsonl").read_bytes()).entries
        return {int(path[-13:-4]) for path in entries}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "A.movpkg")


# What to believe.


def test_how_much_is_believed_follows_from_the_last_end() -> None:
    """Clean and same boot: sizes; other boot: sizes up to the checkpoint; other folder: nothing."""

    def after(opening: Opening, *, clean: bool = False) -> tuple[Cause, bool, bool, bool]:
        trust = trust_in(JournalState(opening=opening, is_clean=clean), HERE, None)
        return trust.cause, trust.checkpointed, trust.recent, trust.names

    other_boot = Opening(boot="other", device=1, inode=2, pid=3)
    no_boot = Opening(boot=None, device=1, inode=2, pid=3)
    copied = Opening(boot="this-boot", device=1, inode=99, pid=3)
    assert after(HERE) == (Cause.PROCESS_DIED, True, True, True)
    assert after(HERE, clean=True) == (Cause.CLEAN, True, True, True)
    assert after(other_boot) == (Cause.POWER_LOST, True, False, False)
    assert after(other_boot, clean=True) == (Cause.CLEAN, True, True, True)
    assert after(no_boot) == (Cause.POWER_LOST, True, False, False)
    assert after(copied, clean=True) == (Cause.MOVED, False, False, False)
    nowhere = Opening(boot=None, device=1, inode=2, pid=3)
    assert trust_in(JournalState(opening=no_boot), nowhere, None).cause is Cause.POWER_LOST


def test_a_lost_journal_is_judged_by_the_manifest() -> None:
    """Names are believed when the manifest was written here, in this boot or at seal."""

    def names(state: str, boot: str | None, inode: int) -> bool:
        written = manifest(state=state, written_in=WrittenIn(boot=boot, device=1, inode=inode))
        trust = trust_in(JournalState(), HERE, written)
        assert trust.cause is Cause.JOURNAL_LOST
        return trust.names

    assert names("partial", "this-boot", 2)
    assert names("complete", "other", 2)
    assert not names("partial", "other", 2)
    assert not names("partial", None, 2)
    assert not names("complete", "this-boot", 99)
    assert not trust_in(JournalState(), HERE, manifest()).names
    assert trust_in(JournalState(), HERE, None).cause is Cause.NEW


# After the death of a process.


@NEEDS_BOOT_ID
def test_a_temporary_without_a_line_is_removed(shelf: Shelf) -> None:
    """Killed in step 1 or 2: the bytes are not known to be whole."""
    shelf.opened()
    shelf.stored(1)
    shelf.file(2, body(2)[:100], temporary=True)
    assert len(shelf.recover().removed) == 1
    assert shelf.numbers() == {1}


@NEEDS_BOOT_ID
def test_a_temporary_with_its_line_is_rolled_forward(shelf: Shelf) -> None:
    """Killed between line and name: the object is whole and gets its name, with nothing fetched."""
    shelf.opened()
    shelf.stored(1)
    shelf.entry(2)
    shelf.file(2, temporary=True)
    result = shelf.recover()
    assert result.cause is Cause.PROCESS_DIED
    assert result.rolled_forward == (segment_path(2),)
    assert shelf.numbers() == {1, 2}


@NEEDS_BOOT_ID
def test_a_temporary_that_is_not_what_its_line_says_is_removed(shelf: Shelf) -> None:
    """A temporary of another attempt, short or with other bytes, never gets the name."""
    shelf.opened()
    shelf.entry(1)
    shelf.file(1, body(1)[:-1], temporary=True)
    shelf.entry(2)
    shelf.file(2, body(3), temporary=True)
    result = shelf.recover()
    assert len(result.removed) == 2
    assert set(result.dropped) == {segment_path(1), segment_path(2)}


@NEEDS_BOOT_ID
def test_a_torn_line_costs_its_own_object_only(shelf: Shelf) -> None:
    """Killed within step 3: the half line is closed off, the temporary removed."""
    shelf.opened()
    shelf.stored(1)
    shelf.file(2, temporary=True)
    shelf.lines.append(entry_line(entry_for(segment_path(2), body(2)))[:40])
    assert shelf.recover().damaged_lines == 1
    assert shelf.numbers() == {1}


@NEEDS_BOOT_ID
def test_an_interrupted_replacement_is_rolled_forward(shelf: Shelf) -> None:
    """The old object still has the name, the new one is whole: the new one wins."""
    shelf.opened()
    shelf.file(1, body(7))
    shelf.lines.append(entry_line(entry_for(segment_path(1), body(7))))
    shelf.entry(1)
    shelf.file(1, temporary=True)
    assert shelf.recover().rolled_forward == (segment_path(1),)
    assert (shelf.path / segment_path(1)).read_bytes() == body(1)


@NEEDS_BOOT_ID
def test_a_doubtful_final_name_is_hashed(shelf: Shelf) -> None:
    """A line whose temporary is damaged may describe bytes that never got the name: size proves nothing then."""
    shelf.opened()
    shelf.entry(1)
    shelf.file(1, body(7))
    shelf.file(1, body(8), temporary=True)
    assert shelf.recover().dropped == (segment_path(1),)
    assert shelf.numbers() == set()


@NEEDS_BOOT_ID
def test_a_temporary_never_takes_a_checkpointed_name(shelf: Shelf) -> None:
    """It belongs to a later attempt and has not been flushed, so the checkpoint must not come to speak of it."""
    shelf.opened()
    shelf.stored(1)
    shelf.checkpoint()
    shelf.file(1, temporary=True)
    result = shelf.recover()
    assert (result.rolled_forward, len(result.removed)) == ((), 1)
    assert shelf.numbers() == {1}


@NEEDS_BOOT_ID
def test_sizes_are_enough_after_a_dead_process(shelf: Shelf) -> None:
    """Nothing is read again; a short file and a missing one are noticed all the same."""
    shelf.opened()
    shelf.stored(*range(10))
    shelf.file(3, b"short")
    (shelf.path / segment_path(4)).unlink()
    result = shelf.recover()
    assert result.hashed == 0
    assert set(result.dropped) == {segment_path(3), segment_path(4)}
    assert shelf.numbers() == set(range(10)) - {3, 4}


@NEEDS_BOOT_ID
@pytest.mark.parametrize("tail", [b"\x00" * 4096, b"garbage\nmore", b"\xff" * 100])
def test_a_damaged_tail_loses_no_segment(shelf: Shelf, tail: bytes) -> None:
    """Whatever stands at the journal's end, the objects before it are kept and the next one is read."""
    shelf.opened()
    shelf.stored(1, 2)
    shelf.lines.append(tail)
    shelf.recover()
    with BundleWriter.open(shelf.path) as writer:
        writer.put(segment_path(3), body(3))
    assert shelf.numbers() == {1, 2, 3}
    require_true(shelf.path)


@NEEDS_BOOT_ID
def test_damage_in_the_middle_loses_no_segment(shelf: Shelf) -> None:
    """A whole segment whose line was damaged is adopted: nothing is fetched again."""
    shelf.opened()
    shelf.stored(1, 2, 3)
    shelf.lines[2] = shelf.lines[2].replace(b"seg", b"sag")
    result = shelf.recover()
    assert result.adopted == (segment_path(2),)
    entries = require_true(shelf.path)
    assert shelf.numbers() == {1, 2, 3}
    assert not entries[segment_path(2)].length_verified


@NEEDS_BOOT_ID
def test_a_deleted_journal_loses_no_segment(tmp_path: Path) -> None:
    """The files under their final names are adopted when the manifest shows that they were written in this boot."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        writer.save_manifest(manifest(stream(3, complete=False)))
        fill(writer, range(3))
    (path / "journal.jsonl").unlink()
    with BundleWriter.open(path) as writer:
        assert writer.recovery.cause is Cause.JOURNAL_LOST
        assert set(writer.recovery.adopted) == {segment_path(number) for number in range(3)}
    assert len(require_true(path)) == 3


# After a power cut.


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


def test_a_missing_boot_id_counts_as_a_power_cut(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no boot id, recent objects are hashed."""
    from hlsdl.bundle import ledger as ledger_module

    monkeypatch.setattr(ledger_module, "boot_id", lambda: None)
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
    assert state.opening.boot == boot_id()


# After a clean end, and elsewhere.


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
        assert writer.recovery.dropped == (segment_path(1),)
    require_true(copy)
    with BundleWriter.open(copy) as writer:
        assert (writer.recovery.cause, writer.recovery.hashed) == (Cause.CLEAN, 0)


def test_a_renamed_bundle_is_the_same(tmp_path: Path) -> None:
    """Moving the folder within its file system costs nothing."""
    path = sealed(tmp_path / "A.movpkg").rename(tmp_path / "B.movpkg")
    with BundleWriter.open(path) as writer:
        assert (writer.recovery.cause, writer.recovery.hashed) == (Cause.CLEAN, 0)


def test_an_interrupted_removal_ends_removed(shelf: Shelf) -> None:
    """The file is gone and the line not yet written: the entry is dropped."""
    shelf.opened()
    shelf.stored(1, 2)
    (shelf.path / segment_path(1)).unlink()
    assert shelf.recover().dropped == (segment_path(1),)


def test_a_dropped_and_removed_object_stays_away(shelf: Shelf) -> None:
    """After `drop` nothing of the object is left to find."""
    shelf.opened()
    shelf.stored(1)
    shelf.entry(2)
    shelf.lines.append(drop_line(segment_path(2)))
    assert shelf.recover().dropped == ()
    assert shelf.numbers() == {1}


def test_foreign_files_are_left_alone(shelf: Shelf) -> None:
    """Recovery removes temporaries of our pattern and unproven segments, and nothing else."""
    shelf.opened("an-earlier-boot")
    shelf.stored(1)
    foreign = ["notes.txt", f"{VIDEO}/notes.txt", f"{VIDEO}/.hidden", f"{VIDEO}/.x.part", "holiday/000000001.m4s"]
    (shelf.path / "holiday").mkdir()
    for name in foreign:
        (shelf.path / name).write_bytes(b"mine")
    (shelf.path / "journal.jsonl").write_bytes(b"".join(shelf.lines))
    assert shelf.open().removed == ()
    for name in foreign:
        assert (shelf.path / name).read_bytes() == b"mine"


def test_links_in_place_of_objects_are_no_objects(shelf: Shelf, tmp_path: Path) -> None:
    """A link under an entry's name, and a linked stream folder's name, prove nothing and lead nowhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(body(1))
    shelf.opened()
    shelf.entry(1)
    (shelf.path / segment_path(1)).symlink_to(victim)
    assert shelf.recover().dropped == (segment_path(1),)
    assert victim.read_bytes() == body(1)


def test_an_unreadable_object_is_a_disk_error(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error while hashing is told; nothing is judged or removed on its account."""
    shelf.opened("an-earlier-boot")
    shelf.stored(1)
    (shelf.path / "journal.jsonl").write_bytes(b"".join(shelf.lines))

    def broken(*_: object) -> tuple[int, str]:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patched:
        patched.setattr(recovery_module, "hash_file", broken)
        with pytest.raises(DiskError, match="I/O error"):
            BundleWriter.open(shelf.path)
    assert shelf.recover().kept == 1
    assert os.path.exists(shelf.path / segment_path(1))
