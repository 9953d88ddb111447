"""Tasks: the rows in which a session's tasks survive the process.

A row is a plain value; what its texts mean (`configuration`, `error`, `phase`) is left to the session. Every change is
one transaction that is on the device when the call returns. Source: the tasks of a background URLSession.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from hlsdl.errors import UsageError
from hlsdl.library.database import Database, Row, Schema, Tables

SCHEMA = Schema(
    application=0x686C7374,  # "hlst"
    steps=(
        (
            # AUTOINCREMENT: the number of a removed task is never given again, in no session of this file.
            """CREATE TABLE tasks (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                session TEXT NOT NULL,
                kind TEXT NOT NULL,
                phase TEXT NOT NULL,
                source_url TEXT NOT NULL,
                configuration TEXT NOT NULL,
                created REAL NOT NULL,
                title TEXT,
                description TEXT,
                priority REAL NOT NULL,
                earliest_begin REAL,
                expected_bytes INTEGER,
                location TEXT,
                error TEXT,
                completed_bytes INTEGER NOT NULL,
                total_bytes INTEGER,
                acknowledged INTEGER NOT NULL
            )""",
            "CREATE INDEX tasks_of_session ON tasks (session, id)",
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task as it is stored. Times are seconds since 1970 (UTC)."""

    id: int
    """Given by the store; never used again (taskIdentifier)."""
    session: str
    """The identifier of the session it belongs to; the empty text for a session without one."""
    kind: str
    """`asset` or `file`."""
    phase: str
    source_url: str
    """With its query, which resuming needs: never shown unredacted."""
    configuration: str
    """What is wanted, as JSON."""
    created: float
    title: str | None = None
    description: str | None = None
    """The app's own words (taskDescription)."""
    priority: float = 0.5
    earliest_begin: float | None = None
    expected_bytes: int | None = None
    location: str | None = None
    error: str | None = None
    """Why it failed, as JSON."""
    completed_bytes: int = 0
    total_bytes: int | None = None
    acknowledged: bool = False
    """Whether the delegate has been told of the end."""

    def with_changes(self, **changes: Any) -> Self:
        """A copy with other values; TypeError for a field there is not."""
        return replace(self, **changes)

    def __repr__(self) -> str:
        # Addresses and configurations may hold secrets.
        return f"TaskRow({self.id}, {self.session!r}, {self.kind}, {self.phase})"


_COLUMNS = tuple(field.name for field in fields(TaskRow))
_INSERT = f"INSERT INTO tasks ({', '.join(_COLUMNS[1:])}) VALUES ({', '.join(f':{name}' for name in _COLUMNS[1:])})"  # noqa: S608 - our own names
_UPDATE = f"UPDATE tasks SET {', '.join(f'{name} = :{name}' for name in _COLUMNS[1:])} WHERE id = :id"  # noqa: S608


class TaskStore(Tables):
    """The tasks in one database. Any thread; blocking, for some milliseconds where they must reach the device.

    All methods raise DiskError, LockedError and IntegrityError as `Database` does.
    """

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file of tasks; it and its folder are made when they are not there."""
        return cls(Database.open(path, SCHEMA))

    @classmethod
    def in_memory(cls) -> Self:
        """A store that is gone when it is closed."""
        return cls(Database.in_memory(SCHEMA))

    def add(
        self, *, session: str, kind: str, phase: str, source_url: str, configuration: str, **others: Any
    ) -> TaskRow:
        """Store a new task and return its row, with the identifier it has from now on.

        Args:
            session, kind, phase, source_url, configuration: see `TaskRow`.
            others: other fields of `TaskRow`, where they differ from its defaults; `created` is now.
        """
        row = TaskRow(
            id=0,
            session=session,
            kind=kind,
            phase=phase,
            source_url=source_url,
            configuration=configuration,
            **{"created": time.time(), **others},
        )
        return row.with_changes(id=self._database.change(_INSERT, asdict(row)))

    def save(self, row: TaskRow) -> None:
        """Write a whole row in place of the one with its identifier; UsageError when there is none."""
        if not self._database.change(_UPDATE, asdict(row)):
            raise _gone(row.id)

    def all(self, session: str) -> tuple[TaskRow, ...]:
        """The tasks of one session, oldest first."""
        return tuple(map(_row, self._database.rows("SELECT * FROM tasks WHERE session = ? ORDER BY id", (session,))))

    def remove(self, id: int) -> None:  # noqa: A002 - the column's name
        """Forget a task; nothing there is fine."""
        self._database.change("DELETE FROM tasks WHERE id = ?", (id,))


def _row(stored: Row) -> TaskRow:
    values = {name: stored[name] for name in _COLUMNS}
    return TaskRow(**{**values, "acknowledged": bool(values["acknowledged"])})


def _gone(number: int) -> UsageError:
    return UsageError(f"there is no task {number}", hint="it was removed, or belongs to another session")
