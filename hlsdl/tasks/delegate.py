"""The delegate: who hears of a session's tasks, one call at a time and in one order.

    will_download_to > will_download_variants > did_resolve_media_selection > did_load* > did_complete_for*
    > did_finish_downloading_to > did_complete        and after the last task of a background session: did_finish_events

`delivery` makes the calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hlsdl.errors import HlsdlError
    from hlsdl.planning.asset_variant import AssetVariant
    from hlsdl.planning.media_selection import MediaSelection
    from hlsdl.tasks.asset_session import AssetDownloadSession
    from hlsdl.tasks.asset_task import AssetDownloadTask
    from hlsdl.tasks.delivery import AuthenticationChallenge
    from hlsdl.tasks.file_task import DownloadTask
    from hlsdl.tasks.loading import TimeRange
    from hlsdl.tasks.task import Task


class AssetDownloadDelegate(Protocol):
    """What a session can tell (AVAssetDownloadDelegate, URLSessionTaskDelegate). All methods are optional.

    Each may be `async`. Subclassing gives methods that do nothing; any object with some of them will do. A task may
    have a delegate of its own (`task.delegate`): what it has of these methods is called instead.
    """

    # Bodies that return something: those of a docstring alone are abstract to type checkers.

    def will_download_to(self, task: AssetDownloadTask, path: Path) -> Any:
        """The bundle's place is known, before any of its bytes (`assetDownloadTask:willDownloadTo:`)."""
        return None

    def will_download_variants(self, task: AssetDownloadTask, variants: Sequence[AssetVariant]) -> Any:
        """Variants are chosen (`assetDownloadTask:willDownloadVariants:`)."""
        return None

    def did_resolve_media_selection(self, task: AssetDownloadTask, selection: MediaSelection) -> Any:
        """Audio and subtitles are chosen (`assetDownloadTask:didResolveMediaSelection:`)."""
        return None

    def did_load(
        self,
        task: AssetDownloadTask,
        time_range: TimeRange,
        loaded_time_ranges: Sequence[TimeRange],
        expected_time_range: TimeRange,
    ) -> Any:
        """`time_range` is loaded since the last call (`…didLoad:totalTimeRangesLoaded:timeRangeExpectedToLoad:`)."""
        return None

    def did_complete_for(self, task: AssetDownloadTask, selection: MediaSelection) -> Any:
        """One of an aggregate task's selections is whole (`aggregateAssetDownloadTask:didCompleteFor:`)."""
        return None

    def did_finish_downloading_to(self, task: AssetDownloadTask | DownloadTask, path: Path) -> Any:
        """Everything is on disk; `did_complete` still follows (`…didFinishDownloadingTo:`)."""
        return None

    def did_write_data(
        self, task: DownloadTask, bytes_written: int, total_bytes_written: int, total_bytes_expected: int | None
    ) -> Any:
        """A file task's bytes come (`urlSession:downloadTask:didWriteData:…`); expected: None while unknown."""
        return None

    def did_resume_at_offset(self, task: DownloadTask, offset: int, total_bytes_expected: int | None) -> Any:
        """A file task went on at `offset`; 0: it had to begin again (`…didResumeAtOffset:expectedTotalBytes:`)."""
        return None

    def is_waiting_for_connectivity(self, task: Task[Any]) -> Any:
        """No network; the task tries again by itself. Once for each task (`…:taskIsWaitingForConnectivity:`)."""
        return None

    def did_receive_challenge(self, task: Task[Any], challenge: AuthenticationChallenge) -> Any:
        """Return a `Credential`, or None to let the task fail (`urlSession:task:didReceive:completionHandler:`)."""
        return None

    def did_complete(self, task: Task[Any], error: HlsdlError | None) -> Any:
        """Last, once for each task; None: it went well (`urlSession:task:didCompleteWithError:`)."""
        return None

    def did_finish_events(self, session: AssetDownloadSession) -> Any:
        """Background: everything that was missed has been told, and no task is unfinished."""
        return None

    def did_become_invalid(self, session: AssetDownloadSession) -> Any:
        """The session is over (`urlSession:didBecomeInvalidWithError:`)."""
        return None
