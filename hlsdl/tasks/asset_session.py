"""The session: it owns tasks, gives them places, and brings them back after a restart (AVAssetDownloadURLSession).

`runners` does the work, after every change of what is wanted; what survives the process is in `library.tasks`.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from hlsdl.errors import HlsdlError, UsageError
from hlsdl.library.places import library_folder
from hlsdl.library.tasks import TaskRow
from hlsdl.planning.media_selection import MediaSelection
from hlsdl.tasks.asset import Asset
from hlsdl.tasks.asset_task import AssetDownloadTask, WantedAsset, destination_for, wanted_asset
from hlsdl.tasks.delivery import Delivery
from hlsdl.tasks.event_loops import must_be_running, running_loop, to_its_end
from hlsdl.tasks.file_task import DownloadTask, wanted_file
from hlsdl.tasks.restoring import Prepare, as_it_is, task_of
from hlsdl.tasks.runners import Runners
from hlsdl.tasks.session_configuration import SessionConfiguration, SessionKind, own_copy
from hlsdl.tasks.states import ENDS, Trigger
from hlsdl.tasks.stored import StoredTasks
from hlsdl.tasks.task import Task
from hlsdl.tasks.wanted import DownloadConfiguration, DownloadOptions, aggregate_wishes, must_be

logger = logging.getLogger(__name__)
T = TypeVar("T", bound=Task[Any])


class SessionInvalidated(UsageError):
    """The session has been invalidated, and makes no tasks any more."""

    usual_hint = "make a new session"


class AssetDownloadSession:
    """Downloads assets and files, several at once, with a delegate that hears of them.

        async with AssetDownloadSession(SessionConfiguration.background("films"), delegate=MyDelegate()) as session:
            task = session.make_asset_download_task(DownloadConfiguration(asset=Asset(url), title="A film"))
            task.resume()
            bundle = await task

    Leaving the block stops what is under way; the tasks of a background session are found again by `restore()` of a
    session with the same identifier, in this process or another one.

    Args:
        configuration: copied; None is `SessionConfiguration.default()`.
        delegate: any object with some of the methods of `AssetDownloadDelegate`.

    Raises:
        UsageError: the configuration is none, or has a number that cannot be.
        LockedError: another session, here or in another process, has this background identifier.
        DiskError, IntegrityError: the stored tasks cannot be read.

    Source: AVAssetDownloadURLSession(configuration:assetDownloadDelegate:delegateQueue:).
    """

    def __init__(self, configuration: SessionConfiguration | None = None, delegate: object | None = None) -> None:
        self._configuration = own_copy(configuration)
        self.session_description: str | None = None
        """The app's own words for this session (sessionDescription)."""
        self.delivery = Delivery(delegate)
        self._tasks: dict[int, Task[Any]] = {}
        self._runners = Runners(self._tasks, self._configuration, self.delivery, self._end)
        self._is_valid = True
        self._is_closed = self._is_restored = self._has_told_all = self._is_over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        """On which its tasks are worked; None before the first."""
        self._closing: asyncio.Task[None] | None = None
        self._restoring = asyncio.Lock()
        self._library = Path(self._configuration.library or library_folder())
        self._stored = StoredTasks(self._configuration)

    @property
    def configuration(self) -> SessionConfiguration:
        """A copy (URLSession.configuration)."""
        return copy.deepcopy(self._configuration)

    @property
    def identifier(self) -> str | None:
        """Of a background session."""
        return self._configuration.identifier

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await to_its_end(self._begin_to_close())

    # -- making tasks ----------------------------------------------------------------------------------------------

    def make_asset_download_task(self, configuration: DownloadConfiguration) -> AssetDownloadTask:
        """A task for one asset, suspended; the configuration is copied.

        Raises:
            SessionInvalidated, UsageError: the session makes no tasks any more; the configuration cannot be.

        Source: makeAssetDownloadTask(downloadConfiguration:).
        """
        must_be(configuration, DownloadConfiguration, "configuration", example="hlsdl.DownloadConfiguration(asset)")
        wanted = wanted_asset(
            configuration.asset,
            configuration.wishes(),
            title=configuration.title,
            artwork=configuration.artwork,
            destination=destination_for(configuration.destination, configuration.asset, self._library),
            keep_protected=configuration.keep_protected,
            allow_gaps=configuration.allow_gaps,
        )
        return self._add_asset_task(configuration.asset, wanted)

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
        """A task for several media selections of one variant, suspended; what they share is fetched once.

        Raises:
            SessionInvalidated: the session makes no tasks any more.
            UsageError: no selections.

        Source: aggregateAssetDownloadTask(with:mediaSelections:assetTitle:assetArtworkData:options:).
        """
        if not media_selections:
            raise UsageError(
                "an aggregate task needs media selections", hint="`asset.preferred_media_selection` is one"
            )
        wanted = wanted_asset(
            asset,
            aggregate_wishes(media_selections, options or DownloadOptions()),
            title=title,
            artwork=artwork,
            destination=destination_for(destination, asset, self._library),
            selections=media_selections,
        )
        return self._add_asset_task(asset, wanted)

    def make_download_task(
        self, url: str | None = None, destination: str | Path | None = None, *, resume_data: bytes | None = None
    ) -> DownloadTask:
        """A task for one http(s) file, suspended: from its beginning, or from where `resume_data` left it.

        Args:
            url: the file's; not with `resume_data`, which knows it.
            destination: a path, or a folder (one that exists, or a text that ends in `/`), in which the file gets the
                name in its URL. None with `resume_data`: as before; else the current folder.
            resume_data: from `cancel_by_producing_resume_data()` or a failed task's `error.resume_data`.

        Raises:
            SessionInvalidated: the session makes no tasks any more.
            UsageError: neither or both of `url` and `resume_data`, or resume data that are none.

        Source: URLSession.downloadTask(with:), downloadTask(withResumeData:).
        """
        self._must_be_valid()
        wanted = wanted_file(url, destination, resume_data)
        row = self._stored.add("file", wanted, source_url=wanted.url)
        return self._attach(DownloadTask(self, row, self._configuration))

    def _add_asset_task(self, asset: Asset, wanted: WantedAsset) -> AssetDownloadTask:
        self._must_be_valid()
        row = self._stored.add("asset", wanted, source_url=asset.source.url, title=wanted.title)
        return self._attach(AssetDownloadTask(self, row, self._configuration, asset=asset))

    async def load(self, asset: Asset) -> Asset:
        """Read an asset's multivariant playlist as a task of this session would: its headers, cookies and proxy.

        Raises:
            HlsdlError: it cannot be read.
        """
        return await asset.load(self._configuration.transfer_options(asset.headers))

    # -- all tasks -------------------------------------------------------------------------------------------------

    async def tasks(self) -> list[Task[Any]]:
        """The tasks that have not ended, by identifier (getAllTasks)."""
        return [task for _, task in sorted(self._tasks.items()) if task.phase not in ENDS]

    async def restore(self, prepare: Prepare = as_it_is) -> list[Task[Any]]:
        """The tasks that an earlier session of this identifier left, attached to this one.

        Those that were under way go on; those that were suspended wait for `resume()`. What had ended without the
        delegate hearing of it is told now. One that nothing can be made of any more, since its bundle is gone or its
        row damaged, is told as failed, as a `LostTask`.

        Args:
            prepare: called with each task before it goes on and before anything is told of it: here it gets its own
                delegate, and its asset the key provider, which are not stored. What it raises stops `restore`, which
                goes on with this task when it is called again.

        Raises:
            SessionInvalidated: the session has ended.

        Source: creating a background session with the same identifier, then getAllTasks.
        """
        self.must_be_open()
        async with self._restoring:
            with self._runners.held():
                for row in self._stored.all():
                    if row.id not in self._tasks and not row.acknowledged:
                        await self._restore(row, prepare)
        self._is_restored = True
        self._tell_when_all_is_told()
        return await self.tasks()

    async def finish_tasks_and_invalidate(self) -> None:
        """Make no more tasks, wait for those that there are, then end (finishTasksAndInvalidate).

        A suspended task is waited for until somebody resumes or cancels it; none is whose event loop was closed.

        Raises:
            UsageError: called by a delegate's method, which may start a task for it, or on another event loop.
        """
        self._must_be_waited_for_here()
        self._is_valid = False
        for task in [] if self._is_closed else await self.tasks():
            with suppress(HlsdlError):  # it was told, and whoever awaits the task hears it
                await task
        await self.close()

    async def invalidate_and_cancel(self) -> None:
        """Make no more tasks, cancel those that there are, then end (invalidateAndCancel).

        Raises:
            UsageError: called by a delegate's method, which may start a task for it, or on another event loop.
        """
        self._must_be_waited_for_here()
        self._is_valid = False
        for task in [] if self._is_over else await self.tasks():
            try:
                task.cancel()
            except HlsdlError as error:
                logger.warning("task %d is cancelled in this process only: %s", task.task_identifier, error.message)
        await self.finish_tasks_and_invalidate()

    async def flush(self) -> None:
        """Bring what has come to the device; what is under way goes on with new connections (flush).

        Raises:
            UsageError: another event loop works its tasks.
        """
        self._must_be_worked_here()
        await self._runners.restart()

    async def reset(self) -> None:
        """As `flush`, and forget every credential that the delegate gave (reset).

        Raises:
            UsageError: another event loop works its tasks.
        """
        self._must_be_worked_here()
        for task in self._tasks.values():
            task.credential = None
        self._runners.forget_answers()
        await self._runners.restart()

    async def close(self) -> None:
        """Stop what is under way, tell the delegate what is left to tell, let go of the disk; again, it does nothing.

        Whoever still awaits a task gets `SessionInvalidated`. To stop waiting for the end does not stop it: called
        again, it is waited for.

        Raises:
            UsageError: called by a delegate's method, which may start a task for it, or on another event loop.
        """
        await asyncio.shield(self._begin_to_close())

    def _begin_to_close(self) -> asyncio.Task[None]:
        self._must_be_waited_for_here()
        if self._closing is None or self._closing.get_loop().is_closed():
            self._is_closed, self._is_valid = True, False
            self._loop = self._loop or asyncio.get_running_loop()
            self._closing = asyncio.create_task(self._close(), name="hlsdl session closes")
        return self._closing

    async def _close(self) -> None:
        if self._is_over:
            return
        try:
            await self._end_tasks()
        finally:
            self._is_over = True
            self._stored.close()

    async def _end_tasks(self) -> None:
        await self._runners.close()
        for task in self._tasks.values():
            task.trigger(Trigger.YIELD)
        await self.delivery.drain()
        unfinished = [task for task in self._tasks.values() if task.phase not in ENDS]
        over = SessionInvalidated("the session ended before its task")
        if self._configuration.kind is not SessionKind.BACKGROUND:
            for task in unfinished:  # nobody will ever find them again: this is their end
                self.delivery.tell("did_complete", task, over)
        self.delivery.tell("did_become_invalid", self)
        await self.delivery.drain()
        for task in unfinished:
            task.finish(None, over)

    # -- what tasks ask of it --------------------------------------------------------------------------------------

    def must_be_open(self) -> None:
        """SessionInvalidated when the session has ended; UsageError on another event loop than that of its tasks."""
        if self._is_over:
            raise SessionInvalidated("the session has ended")
        if not self._is_closed:
            must_be_running(self._loop)

    def changed(self, task: Task[Any]) -> None:
        """Something of a task changed: see whether it should run now."""
        self._runners.hurry(task.task_identifier)
        if not self._is_closed:
            asyncio.get_running_loop().call_soon(self._runners.reconcile)

    def save(self, row: TaskRow) -> None:
        """Write a task's row down."""
        self._stored.store.save(row)

    def forget(self, task: Task[Any]) -> None:
        """Drop a task whose end was told, and its row, whose headers may be secrets."""
        self._tasks.pop(task.task_identifier, None)
        if self._configuration.kind is SessionKind.BACKGROUND or not self._is_over:
            self._stored.store.remove(task.task_identifier)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _must_be_waited_for_here(self) -> None:
        self.delivery.must_not_be_waited_for_here()
        self._must_be_worked_here()
        if self._loop is not None and self._loop.is_closed():
            self._loop, self._is_closed = asyncio.get_running_loop(), True
            self._runners.let_go()

    def _must_be_worked_here(self) -> None:
        if self._loop is None or not self._loop.is_closed():  # one that was closed works nothing any more
            must_be_running(self._loop)

    async def _restore(self, row: TaskRow, prepare: Prepare) -> None:
        """Attach one stored task; what stops one of them does not stop the others."""
        task, error = await task_of(row, self, self._configuration)
        if self._is_closed:
            raise SessionInvalidated("the session has ended")
        prepare(task)
        self._attach(task)
        task.trigger(Trigger.LOSE)
        if task.phase in ENDS:
            self._end(task, task.stored_result(), error or task.stored_error())

    def _end(self, task: Task[Any], result: Any, error: HlsdlError | None) -> None:
        """Tell that a task has ended, last of all; then it is over for everybody."""
        if error is None and task.location is not None:
            self.delivery.tell("did_finish_downloading_to", task, task.location)
        if error is not None:
            task.keep_error(error)

        def over(_answer: asyncio.Future[Any]) -> None:
            task.acknowledge()
            task.finish(result, error)
            self._tell_when_all_is_told()

        self.delivery.tell("did_complete", task, error).add_done_callback(over)

    def _tell_when_all_is_told(self) -> None:
        """Once, for a background session: nothing is unfinished, and nothing untold."""
        is_to_come = self._tasks or self._has_told_all or not self._is_restored
        if self._configuration.kind is SessionKind.BACKGROUND and not is_to_come:
            self._has_told_all = True
            self.delivery.tell("did_finish_events", self)

    def _must_be_valid(self) -> None:
        if not self._is_valid:
            raise SessionInvalidated("the session has been invalidated")
        if running_loop() is None:
            hint = "make tasks in a coroutine, or use the session of `hlsdl.sync`"
            raise UsageError("there is no event loop that could work the task", hint=hint)
        self.must_be_open()

    def _attach(self, task: T) -> T:
        self._loop = self._loop or asyncio.get_running_loop()
        self._tasks[task.task_identifier] = task
        self._has_told_all = False
        return task
