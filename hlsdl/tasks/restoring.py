"""Restoring: from the row of a task back to the task, whatever is left of it. When it goes on is the session's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlsdl.bundle.threads import in_thread
from hlsdl.errors import HlsdlError, IntegrityError
from hlsdl.library.tasks import TaskRow
from hlsdl.tasks.asset_task import AssetDownloadTask
from hlsdl.tasks.file_task import DownloadTask
from hlsdl.tasks.session_configuration import SessionConfiguration
from hlsdl.tasks.states import ENDS, Phase
from hlsdl.tasks.task import LostTask, Owner, Task

Prepare = Callable[[Task[Any]], None]
"""What an app does with a restored task before it goes on."""


def as_it_is(_task: Task[Any]) -> None:
    """The preparation of whoever has nothing to set."""


async def task_of(
    row: TaskRow, owner: Owner, configuration: SessionConfiguration
) -> tuple[Task[Any], HlsdlError | None]:
    """The task, and why it failed in an earlier process; a `LostTask` where nothing can be made of the row."""
    try:
        task = _read(row, owner, configuration)
        if task.phase not in ENDS:
            return task, None
        # What is left of a large file is looked through for its resume data.
        return task, await in_thread(task.stored_error)
    except HlsdlError as error:
        return LostTask(owner, row.with_changes(phase=Phase.FAILED.value)), error


def _read(row: TaskRow, owner: Owner, configuration: SessionConfiguration) -> Task[Any]:
    if row.phase not in set(Phase):
        raise IntegrityError("a stored task cannot be read", hint="make a new task for the same asset")
    if row.kind == "file":
        return DownloadTask(owner, row, configuration)
    return AssetDownloadTask(owner, row, configuration)
