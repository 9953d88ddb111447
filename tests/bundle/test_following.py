"""Whoever follows a journal knows what is stored, a line at a time, whatever the writer does with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlsdl.bundle.following import JournalFollower
from hlsdl.bundle.journal import Entry, drop_line, entry_line
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import PolicyError

STREAM = "0-" + "A" * 32 + "-800000"


def name(number: int) -> str:
    return f"{STREAM}/{number:09d}.ts"


def line(number: int, size: int = 1) -> bytes:
    return entry_line(Entry(path=name(number), size=size, sha256="0" * 64))


def test_it_sees_what_a_writer_stores_and_forgets(tmp_path: Path) -> None:
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        follower = JournalFollower(path)
        assert not follower.refresh()
        for number in range(3):
            writer.put(name(number), b"x" * (number + 1))
            assert follower.refresh()
            assert dict(follower.entries) == dict(writer.entries)
        assert not follower.refresh()
        writer.forget(name(1))
        assert follower.refresh()
        assert dict(follower.entries) == dict(writer.entries)


def test_half_a_line_is_read_when_its_end_is_there(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    whole, half = line(0), line(1)
    journal.write_bytes(whole + half[:30])
    follower = JournalFollower(tmp_path)
    assert follower.refresh()
    assert set(follower.entries) == {name(0)}
    with journal.open("ab") as file:
        file.write(half[30:])
    assert follower.refresh()
    assert set(follower.entries) == {name(0), name(1)}


def test_a_damaged_line_says_nothing_and_the_next_ones_count(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(line(0)[:40] + b"\n" + line(1) + line(2, 5) + drop_line(name(1)))
    follower = JournalFollower(tmp_path)
    follower.refresh()
    assert {path: entry.size for path, entry in follower.entries.items()} == {name(2): 5}


def test_a_journal_that_was_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(line(0) + line(1))
    follower = JournalFollower(tmp_path)
    follower.refresh()
    (tmp_path / "new").write_bytes(line(2) + line(3) + line(4))
    (tmp_path / "new").rename(journal)
    follower.refresh()
    assert set(follower.entries) == {name(2), name(3), name(4)}
    journal.write_bytes(line(0))
    follower.refresh()
    assert set(follower.entries) == {name(0)}
    journal.unlink()
    assert follower.refresh()
    assert follower.entries == {}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(line(0))
    (tmp_path / "journal.jsonl").symlink_to("elsewhere")
    with pytest.raises(PolicyError):
        JournalFollower(tmp_path).refresh()
