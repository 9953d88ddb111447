"""Everything a download can tell, as frozen values on one channel that only goes up.

The command line's bars, `--progress json` and an app's callback are listeners of the same channel.
No event carries a secret: URLs are redacted before they get here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, ClassVar

from hlsdl.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `name` is stable and public (`--progress json`)."""

    name: ClassVar[str] = "event"
    task: str
    """Which download this is about: the bundle's title, or the redacted source until that is known."""

    def document(self) -> dict[str, Any]:
        """The event as one JSON object: `{"event": name, "task": …, …}`."""
        fields = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return {"event": self.name, **fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class WillDownloadTo(Event):
    """The bundle's place is known (`assetDownloadTask:willDownloadTo:`). `resumed` says that work was there already."""

    name: ClassVar[str] = "will-download-to"
    path: Path
    resumed: bool = False
    imported: bool = False
    """From a package on this machine, and not from an origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantsChosen(Event):
    """Variant selection is finished (`assetDownloadTask:willDownloadVariants:`)."""

    name: ClassVar[str] = "will-download-variants"
    variants: tuple[str, ...]
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionResolved(Event):
    """Audio and subtitles are chosen (`assetDownloadTask:didResolveMediaSelection:`)."""

    name: ClassVar[str] = "did-resolve-media-selection"
    audio: tuple[str, ...]
    subtitles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Event):
    """Segments are arriving. Counts are of finished, journalled objects; only the rate looks at bytes in flight."""

    name: ClassVar[str] = "progress"
    completed_bytes: int
    total_bytes: int
    total_is_estimate: bool
    fraction: float
    segments_done: int
    segments_total: int
    rate: float
    """Bytes per second over the last few seconds."""
    eta: float | None
    """Seconds left at that rate, None while unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgressed(Event):
    """A single file's bytes come (`urlSession:downloadTask:didWriteData:…`)."""

    name: ClassVar[str] = "file-progress"
    completed_bytes: int
    total_bytes: int | None
    """None while the server has not said it."""
    rate: float
    """Bytes per second over the last few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something a person should know that does not stop the work; one sentence."""

    name: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing(Event):
    """All segments are here; local playlists and the manifest are being written."""

    name: ClassVar[str] = "sealing"


@dataclass(frozen=True, slots=True, kw_only=True)
class DidFinishDownloading(Event):
    """The bundle is sealed (`assetDownloadTask:didFinishDownloadingTo:`)."""

    name: ClassVar[str] = "did-finish-downloading-to"
    path: Path
    bytes: int
    segments: int
    reused_segments: int
    seconds: float
    imported: bool = False
    """From a package on this machine, and not from an origin."""


Emit = Callable[[Event], None]
"""A listener. Called on the event loop's thread; it must return quickly and not raise."""


def ignore(_event: Event) -> None:
    """The listener for callers that do not listen."""


def listener(emit: object) -> Emit:
    """A program's listener; UsageError when it is none, or an async function, which nobody would wait for."""
    if not callable(emit):
        raise UsageError("`emit` is nothing that can be called", hint="give a function of one event")
    if iscoroutinefunction(emit) or iscoroutinefunction(getattr(emit, "__call__", None)):  # noqa: B004 - its own, not whether
        raise UsageError("`emit` is an async function", hint="give a plain one: it may put the events into a queue")
    return emit
