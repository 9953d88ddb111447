"""Progress for people and programs: listeners of the event channel (`session.events`).

Bars on a terminal, a line every ten seconds elsewhere, one JSON object per event on request. The engine decides what
is an event and how often; nothing here is read back by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from hlsdl.cli.blocks import format_bytes, format_duration
from hlsdl.cli.terminal import Terminal
from hlsdl.session.events import DidFinishDownloading, Event, Progressed, Sealing, Warned, WillDownloadTo

SECONDS_BETWEEN_LINES = 10.0


def listener_for(terminal: Terminal) -> AbstractContextManager[Callable[[Event], None]]:
    """Return the listener that `--progress` and the terminal ask for."""
    style = terminal.progress_style()
    if style == "bar":
        from hlsdl.cli.bars import Bars

        return Bars(terminal)
    listeners: dict[str, type[Silence]] = {"lines": ProgressLines, "json": JsonLines, "none": Silence}
    return listeners[style](terminal)


class Silence:
    """`--progress none` and `-q`: only warnings, and those only when not quiet."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            self._terminal.warn(event.message)


class JsonLines(Silence):
    """`--progress json`: every event as it is."""

    def __call__(self, event: Event) -> None:
        self._terminal.event(event.document())


class ProgressLines(Silence):
    """A line at the start, one every ten seconds, one at the end: for logs and pipes."""

    def __init__(self, terminal: Terminal, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(terminal)
        self._clock = clock
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progressed):
            now = self._clock()
            if now - self._last.setdefault(event.task, now) >= SECONDS_BETWEEN_LINES:
                self._last[event.task] = now
                self._terminal.note(f"{event.task}: {progress_sentence(event)}")
        elif isinstance(event, WillDownloadTo):
            self._last[event.task] = self._clock()
            self._terminal.note(start_sentence(event))
        elif isinstance(event, DidFinishDownloading):
            self._terminal.note(end_sentence(event))
        elif isinstance(event, Sealing):
            self._terminal.note(f"{event.task}: sealing")
        else:
            super().__call__(event)


def start_sentence(event: WillDownloadTo) -> str:
    """Say where a download goes."""
    begun = "importing to" if event.imported else "downloading to"
    return f"{event.task}: {'resuming in' if event.resumed else begun} {event.path}"


def progress_sentence(event: Progressed) -> str:
    """Say how far a download is: `42 % of ~120.3 MB, 31 of 74 segments, 4.2 MB/s, 0:17 left`."""
    about = "~" if event.total_is_estimate else ""
    parts = [
        f"{event.fraction * 100:.0f} % of {about}{format_bytes(event.total_bytes)}",
        f"{event.segments_done} of {event.segments_total} segments",
        f"{format_bytes(event.rate)}/s",
    ]
    if event.eta is not None:
        parts.append(f"{format_duration(event.eta)} left")
    return ", ".join(parts)


def end_sentence(event: DidFinishDownloading) -> str:
    """Say what a finished download was."""
    there = f", {event.reused_segments} were there already" if event.reused_segments else ""
    verb = "copied" if event.imported else "fetched"
    return (
        f"{event.task}: done, {format_bytes(event.bytes)} in {event.segments} segments: "
        f"{event.segments - event.reused_segments} {verb} in {event.seconds:.1f} s{there}"
    )
