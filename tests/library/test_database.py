"""The door to SQLite: what a damaged, foreign, newer, busy or full database says, and that no change is half done."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.errors import DiskError, IntegrityError, LockedError
from hlsdl.library import database
from hlsdl.library.database import Database, Schema

FIRST = ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",)
SECOND = ("ALTER TABLE notes ADD COLUMN colour TEXT", "UPDATE notes SET colour = 'red'")
ONE, TWO = Schema(application=77, steps=(FIRST,)), Schema(application=77, steps=(FIRST, SECOND))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "notes.sqlite"


def write(path: Path, text: str, schema: Schema = ONE) -> None:
    opened = Database.open(path, schema)
    opened.change("INSERT INTO notes (text) VALUES (?)", (text,))
    opened.close()


def test_an_older_database_is_brought_up_to_date_once(path: Path) -> None:
    """The steps that it lacks are done in order; opening it again does none."""
    write(path, "old")
    for _ in range(2):
        opened = Database.open(path, TWO)
        assert opened.rows("SELECT text, colour FROM notes") == [{"text": "old", "colour": "red"}]
        opened.change("UPDATE notes SET colour = 'red'")
        opened.close()


def test_a_step_that_fails_leaves_the_older_version(path: Path) -> None:
    """All statements of an update or none."""
    write(path, "old")
    broken = Schema(application=77, steps=(FIRST, ("ALTER TABLE notes ADD COLUMN a TEXT", "UPDATE nothing SET a = 1")))
    with pytest.raises(Exception, match="refused"):
        Database.open(path, broken)
    opened = Database.open(path, ONE)
    assert opened.rows("SELECT * FROM notes") == [{"id": 1, "text": "old"}]
    opened.close()


def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    """It says so, with both versions, and what to do."""
    write(path, "new", TWO)
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match=r"newer hlsdl \(version 2 of its schema, 1 is known") as caught:
        Database.open(path, ONE)
    assert "update hlsdl" in str(caught.value.hint)
    assert path.read_bytes() == before


@pytest.mark.parametrize("application", [0, 5])
def test_a_foreign_database_is_left_alone(path: Path, application: int) -> None:
    """Another program's tables are not ours to change."""
    path.parent.mkdir()
    foreign = sqlite3.connect(path)
    foreign.execute(f"PRAGMA application_id = {application}")
    foreign.execute("CREATE TABLE notes (id INTEGER)")
    foreign.commit()
    foreign.close()
    with pytest.raises(IntegrityError, match="something else"):
        Database.open(path, ONE)


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough " * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_said_to_be_damaged(path: Path, content: bytes) -> None:
    """Exit code 8, the file's name, and that bundles are safe; the file stays for whoever wants to save it."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="damaged") as caught:
        Database.open(path, ONE)
    assert str(path) in caught.value.message
    assert "bundles" in str(caught.value.hint)
    assert path.read_bytes() == content


def test_damage_inside_is_found_when_it_is_read(path: Path) -> None:
    """A page that was overwritten is an error, never an empty answer."""
    for number in range(200):
        write(path, f"{number}" * 100)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    opened = Database.open(path, ONE)
    with pytest.raises(IntegrityError, match="damaged"):
        opened.rows("SELECT text FROM notes ORDER BY id")
    opened.close()


def test_a_database_that_stays_busy_is_an_error_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 11 after a while, and nothing is changed."""
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    write(path, "one")
    opened = Database.open(path, ONE)
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LockedError, match="busy"):
        opened.change("DELETE FROM notes")
    other.rollback()
    other.close()
    assert opened.change("DELETE FROM notes") == 1
    opened.close()


def test_several_changes_are_done_together_or_not_at_all(path: Path) -> None:
    """The second one is refused: the first one is not there either."""
    opened = Database.open(path, ONE)
    insert = "INSERT INTO notes (id, text) VALUES (?, ?)"
    with pytest.raises(Exception, match="UNIQUE"):
        opened.change_all([(insert, (1, "a")), (insert, (1, "b"))])
    assert opened.rows("SELECT * FROM notes") == []
    opened.change_all([(insert, (1, "a")), (insert, (2, "b"))])
    assert [row["text"] for row in opened.rows("SELECT text FROM notes ORDER BY id")] == ["a", "b"]
    opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    mounted = subprocess.run(command, check=False, capture_output=True) if sys.platform == "linux" else None
    if mounted is None or mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill_until_refused(opened: Database) -> tuple[int, DiskError]:
    for number in range(1000):
        try:
            opened.change("INSERT INTO notes (text) VALUES (?)", (f"{number}" + "x" * 3000,))
        except DiskError as error:
            return number, error
    raise AssertionError("the disk never became full")


def test_a_full_disk_loses_no_change_that_was_acknowledged(small_disk: Path) -> None:
    """Exit code 9 and resumable; what was written before is there, and it goes on when there is room."""
    opened = Database.open(small_disk / "notes.sqlite", ONE)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 120_000)
    written, error = fill_until_refused(opened)
    assert (error.code, error.resumable) == (9, True)
    assert "full" in error.message
    assert written > 0
    filler.unlink()
    assert opened.rows("SELECT count(*) AS n FROM notes") == [{"n": written}]
    opened.change("INSERT INTO notes (text) VALUES ('again')")
    opened.close()


WRITES_AND_DIES = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from library.test_database import ONE
from hlsdl.library.database import Database
Database.open(Path(sys.argv[1]), ONE).change("INSERT INTO notes (text) VALUES ('the last one')")
os._exit(0)
"""


def test_what_is_on_a_full_disk_can_be_copied(small_disk: Path) -> None:
    """Opening it takes room that there is not; also what a process that was killed had written last is there."""
    path = small_disk / "notes.sqlite"
    write(path, "one")
    subprocess.run([sys.executable, "-c", WRITES_AND_DIES, str(path), *sys.path], check=True)
    (small_disk / "notes.sqlite-shm").unlink()
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(1 << 20))
    with pytest.raises(DiskError):
        Database.open(path, ONE)
    copy = Database.copy_of(path, ONE)
    assert [row["text"] for row in copy.rows("SELECT text FROM notes ORDER BY id")] == ["one", "the last one"]
    copy.change("DELETE FROM notes")
    copy.close()
    filler.unlink()
    opened = Database.open(path, ONE)
    assert opened.rows("SELECT count(*) AS n FROM notes") == [{"n": 2}]
    opened.close()


def test_what_is_on_a_read_only_disk_can_be_copied_unless_its_last_changes_would_be_missed(small_disk: Path) -> None:
    """Those of a process that was killed, when the file that says where they are is lost."""
    whole, behind = small_disk / "whole.sqlite", small_disk / "behind.sqlite"
    for path in (whole, behind):
        write(path, "one")
    subprocess.run([sys.executable, "-c", WRITES_AND_DIES, str(behind), *sys.path], check=True)
    (small_disk / "behind.sqlite-shm").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for path in (whole, behind):
        with pytest.raises(DiskError):
            Database.open(path, ONE)
    copy = Database.copy_of(whole, ONE)
    assert [row["text"] for row in copy.rows("SELECT text FROM notes")] == ["one"]
    copy.close()
    with pytest.raises(DiskError):
        Database.copy_of(behind, ONE)


def test_there_is_no_copy_of_nothing(tmp_path: Path) -> None:
    """And none is made by asking."""
    with pytest.raises(DiskError):
        Database.copy_of(tmp_path / "notes.sqlite", ONE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """A file is in the way of the data folder."""
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(DiskError, match="cannot be used") as caught:
        Database.open(tmp_path / "data" / "notes.sqlite", ONE)
    assert "HLSDL_DATA" in str(caught.value.hint)


def test_closing_twice_is_fine(path: Path) -> None:
    """Whoever cleans up need not know who did before."""
    opened = Database.open(path, ONE)
    opened.close()
    opened.close()
    with pytest.raises(Exception, match="closed"):
        opened.rows("SELECT 1")
