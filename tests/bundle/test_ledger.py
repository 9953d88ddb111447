"""The ledger: lines and names change together, and a failure leaves nothing half said."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.bundle import ledger as ledger_module
from hlsdl.bundle.durable import Folder
from hlsdl.bundle.journal import JournalState, entry_line, replay
from hlsdl.bundle.ledger import Ledger, Ready, load_journal, this_opening
from hlsdl.bundle.recovery import Cause, Trust, recover
from hlsdl.errors import DiskError

from .shelves import body, entry_for


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Folder]:
    with Folder.open(tmp_path) as folder:
        yield folder


def whole(root: Folder, name: str, token: str = "0badcafe") -> Ready:
    """A whole temporary, to be committed."""
    descriptor = root.create(f".{name}.{token}.part")
    os.write(descriptor, body(1))
    os.close(descriptor)
    return Ready(entry=entry_for(name, body(1)), folder=root, temporary=f".{name}.{token}.part")


def store(ledger: Ledger, root: Folder, name: str) -> None:
    """A whole temporary, committed."""
    ledger.commit(whole(root, name))


def journal(tmp_path: Path) -> bytes:
    return (tmp_path / "journal.jsonl").read_bytes()


def test_a_commit_writes_the_line_and_gives_the_name(root: Folder, tmp_path: Path) -> None:
    """After a commit there is the final name, the `open` line, and one entry that awaits a checkpoint."""
    ledger = Ledger(root, JournalState())
    store(ledger, root, "a")
    state = load_journal(root)
    assert (tmp_path / "a").read_bytes() == body(1)
    assert state.entries == dict(ledger.entries)
    assert state.opening == this_opening(root)
    assert state.unsynced == {"a"}
    assert ledger.pending == 1
    ledger.close()


def test_the_line_stands_before_the_name(root: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment of the rename the journal already has the entry: a kill between the two loses nothing."""
    seen: list[set[str]] = []
    rename = Folder.rename

    def spy(folder: Folder, old: str, new: str) -> None:
        seen.append(set(replay(journal(tmp_path)).entries))
        rename(folder, old, new)

    monkeypatch.setattr(Folder, "rename", spy)
    ledger = Ledger(root, JournalState())
    store(ledger, root, "a")
    ledger.close()
    assert seen == [{"a"}]


def test_a_refused_rename_is_taken_back(root: Folder, tmp_path: Path) -> None:
    """When the name cannot be given, the journal says so, and the entry is gone."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "foreign").write_bytes(b"")
    ledger = Ledger(root, JournalState())
    with pytest.raises(DiskError):
        store(ledger, root, "a")
    assert "a" not in ledger.entries
    assert load_journal(root).entries == {}
    ledger.close()


def test_objects_that_are_ready_together_share_one_write(
    root: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All lines stand in the journal, by one write, before the first name is given."""
    seen: list[set[str]] = []
    writes: list[bytes] = []
    rename = Folder.rename

    def spy(folder: Folder, old: str, new: str) -> None:
        seen.append(set(replay(journal(tmp_path)).entries))
        rename(folder, old, new)

    monkeypatch.setattr(Folder, "rename", spy)
    write = ledger_module.write_all
    monkeypatch.setattr(ledger_module, "write_all", lambda fd, data: (writes.append(data), write(fd, data)))
    ledger = Ledger(root, JournalState())
    ready = [whole(root, name) for name in "abc"]
    assert ledger.commit_all(ready) == [None, None, None]
    ledger.close()
    assert seen == [{"a", "b", "c"}] * 3
    assert len(writes) == 1
    assert [one.temporary for one in ready] == ["", "", ""]


def test_one_refused_name_of_several_is_taken_back_alone(root: Folder, tmp_path: Path) -> None:
    """The others keep theirs, and the journal drops exactly that one."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "foreign").write_bytes(b"")
    ledger = Ledger(root, JournalState())
    first, second, third = ledger.commit_all([whole(root, name) for name in "abc"])
    assert (first, third) == (None, None)
    assert isinstance(second, DiskError)
    assert isinstance(second.__cause__, OSError)
    assert set(ledger.entries) == set(load_journal(root).entries) == {"a", "c"}
    ledger.close()


@pytest.mark.parametrize("has_room_afterwards", [True, False])
def test_lines_that_do_not_all_fit_speak_for_nothing(
    root: Folder, monkeypatch: pytest.MonkeyPatch, *, has_room_afterwards: bool
) -> None:
    """When the write of several lines stops in the middle, none of them counts, whole ones included."""
    ledger = Ledger(root, JournalState())
    store(ledger, root, "z")
    ready = [whole(root, name) for name in "abc"]
    write, calls = ledger_module.write_all, [0]

    def half(descriptor: int, data: bytes) -> None:
        calls[0] += 1
        if calls[0] == 1:
            os.write(descriptor, data[: len(data) // 2])
        if calls[0] == 1 or not has_room_afterwards:
            raise OSError(errno.ENOSPC, "full")
        write(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(ledger_module, "write_all", half)
        refusals = ledger.commit_all(ready)
    assert all(isinstance(one, DiskError) for one in refusals)
    assert set(ledger.entries) == {"z"}
    for one in ready:
        root.unlink(one.temporary)
    store(ledger, root, "y")
    ledger.close()
    state = load_journal(root)
    if has_room_afterwards:
        assert set(state.entries) == {"y", "z"}
    else:
        # There was no room to say so; whoever comes next sees that the file is not there.
        assert set(state.entries) == {"a", "y", "z"}
        next_ledger = Ledger(root, state)
        trust = Trust(cause=Cause.PROCESS_DIED, checkpointed=True, recent=True, names=True)
        assert recover(root, next_ledger, state, trust).dropped == ("a",)
        next_ledger.close()


def test_what_replaces_something_goes_by_itself(root: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the line of a replacement cannot be written, the old object goes on counting, in memory and on disk."""
    ledger = Ledger(root, JournalState())
    store(ledger, root, "a")
    before = dict(ledger.entries)
    ready = [whole(root, "b"), whole(root, "a")]

    def refuse_a(descriptor: int, data: bytes) -> None:
        if b'"path":"a"' in data:
            raise OSError(errno.ENOSPC, "full")
        os.write(descriptor, data)

    monkeypatch.setattr(ledger_module, "write_all", refuse_a)
    first, second = ledger.commit_all(ready)
    assert first is None
    assert isinstance(second, DiskError)
    assert ledger.entries["a"] == before["a"]
    assert set(load_journal(root).entries) == {"a", "b"}
    assert (tmp_path / "a").read_bytes() == body(1)
    ledger.close()


def test_the_same_object_twice_is_stored_twice(root: Folder, tmp_path: Path) -> None:
    """Two temporaries for one name, ready together: the later one stands, and the journal says so."""
    ledger = Ledger(root, JournalState())
    assert ledger.commit_all([whole(root, "a", "00000001"), whole(root, "a", "00000002")]) == [None, None]
    assert set(load_journal(root).entries) == {"a"}
    assert sorted(os.listdir(tmp_path)) == ["a", "journal.jsonl"]
    ledger.close()


def test_a_torn_line_is_closed_off(root: Folder, tmp_path: Path) -> None:
    """The first line after a torn tail begins on its own."""
    (tmp_path / "journal.jsonl").write_bytes(entry_line(entry_for("a", b"")) + b'deadbeef {"t":"seg","pa')
    ledger = Ledger(root, load_journal(root))
    store(ledger, root, "b")
    ledger.close()
    assert set(load_journal(root).entries) == {"a", "b"}


def test_a_full_disk_in_the_journal_tears_one_line_only(
    root: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that was half written is refused, closed off, and the next one is read."""
    ledger = Ledger(root, JournalState())
    store(ledger, root, "a")

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(ledger_module, "write_all", half)
        with pytest.raises(DiskError, match="full"):
            store(ledger, root, "b")
    assert set(ledger.entries) == {"a"}
    store(ledger, root, "c")
    ledger.close()
    assert set(load_journal(root).entries) == {"a", "c"}


def test_a_checkpoint_speaks_only_of_what_has_its_name(
    root: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch taken while an object is between line and name waits for the name, or leaves the object out."""
    ledger = Ledger(root, JournalState())
    store(ledger, root, "a")
    rename, reached, release = Folder.rename, threading.Event(), threading.Event()

    def slow(folder: Folder, old: str, new: str) -> None:
        reached.set()
        assert release.wait(5)
        rename(folder, old, new)

    monkeypatch.setattr(Folder, "rename", slow)
    writer = threading.Thread(target=store, args=(ledger, root, "b"))
    writer.start()
    assert reached.wait(5)
    batches: list[tuple[str, ...]] = []
    taker = threading.Thread(target=lambda: batches.append(ledger.take_batch().paths))
    taker.start()
    assert batches == []
    release.set()
    writer.join()
    taker.join()
    assert batches == [("a", "b")]
    ledger.close()


def test_a_hard_linked_backup_of_the_journal_is_left_alone(root: Folder, tmp_path: Path) -> None:
    """Appending to a journal with a second name changes this bundle's copy only."""
    original = entry_line(entry_for("a", b""))
    (tmp_path / "journal.jsonl").write_bytes(original)
    os.link(tmp_path / "journal.jsonl", tmp_path / "backup")
    ledger = Ledger(root, load_journal(root))
    store(ledger, root, "b")
    ledger.close()
    assert (tmp_path / "backup").read_bytes() == original
    assert set(load_journal(root).entries) == {"a", "b"}


def test_what_recovery_found_is_written_before_the_opening(root: Folder) -> None:
    """`settle` writes no `open` line: its boot id would vouch for what was not judged in that boot."""
    ledger = Ledger(root, JournalState())
    ledger.settle(dropped={"x": None}, wanted={}, adopted=[entry_for("a", b"")])
    assert load_journal(root).opening is None
    store(ledger, root, "b")
    assert load_journal(root).opening == this_opening(root)
    ledger.close()


def test_compaction_keeps_the_entries_and_ends_cleanly(root: Folder, tmp_path: Path) -> None:
    """The compact journal is what its hash says, and later changes open it anew."""
    import hashlib

    ledger = Ledger(root, JournalState())
    for name in ("b", "a", "b"):
        store(ledger, root, name)
    length, sha256 = ledger.compact()
    text = journal(tmp_path)
    assert (len(text), hashlib.sha256(text).hexdigest()) == (length, sha256)
    assert replay(text).is_clean
    assert set(replay(text).entries) == {"a", "b"}
    store(ledger, root, "c")
    assert journal(tmp_path).startswith(text)
    assert set(load_journal(root).entries) == {"a", "b", "c"}
    assert not load_journal(root).is_clean
    ledger.close()
