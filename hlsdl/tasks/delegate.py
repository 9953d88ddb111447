"""The delegate: who hears of a session's tasks, one call at a time and in one order.

    will_download_to > will_download_variants > did_resolve_media_selection > did_load* > did_complete_for*
    > did_finish_downloading_to > did_complete        and after the last task of a background session: did_finish_events

Calls go through one queue. A method may be missing, plain or async; the next call waits until it returns. What a
delegate raises is logged and told to the task's listeners, and harms no download.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hlsdl.errors import HlsdlError
from hlsdl.tasks.loading import TimeRange

if TYPE_CHECKING:
    from hlsdl.planning.asset_variant import AssetVariant
    from hlsdl.planning.media_selection import MediaSelection
    from hlsdl.tasks.asset_session import AssetDownloadSession
    from hlsdl.tasks.asset_task import AssetDownloadTask
    from hlsdl.tasks.file_task import DownloadTask
    from hlsdl.tasks.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationChallenge:
    """An origin that wants to know who asks (URLAuthenticationChallenge)."""

    host: str
    http_status: int
    """401."""
    scheme: str | None = None
    """`basic`, `bearer` …, lower case, of the first WWW-Authenticate; None without one."""
    realm: str | None = None
    previous_failure_count: int = 0
    """How often an answer to this challenge was refused (previousFailureCount)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An answer to a challenge (URLCredential): user and password, or a bearer token. `repr` shows neither."""

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class AssetDownloadDelegate(Protocol):
    """What a session can tell (AVAssetDownloadDelegate, URLSessionTaskDelegate). All methods are optional.

    Each may be `async`. Subclassing gives methods that do nothing; any object with some of them will do.
    """

    def will_download_to(self, task: AssetDownloadTask, path: Path) -> Any:
        """The bundle's place is known, before any of its bytes (`assetDownloadTask:willDownloadTo:`)."""

    def will_download_variants(self, task: AssetDownloadTask, variants: Sequence[AssetVariant]) -> Any:
        """Variants are chosen (`assetDownloadTask:willDownloadVariants:`)."""

    def did_resolve_media_selection(self, task: AssetDownloadTask, selection: MediaSelection) -> Any:
        """Audio and subtitles are chosen (`assetDownloadTask:didResolveMediaSelection:`)."""

    def did_load(
        self,
        task: AssetDownloadTask,
        time_range: TimeRange,
        loaded_time_ranges: Sequence[TimeRange],
        expected_time_range: TimeRange,
    ) -> Any:
        """`time_range` is loaded since the last call (`…didLoad:totalTimeRangesLoaded:timeRangeExpectedToLoad:`)."""

    def did_complete_for(self, task: AssetDownloadTask, selection: MediaSelection) -> Any:
        """One of an aggregate task's selections is whole (`aggregateAssetDownloadTask:didCompleteFor:`)."""

    def did_finish_downloading_to(self, task: AssetDownloadTask | DownloadTask, path: Path) -> Any:
        """Everything is on disk; `did_complete` still follows (`…didFinishDownloadingTo:`)."""

    def did_write_data(
        self, task: DownloadTask, bytes_written: int, total_bytes_written: int, total_bytes_expected: int | None
    ) -> Any:
        """A file task's bytes come (`urlSession:downloadTask:didWriteData:…`); expected: None while unknown."""

    def did_resume_at_offset(self, task: DownloadTask, offset: int, total_bytes_expected: int | None) -> Any:
        """A file task went on at `offset`; 0: it had to begin again (`…didResumeAtOffset:expectedTotalBytes:`)."""

    def is_waiting_for_connectivity(self, task: Task) -> Any:
        """No network; the task tries again by itself. Once for each task (`urlSession:taskIsWaitingForConnectivity:`)."""

    def did_receive_challenge(self, task: Task, challenge: AuthenticationChallenge) -> Any:
        """Return a `Credential`, or None to let the task fail (`urlSession:task:didReceive:completionHandler:`)."""

    def did_complete(self, task: Task, error: HlsdlError | None) -> Any:
        """Last, once for each task; None: it went well (`urlSession:task:didCompleteWithError:`)."""

    def did_finish_events(self, session: AssetDownloadSession) -> Any:
        """Background: everything that was missed has been told, and no task is unfinished."""

    def did_become_invalid(self, session: AssetDownloadSession) -> Any:
        """The session is over (`urlSession:didBecomeInvalidWithError:`)."""


class Delivery:
    """The serial queue between a session and its delegate. Lives on the session's event loop."""

    def __init__(self, delegate: object | None) -> None:
        self._delegate = delegate
        self._queue: asyncio.Queue[tuple[str, tuple[Any, ...], asyncio.Future[Any]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def hears(self, method: str) -> bool:
        """Whether the delegate has `method` and it is more than the empty one of the protocol."""
        found = getattr(type(self._delegate), method, None) or getattr(self._delegate, method, None)
        return found is not None and found is not getattr(AssetDownloadDelegate, method)

    def tell(self, method: str, *arguments: Any) -> asyncio.Future[Any]:
        """Queue one call; the future has what it returned, None where it is missing or raised."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.hears(method) and self._queue.empty() and self._worker is None:
            answer.set_result(None)
            return answer
        self._queue.put_nowait((method, arguments, answer))
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work(), name="hlsdl delegate")
        return answer

    @property
    def is_delivering_here(self) -> bool:
        """Whether this very code is being run by a delegate's method."""
        return self._worker is not None and asyncio.current_task() is self._worker

    async def drain(self) -> None:
        """Until everything that was queued has been told."""
        while self._worker is not None and not self.is_delivering_here:
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        try:
            while not self._queue.empty():
                await self._call(*self._queue.get_nowait())
        finally:
            self._worker = None

    async def _call(self, method: str, arguments: tuple[Any, ...], answer: asyncio.Future[Any]) -> None:
        result = None
        try:
            if self.hears(method):
                result = getattr(self._delegate, method)(*arguments)
                if inspect.isawaitable(result):
                    result = await result
        except Exception:  # noqa: BLE001 - whatever an app's own code raises; it must not reach the download
            logger.exception("the delegate's `%s` failed; the download goes on", method)
            result = None
        finally:
            if not answer.done():
                answer.set_result(result)
