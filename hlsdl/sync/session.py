"""The session for threads and scripts: the same tasks, worked by an event loop in a thread of its own.

Every call is taken to that thread and waited for, so that any thread may use a session and its tasks. Delegates are
called there too, one at a time.
"""

from __future__ import annotations

import concurrent.futures
import queue
import weakref
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from hlsdl.errors import HlsdlError
from hlsdl.planning.media_selection import MediaSelection
from hlsdl.session.bundles import Bundle
from hlsdl.session.events import Event
from hlsdl.sync.loop import Loop, LoopEnded, at_once
from hlsdl.tasks import asset_session, asset_task, file_task, task
from hlsdl.tasks.asset import Asset
from hlsdl.tasks.loading import TimeRange
from hlsdl.tasks.restoring import Prepare, as_it_is
from hlsdl.tasks.session_configuration import SessionConfiguration
from hlsdl.tasks.states import Phase, TaskState
from hlsdl.tasks.wanted import DownloadConfiguration, DownloadOptions

R = TypeVar("R")
T = TypeVar("T")


class Task(Generic[R]):
    """A task of a blocking session; what is said of `hlsdl`'s tasks is true here too."""

    def __init__(self, loop: Loop, inner: task.Task[R]) -> None:
        self._loop = loop
        self.inner = inner
        """The task itself, which belongs to the session's thread: it is what delegates are given."""

    def __repr__(self) -> str:
        return repr(self.inner)

    def result(self, timeout: float | None = None) -> R:
        """Wait for the end, and return the result or raise the task's error; TimeoutError after `timeout` seconds."""

        async def outcome() -> R:
            return await self.inner

        try:
            return self._loop.wait(outcome, timeout)
        except LoopEnded:
            return at_once(outcome())
        except concurrent.futures.TimeoutError:
            raise TimeoutError(f"the task was not done within {timeout:g} seconds") from None

    def events(self) -> Iterator[Event]:
        """Everything that the task tells from now on, until it ends."""
        told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        hears = weakref.ref(told)  # whoever dropped the iterator listens no more
        try:
            heard = self._loop.call(self.inner.events)
        except LoopEnded:
            return iter(())

        async def listen() -> None:
            try:
                async for event in heard:
                    if (listener := hears()) is None:
                        return
                    listener.put(event)
                    del listener
            finally:
                if (listener := hears()) is not None:
                    listener.put(None)

        try:
            self._loop.start(listen)
        except LoopEnded:
            return iter(())
        return iter(told.get, None)

    def resume(self) -> None:
        """Run, or go on."""
        self._loop.call(self.inner.resume)

    def suspend(self) -> None:
        """Stop for now."""
        self._loop.call(self.inner.suspend)

    def cancel(self) -> None:
        """Stop for good."""
        self._loop.call(self.inner.cancel)

    @property
    def task_identifier(self) -> int:
        """Unique within its session."""
        return self.inner.task_identifier

    @property
    def phase(self) -> Phase:
        """Where exactly the task is."""
        return self.inner.phase

    @property
    def state(self) -> TaskState:
        """`suspended`, `running`, `canceling` or `completed`."""
        return self.inner.state

    @property
    def progress(self) -> task.TaskProgress:
        """How far the task is."""
        return self.inner.progress

    @property
    def error(self) -> HlsdlError | None:
        """Why it did not go well."""
        return self.inner.error

    @property
    def location(self) -> Path | None:
        """Where the result is, or will be."""
        return self.inner.location

    @property
    def task_description(self) -> str | None:
        """The app's own words, stored with the task."""
        return self.inner.task_description

    @task_description.setter
    def task_description(self, text: str | None) -> None:
        self._loop.call(lambda: setattr(self.inner, "task_description", text))

    @property
    def priority(self) -> float:
        """0 to 1."""
        return self.inner.priority

    @priority.setter
    def priority(self, priority: float) -> None:
        self._loop.call(lambda: setattr(self.inner, "priority", priority))

    @property
    def earliest_begin_date(self) -> datetime | None:
        """Not to be started before."""
        return self.inner.earliest_begin_date

    @earliest_begin_date.setter
    def earliest_begin_date(self, date: datetime | None) -> None:
        self._loop.call(lambda: setattr(self.inner, "earliest_begin_date", date))

    @property
    def delegate(self) -> object | None:
        """Of this task alone; called in the session's thread."""
        return self.inner.delegate

    @delegate.setter
    def delegate(self, delegate: object | None) -> None:
        self._loop.call(lambda: setattr(self.inner, "delegate", delegate))

    @property
    def count_of_bytes_client_expects_to_receive(self) -> int | None:
        """An upper guess; the estimate once there is one."""
        return self.inner.count_of_bytes_client_expects_to_receive

    @count_of_bytes_client_expects_to_receive.setter
    def count_of_bytes_client_expects_to_receive(self, count: int | None) -> None:
        self._loop.call(lambda: setattr(self.inner, "count_of_bytes_client_expects_to_receive", count))

    @property
    def count_of_bytes_received(self) -> int:
        """Bytes that are stored."""
        return self.inner.count_of_bytes_received

    @property
    def count_of_bytes_expected_to_receive(self) -> int | None:
        """Bytes in all, perhaps an estimate."""
        return self.inner.count_of_bytes_expected_to_receive


class AssetDownloadTask(Task[Bundle]):
    """See `hlsdl.AssetDownloadTask`."""

    inner: asset_task.AssetDownloadTask

    @property
    def asset(self) -> Asset:
        """The asset."""
        return self.inner.asset

    @property
    def loaded_time_ranges(self) -> tuple[TimeRange, ...]:
        """What is stored and playable."""
        return self._loop.call(lambda: self.inner.loaded_time_ranges)

    def loaded_time_ranges_for(self, selection: MediaSelection) -> tuple[TimeRange, ...]:
        """What is stored and playable of one of an aggregate task's selections."""
        return self._loop.call(lambda: self.inner.loaded_time_ranges_for(selection))

    @property
    def media_selections(self) -> tuple[MediaSelection, ...]:
        """Those of an aggregate task."""
        return self._loop.call(lambda: self.inner.media_selections)


class DownloadTask(Task[Path]):
    """See `hlsdl.DownloadTask`."""

    inner: file_task.DownloadTask

    @property
    def url(self) -> str:
        """The file's, without user info and query values."""
        return self.inner.url

    def cancel_by_producing_resume_data(self) -> bytes | None:
        """Stop for good, and say how to go on later."""
        return self._loop.wait(self.inner.cancel_by_producing_resume_data)


class AssetDownloadSession:
    """See `hlsdl.AssetDownloadSession`; here every call blocks, and any thread may make it.

    with hlsdl.sync.AssetDownloadSession() as session:
        task = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=hlsdl.Asset(url)))
        task.resume()
        bundle = task.result()
    """

    def __init__(self, configuration: SessionConfiguration | None = None, delegate: object | None = None) -> None:
        self._loop = Loop()
        try:
            self._session = self._loop.call(lambda: asset_session.AssetDownloadSession(configuration, delegate))
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def configuration(self) -> SessionConfiguration:
        """A copy."""
        return self._session.configuration

    @property
    def identifier(self) -> str | None:
        """Of a background session."""
        return self._session.identifier

    @property
    def session_description(self) -> str | None:
        """The app's own words for this session."""
        return self._session.session_description

    @session_description.setter
    def session_description(self, text: str | None) -> None:
        self._session.session_description = text

    def load(self, asset: Asset) -> Asset:
        """Read an asset's multivariant playlist, so that its variants and media selections are known."""
        return self._loop.wait(lambda: self._session.load(asset))

    def make_asset_download_task(self, configuration: DownloadConfiguration) -> AssetDownloadTask:
        """A task for one asset, suspended."""
        made = self._loop.call(lambda: self._session.make_asset_download_task(configuration))
        return AssetDownloadTask(self._loop, made)

    def aggregate_asset_download_task(
        self,
        asset: Asset,
        media_selections: Sequence[MediaSelection],
        *,
        title: str | None = None,
        artwork: bytes | str | Path | None = None,
        destination: str | Path | None = None,
        options: DownloadOptions | None = None,
    ) -> AssetDownloadTask:
        """A task for several media selections of one variant, suspended."""
        made = self._loop.call(
            lambda: self._session.aggregate_asset_download_task(
                asset, media_selections, title=title, artwork=artwork, destination=destination, options=options
            )
        )
        return AssetDownloadTask(self._loop, made)

    def make_download_task(
        self, url: str | None = None, destination: str | Path | None = None, *, resume_data: bytes | None = None
    ) -> DownloadTask:
        """A task for one file, suspended."""
        made = self._loop.call(lambda: self._session.make_download_task(url, destination, resume_data=resume_data))
        return DownloadTask(self._loop, made)

    def tasks(self) -> list[AssetDownloadTask | DownloadTask]:
        """The tasks that have not ended."""
        return [self._mirrored(one) for one in self._loop.wait(self._session.tasks)]

    def restore(self, prepare: Prepare = as_it_is) -> list[AssetDownloadTask | DownloadTask]:
        """The tasks that an earlier session of this identifier left.

        `prepare` is called in the session's thread, with the tasks that delegates are given: what is set after this
        returns comes too late for those that go on.
        """
        return [self._mirrored(one) for one in self._loop.wait(lambda: self._session.restore(prepare))]

    def finish_tasks_and_invalidate(self) -> None:
        """Make no more tasks, wait for those that there are, then end."""
        self._loop.wait(self._session.finish_tasks_and_invalidate)
        self._loop.close()

    def invalidate_and_cancel(self) -> None:
        """Make no more tasks, cancel those that there are, then end."""
        self._loop.wait(self._session.invalidate_and_cancel)
        self._loop.close()

    def flush(self) -> None:
        """Bring what has come to the device."""
        self._loop.wait(self._session.flush)

    def reset(self) -> None:
        """As `flush`, and forget every credential that the delegate gave."""
        self._loop.wait(self._session.reset)

    def close(self) -> None:
        """Stop what is under way; again, it does nothing."""
        if self._loop.is_running:
            self._loop.wait(self._session.close)
            self._loop.close()

    def _mirrored(self, inner: task.Task[Any]) -> AssetDownloadTask | DownloadTask:
        kind = DownloadTask if isinstance(inner, file_task.DownloadTask) else AssetDownloadTask
        return kind(self._loop, inner)
