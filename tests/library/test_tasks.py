"""The rows of tasks: what is written is there, whole, whatever happens to the process."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.errors import UsageError
from hlsdl.library.tasks import TaskRow, TaskStore

TEXTS = st.text(st.characters(), max_size=40)  # with surrogates: a path need not be valid text
NEW = {"kind": "asset", "phase": "suspended", "source_url": "https://a.example/m.m3u8?t=1", "configuration": "{}"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions" / "films.sqlite"


def test_a_task_is_there_again_when_the_file_is_opened_again(path: Path) -> None:
    """Every field comes back as it was."""
    with TaskStore.open(path) as store:
        row = store.add(
            **NEW, session="films", title="Ein Film", description="film-42", priority=0.75, earliest_begin=1.5e9,
            expected_bytes=2**40, location="/a/b.movpkg", error='{"code": 3}', completed_bytes=7, total_bytes=9,
            acknowledged=True, created=1.25,
        )  # fmt: skip
    with TaskStore.open(path) as store:
        assert store.all("films") == (row,)
        assert store.all("other") == ()


def test_identifiers_are_never_given_again(path: Path) -> None:
    """Not after the newest task was removed, and not in another run."""
    with TaskStore.open(path) as store:
        first = store.add(**NEW, session="a")
        second = store.add(**NEW, session="b")
        store.remove(second.id)
    with TaskStore.open(path) as store:
        third = store.add(**NEW, session="b")
    assert first.id < second.id < third.id


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    """0600 in a 0700 folder, what SQLite puts beside it included: addresses may hold tokens."""
    before = os.umask(0)
    try:
        with TaskStore.open(path) as store:
            store.add(**NEW, session="a")
            modes = {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_saving_changes_one_row_only() -> None:
    """`save` writes a whole row; neighbours stay."""
    with TaskStore.in_memory() as store:
        one, two = store.add(**NEW, session="a"), store.add(**NEW, session="a")
        store.save(one.with_changes(phase="waiting", completed_bytes=5))
        store.save(two.with_changes(description="mine"))
        assert store.all("a") == (
            one.with_changes(phase="waiting", completed_bytes=5),
            two.with_changes(description="mine"),
        )


def test_a_task_that_is_not_there_cannot_be_changed() -> None:
    """A lost row is an error, never a silent nothing; removing it twice is fine."""
    with TaskStore.in_memory() as store:
        row = store.add(**NEW, session="a")
        store.remove(row.id)
        store.remove(row.id)
        with pytest.raises(UsageError, match="no task"):
            store.save(row)


def test_only_fields_of_a_task_can_change() -> None:
    """A misspelt field is a defect of the caller."""
    row = TaskRow(id=1, session="a", created=0.0, **NEW)
    with pytest.raises(TypeError):
        row.with_changes(state="x")


def test_a_rows_repr_shows_no_address() -> None:
    """Queries and configurations may hold secrets."""
    row = TaskRow(id=1, session="a", created=0.0, **NEW)
    assert "example" not in repr(row)


@given(TEXTS, TEXTS, TEXTS)
def test_any_text_is_kept_as_it_is(session: str, description: str, configuration: str) -> None:
    """Quotes, semicolons and every script."""
    with TaskStore.in_memory() as store:
        row = store.add(**{**NEW, "configuration": configuration}, session=session, description=description)
        assert store.all(session) == (row,)


def test_threads_share_a_store(path: Path) -> None:
    """No change of any thread is lost."""
    with TaskStore.open(path) as store, ThreadPoolExecutor(4) as threads:
        rows = list(threads.map(lambda number: store.add(**NEW, session="a", description=str(number)), range(40)))
        list(threads.map(lambda row: store.save(row.with_changes(phase="waiting")), rows))
        found = store.all("a")
    assert len({row.id for row in found}) == 40
    assert {row.phase for row in found} == {"waiting"}


ADDING = """
import sys
from pathlib import Path
from hlsdl.library.tasks import TaskStore
sys.stdin.readline()
with TaskStore.open(Path(sys.argv[1])) as store:
    for number in range(30):
        store.add(session=sys.argv[2], kind="asset", phase="waiting", source_url="u", configuration="{}")
"""


def test_two_processes_make_and_use_one_file(path: Path) -> None:
    """Both find no file, both make it, and no task of either is lost."""
    command = [sys.executable, "-c", ADDING, str(path)]
    running = [subprocess.Popen([*command, name], stdin=subprocess.PIPE, text=True) for name in ("a", "b", "c")]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in running] == [0, 0, 0]
    with TaskStore.open(path) as store:
        rows = [row for name in ("a", "b", "c") for row in store.all(name)]
    assert len({row.id for row in rows}) == 90


CHANGING = """
import sys
from pathlib import Path
from hlsdl.library.tasks import TaskStore
store = TaskStore.open(Path(sys.argv[1]))
row = store.all("a")[0]
for number in range(1, 10**6):
    text = f"{number}:" + "x" * (number * 997 % 20_000)
    store.save(row.with_changes(phase=f"p{number}", description=text, configuration=text, completed_bytes=number))
    print(number, flush=True)
"""


@pytest.mark.parametrize("changes", [1, 7, 40, 160])
def test_a_killed_process_leaves_a_row_old_or_new(path: Path, changes: int) -> None:
    """kill -9 while rows are written: what was acknowledged is there, and no row is half of each."""
    with TaskStore.open(path) as store:
        store.add(**NEW, session="a")
    process = subprocess.Popen([sys.executable, "-c", CHANGING, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(changes):
        process.stdout.readline()
    process.kill()
    acknowledged = max([changes, *map(int, process.stdout.read().split("\n")[:-1])])
    process.wait(60)
    with TaskStore.open(path) as store:
        [row] = store.all("a")
        number = row.completed_bytes
        assert number in (acknowledged, acknowledged + 1)
        assert row.phase == f"p{number}"
        assert row.description == row.configuration == f"{number}:" + "x" * (number * 997 % 20_000)
        store.save(row.with_changes(phase="waiting"))


def test_a_reader_is_not_stopped_by_a_writer(path: Path) -> None:
    """`hlsdl tasks` may look while a session works: it sees the rows as they were before."""
    with TaskStore.open(path) as store, TaskStore.open(path) as reader:
        row = store.add(**NEW, session="a")
        writing = sqlite3.connect(path)
        writing.execute("BEGIN IMMEDIATE")
        writing.execute("UPDATE tasks SET phase = 'half'")
        seen: list[tuple[TaskRow, ...]] = []
        thread = threading.Thread(target=lambda: seen.append(reader.all("a")))
        thread.start()
        thread.join(30)
        writing.rollback()
        writing.close()
    assert seen == [(row,)]
