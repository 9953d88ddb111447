"""Database: the one door to SQLite. A file with a schema that grows by numbered steps; every change is one transaction.

Written ahead (WAL), so that after any interruption a row is as it was before or after the change; where the schema says
so, a change is on the device before it is acknowledged. Several threads may use one `Database`, several processes one
file. What the tables mean is left to `tasks` and `bundles`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hlsdl.errors import DiskError, HlsdlError, IntegrityError, LockedError

PATIENCE = 10.0
"""Seconds to wait for another process's change; changes take milliseconds."""

Row = Mapping[str, Any]
Values = Mapping[str, Any] | Sequence[Any]

_DISK = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an I/O error, or is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "permission denied",
}
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a database of one kind holds."""

    application: int
    """SQLite's application id: tells our kinds of databases from each other and from foreign ones."""
    steps: tuple[tuple[str, ...], ...]
    """Statements that lead from each version to the next; a step that was released never changes."""
    is_durable: bool = True
    """Whether each change is on the device when the call returns. False: a power cut may take back the last ones."""


class Database:
    """An open database. Any thread; blocking."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        """For `open` and `in_memory`."""
        self._connection = connection
        self._name = name
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, schema: Schema) -> Self:
        """Open a file, making it (0600) and its folder (0700) when they are not there, and bring its schema up to date.

        Raises:
            DiskError: it cannot be read or written.
            IntegrityError: it is damaged, is no database of this kind, or was written by a newer version.
            LockedError: another process keeps it busy.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite would give a new file the mode that the umask leaves.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        except OSError as error:
            raise _unusable(str(path), f"{(error.strerror or 'it cannot be opened').lower()}") from error
        return cls._prepared(str(path), schema)

    @classmethod
    def in_memory(cls, schema: Schema) -> Self:
        """A database that is gone when it is closed."""
        return cls._prepared(":memory:", schema)

    @classmethod
    def copy_of(cls, path: Path, schema: Schema) -> Self:
        """What a file says now, in memory: for a disk that is read-only, or too full for the few kilobytes that opening
        it takes.

        Raises:
            DiskError: there is no such file, or it cannot be read.
            IntegrityError, LockedError: as `open`.
        """
        copy = _connected(":memory:")
        try:
            _read_into(copy, path)
        except BaseException:
            copy.close()
            raise
        return cls._on(copy, str(path), schema)

    @classmethod
    def _prepared(cls, name: str, schema: Schema) -> Self:
        return cls._on(_connected(name), name, schema)

    @classmethod
    def _on(cls, connection: sqlite3.Connection, name: str, schema: Schema) -> Self:
        connection.row_factory = sqlite3.Row
        database = cls(connection, name)
        try:
            database._set_up(schema)
            database._bring_up_to_date(schema)
        except BaseException:
            database.close()
            raise
        return database

    def rows(self, query: str, values: Values = ()) -> list[Row]:
        """What a SELECT finds."""
        with self._lock, _translating(self._name):
            found = self._connection.execute(query, _storable(values))
            return [{name: _restored(row[name]) for name in row.keys()} for row in found]  # noqa: SIM118 - a Row iterates values

    def change(self, statement: str, values: Values = ()) -> int:
        """Do one INSERT, UPDATE or DELETE; returns the new row's id for an INSERT, else how many rows."""
        with self._changing() as connection:
            cursor = connection.execute(statement, _storable(values))
            inserted = statement.lstrip()[:6].upper() == "INSERT"
            return (cursor.lastrowid or 0) if inserted else cursor.rowcount

    def change_all(self, changes: Sequence[tuple[str, Values]]) -> None:
        """Do several in one transaction: all of them or none."""
        with self._changing() as connection:
            for statement, values in changes:
                connection.execute(statement, _storable(values))

    def close(self) -> None:
        """Let go of the file. Again: nothing."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translating(self._name):
            # IMMEDIATE waits for its turn at the beginning, where waiting is possible, and not in the middle.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk and the like have ended the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _set_up(self, schema: Schema) -> None:
        with _translating(self._name):
            # Two processes that make the file at the same moment: the mode stays with the file, whoever sets it.
            if self._connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
                try:
                    self._connection.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF not in _BUSY:
                        raise
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if schema.is_durable else 'NORMAL'}")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA trusted_schema = OFF")

    def _bring_up_to_date(self, schema: Schema) -> None:
        if self._stamp() == (schema.application, len(schema.steps)):
            return
        with self._changing() as connection:
            application, version = self._stamp()  # again: another process may have been faster
            if application == 0 and version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                connection.execute(f"PRAGMA application_id = {schema.application}")
            elif application != schema.application:
                raise IntegrityError(
                    f"`{self._name}` is a database of something else", hint="move it away, then run this again"
                )
            if version > len(schema.steps):
                raise IntegrityError(
                    f"`{self._name}` was written by a newer hlsdl (version {version} of its schema, "
                    f"{len(schema.steps)} is known here)",
                    hint="update hlsdl, or name another data folder with `HLSDL_DATA`",
                )
            for step in schema.steps[version:]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(schema.steps)}")

    def _stamp(self) -> tuple[int, int]:
        """(application id, version) as the file says."""
        with _translating(self._name):
            application = self._connection.execute("PRAGMA application_id").fetchone()[0]
            return application, self._connection.execute("PRAGMA user_version").fetchone()[0]


def _connected(name: str, *, is_uri: bool = False) -> sqlite3.Connection:
    with _translating(name):
        return sqlite3.connect(name, timeout=PATIENCE, isolation_level=None, check_same_thread=False, uri=is_uri)


def _read_into(copy: sqlite3.Connection, path: Path) -> None:
    """Copy a database file, whoever has it open."""
    try:
        _back_up(path, copy, "NORMAL")
    except DiskError:
        # Alone with the file, SQLite keeps in memory what it otherwise writes beside it to share with others. Where
        # others have it open it is there already, and was enough above.
        try:
            _back_up(path, copy, "EXCLUSIVE")
        except DiskError:
            if os.path.lexists(f"{path}-wal"):  # its last changes are there, and would be passed over
                raise
            _back_up(path, copy, "NORMAL", how="mode=ro&immutable=1")  # read-only: there are no locks either


def _back_up(path: Path, copy: sqlite3.Connection, locking: str, *, how: str = "mode=rw") -> None:
    with closing(_connected(f"{path.absolute().as_uri()}?{how}", is_uri=True)) as source, _translating(str(path)):
        source.execute(f"PRAGMA locking_mode = {locking}")
        source.backup(copy)


def _storable(values: Values) -> Values:
    if isinstance(values, Mapping):
        return {name: _stored(value) for name, value in values.items()}
    return [_stored(value) for value in values]


def _stored(value: Any) -> Any:
    """A file name that is no valid text (PEP 383) is kept as bytes: SQLite takes no such text."""
    if isinstance(value, str) and not value.isascii():
        data = value.encode("utf-8", "surrogatepass")
        return value if data.decode("utf-8", "ignore") == value else data
    return value


def _restored(value: Any) -> Any:
    """The text again; sqlite3.DatabaseError when these bytes never were one."""
    try:
        return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        damage = sqlite3.DatabaseError("no text")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage from None


@contextmanager
def _translating(name: str) -> Iterator[None]:
    """Turn SQLite's errors into ours: the one place that does."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            raise LockedError(f"another process keeps `{name}` busy", hint="run this again in a moment") from error
        if code in _DAMAGED:
            raise IntegrityError(
                f"the database `{name}` is damaged",
                hint="move it away to begin a new one; bundles are not kept in it and stay as they are",
            ) from error
        if code in _DISK:
            raise _unusable(name, _DISK[code]) from error
        raise HlsdlError(f"the database `{name}` refused: {error}") from error
    except OverflowError as error:
        raise HlsdlError(f"the database `{name}` takes no such number") from error


class Tables:
    """Somebody's tables in a database; what is in them, the subclass says."""

    def __init__(self, database: Database) -> None:
        """For the `open` of a subclass; the database is closed with it."""
        self._database = database

    def close(self) -> None:
        """Let go of the file. Again: nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _unusable(name: str, reason: str) -> DiskError:
    return DiskError(
        f"the database `{name}` cannot be used: {reason}",
        hint="make room or check its permissions, or name another data folder with `HLSDL_DATA`",
    )
