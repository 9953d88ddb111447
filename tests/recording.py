"""A delegate that remembers what it was told, the usual configuration of a task, and a film that stops coming."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults import SEGMENTS, serve

import hlsdl
from hlsdl.errors import HlsdlError
from hlsdl.testing import Hold, ScriptedOrigin


class Recorder:
    """Remembers every call as (method, task identifier, arguments)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int | None, tuple[Any, ...]]] = []

    def names(self, task: Any = None) -> list[str]:
        """The methods that were called, for one task or all, several `did_load` in a row as one."""
        wanted = [name for name, number, _ in self.calls if task is None or number == task.task_identifier]
        return [name for at, name in enumerate(wanted) if not (at and name == wanted[at - 1] == "did_load")]

    def of(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of every call of one method, without the task."""
        return [arguments for name, _, arguments in self.calls if name == method]

    def _note(self, name: str, task: Any, *arguments: Any) -> None:
        self.calls.append((name, getattr(task, "task_identifier", None), arguments))

    def will_download_to(self, task: Any, path: Path) -> None:
        self._note("will_download_to", task, path)

    async def will_download_variants(self, task: Any, variants: Sequence[Any]) -> None:
        self._note("will_download_variants", task, variants)

    def did_resolve_media_selection(self, task: Any, selection: Any) -> None:
        self._note("did_resolve_media_selection", task, selection)

    def did_load(self, task: Any, time_range: Any, loaded: Sequence[Any], expected: Any) -> None:
        self._note("did_load", task, time_range, loaded, expected)

    async def did_complete_for(self, task: Any, selection: Any) -> None:
        self._note("did_complete_for", task, selection)

    def did_finish_downloading_to(self, task: Any, path: Path) -> None:
        self._note("did_finish_downloading_to", task, path)

    def did_write_data(self, task: Any, new: int, written: int, expected: int | None) -> None:
        self._note("did_write_data", task, new, written, expected)

    def did_resume_at_offset(self, task: Any, offset: int, expected: int | None) -> None:
        self._note("did_resume_at_offset", task, offset, expected)

    def is_waiting_for_connectivity(self, task: Any) -> None:
        self._note("is_waiting_for_connectivity", task)

    def did_complete(self, task: Any, error: HlsdlError | None) -> None:
        self._note("did_complete", task, error)

    def did_finish_events(self, session: Any) -> None:
        self._note("did_finish_events", session)

    def did_become_invalid(self, session: Any) -> None:
        self._note("did_become_invalid", session)


def serve_held(origin: ScriptedOrigin, *, first: int = 2) -> tuple[str, threading.Event]:
    """The film, whose segments from `first` on come only when the event is set."""
    gate = threading.Event()
    url = serve(origin)
    for number in range(first, SEGMENTS):
        origin.always(f"/v/{number}.ts", Hold(gate))
    return url, gate


def in_the_background(storage: Path) -> hlsdl.SessionConfiguration:
    """A session that survives the process, with its tasks in a folder of the test's."""
    configuration = hlsdl.SessionConfiguration.background("films")
    configuration.storage = storage
    return configuration


def wanted(url: str, folder: Path, title: str = "A film", **others: Any) -> hlsdl.DownloadConfiguration:
    """A configuration as most tests want it."""
    return hlsdl.DownloadConfiguration(asset=hlsdl.Asset(url), title=title, destination=folder, **others)


async def until(condition: Any) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def stored(folder: Path, count: int) -> None:
    """Wait until a bundle in there has so many segments."""
    await until(lambda: len(list(folder.rglob("0*.ts"))) >= count)
