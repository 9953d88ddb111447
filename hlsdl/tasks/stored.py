"""Where a session keeps its tasks: in memory, or for a background session in a folder that it has to itself.

What a row means is the tasks' own business; tables and transactions are `library.tasks`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from hlsdl.bundle.durable import BundleLock, Folder, translating
from hlsdl.errors import LockedError
from hlsdl.library.places import sessions_folder
from hlsdl.library.tasks import TaskRow, TaskStore
from hlsdl.tasks.session_configuration import SessionConfiguration, SessionKind
from hlsdl.tasks.states import Phase


class StoredTasks:
    """A session's task store, and the lock on its identifier: two sessions with one would both run its tasks."""

    def __init__(self, configuration: SessionConfiguration) -> None:
        """Open both.

        Raises:
            LockedError: another session has the identifier.
            DiskError, IntegrityError: the stored tasks cannot be read.
        """
        self._lock: BundleLock | None = None
        self._session = configuration.identifier or ""
        if configuration.kind is not SessionKind.BACKGROUND:
            self.store = TaskStore.in_memory()
            return
        identifier = str(configuration.identifier)
        folder = Path(configuration.storage or sessions_folder()) / identifier
        self._lock = _lock(folder, identifier)
        try:
            self.store = TaskStore.open(folder / "tasks.sqlite")
        except BaseException:
            self._lock.release()
            raise

    def add(self, kind: str, wanted: BaseModel, *, source_url: str, title: str | None = None) -> TaskRow:
        """A new task's row: suspended, and `wanted` is what it was asked for."""
        return self.store.add(
            session=self._session,
            kind=kind,
            phase=Phase.SUSPENDED.value,
            title=title,
            source_url=source_url,
            configuration=wanted.model_dump_json(),
        )

    def all(self) -> tuple[TaskRow, ...]:
        """The session's tasks, oldest first."""
        return self.store.all(self._session)

    def close(self) -> None:
        """Let go of both."""
        self.store.close()
        if self._lock is not None:
            self._lock.release()


def _lock(folder: Path, identifier: str) -> BundleLock:
    with translating(str(folder)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with Folder.open(folder) as opened:
            return BundleLock(opened, folder)
    except LockedError:
        raise LockedError(
            f"another session has the identifier `{identifier}`", hint="end it first, or use another one"
        ) from None
