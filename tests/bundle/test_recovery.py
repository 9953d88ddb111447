"""Recovery: every state an interruption can leave, built by hand, ends as a bundle whose every entry is true."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hlsdl.bundle import recovery as recovery_module
from hlsdl.bundle.journal import (
    JournalState,
    Opening,
    drop_line,
    entry_line,
)
from hlsdl.bundle.layout import KEYS
from hlsdl.bundle.manifest import WrittenIn
from hlsdl.bundle.recovery import Cause, trust_in
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError

from .handwritten import NEEDS_PAGE_CACHE, Shelf
from .shelves import VIDEO, body, entry_for, fill, manifest, require_true, segment_path, stream

HERE = Opening(boot="this-boot", device=1, inode=2, pid=3)


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


@NEEDS_PAGE_CACHE
def test_a_temporary_without_a_line_is_removed(shelf: Shelf) -> None:
    """Killed in step 1 or 2: the bytes are not known to be whole."""
    shelf.opened()
    shelf.stored(1)
    shelf.file(2, body(2)[:100], temporary=True)
    assert len(shelf.recover().removed) == 1
    assert shelf.numbers() == {1}


@NEEDS_PAGE_CACHE
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


@NEEDS_PAGE_CACHE
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


@NEEDS_PAGE_CACHE
def test_a_torn_line_costs_its_own_object_only(shelf: Shelf) -> None:
    """Killed within step 3: the half line is closed off, the temporary removed."""
    shelf.opened()
    shelf.stored(1)
    shelf.file(2, temporary=True)
    shelf.lines.append(entry_line(entry_for(segment_path(2), body(2)))[:40])
    assert shelf.recover().damaged_lines == 1
    assert shelf.numbers() == {1}


@NEEDS_PAGE_CACHE
def test_an_interrupted_replacement_is_rolled_forward(shelf: Shelf) -> None:
    """The old object still has the name, the new one is whole: the new one wins."""
    shelf.opened()
    shelf.file(1, body(7))
    shelf.lines.append(entry_line(entry_for(segment_path(1), body(7))))
    shelf.entry(1)
    shelf.file(1, temporary=True)
    assert shelf.recover().rolled_forward == (segment_path(1),)
    assert (shelf.path / segment_path(1)).read_bytes() == body(1)


@NEEDS_PAGE_CACHE
def test_a_doubtful_final_name_is_hashed(shelf: Shelf) -> None:
    """A line whose temporary is damaged may describe bytes that never got the name: size proves nothing then."""
    shelf.opened()
    shelf.entry(1)
    shelf.file(1, body(7))
    shelf.file(1, body(8), temporary=True)
    assert shelf.recover().dropped == (segment_path(1),)
    assert shelf.numbers() == set()


@NEEDS_PAGE_CACHE
def test_a_temporary_never_takes_a_checkpointed_name(shelf: Shelf) -> None:
    """It belongs to a later attempt and has not been flushed, so the checkpoint must not come to speak of it."""
    shelf.opened()
    shelf.stored(1)
    shelf.checkpoint()
    shelf.file(1, temporary=True)
    result = shelf.recover()
    assert (result.rolled_forward, len(result.removed)) == ((), 1)
    assert shelf.numbers() == {1}


@NEEDS_PAGE_CACHE
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


@pytest.mark.parametrize("is_clean", [True, False])
def test_keys_are_read_again_whatever_their_size_says(is_clean: bool, tmp_path: Path) -> None:
    """One wrong bit in sixteen bytes, and a whole film is noise."""
    paths = [f"{KEYS}/{letter * 32}.key" for letter in "AB"]
    writer = BundleWriter.open(tmp_path)
    writer.save_manifest(manifest(stream(0)))
    for path in paths:
        writer.put(path, body(1, 32)[:16])
    writer.checkpoint()
    writer.close(clean=is_clean)
    (tmp_path / paths[0]).write_bytes(body(2, 32)[:16])
    with BundleWriter.open(tmp_path) as again:
        assert again.recovery.hashed == 2
        assert [again.is_stored(path) for path in paths] == [False, True]
        assert set(again.wanted) == {paths[0]}


def test_so_many_keys_that_it_takes_time_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_module, "MOST_KEYS_READ", 3)
    writer = BundleWriter.open(tmp_path)
    writer.save_manifest(manifest(stream(0)))
    for number, reads in ((3, 3), (4, 0)):
        for key in range(number):
            if not writer.is_stored(path := f"{KEYS}/{str(key) * 32}.key"):
                writer.put(path, body(key, 32)[:16])
        writer.close()
        writer = BundleWriter.open(tmp_path)
        assert writer.recovery.hashed == reads
    writer.close()


@NEEDS_PAGE_CACHE
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


@NEEDS_PAGE_CACHE
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


@NEEDS_PAGE_CACHE
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
