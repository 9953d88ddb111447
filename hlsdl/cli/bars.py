"""Progress bars with rich: one line for each download. Imported only when there is a terminal to draw on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import IO, Any, Self, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from hlsdl.cli.blocks import cell, format_bytes, format_duration
from hlsdl.cli.terminal import Lasting, Terminal
from hlsdl.session.events import (
    DidFinishDownloading,
    Event,
    Progressed,
    Sealing,
    SelectionResolved,
    VariantsChosen,
    Warned,
)

LONGEST_TITLE = 32


class Bars:
    """Draws `title  what  ━━━ 62 %  41.2/~66.0 MB  18.4 MB/s  0:01` for each download on stderr."""

    def __init__(self, terminal: Terminal, *, width: int | None = None) -> None:
        """`width` is for tests; default: the terminal's."""
        self._terminal = terminal
        colour = terminal.has_colour(terminal.stderr)
        self._console = Console(
            file=cast("IO[str]", Lasting(terminal.stderr)),
            no_color=not colour,
            highlight=False,
            markup=False,
            emoji=False,
            width=width,
        )
        self._progress = Progress(
            *[TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("title", "what")],
            BarColumn(bar_width=24),
            *[TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("size", "rate", "left")],
            console=self._console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._rows: dict[str, TaskID] = {}
        self._what: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        self._terminal.write_through = lambda text: self._console.print(Text.from_ansi(text))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._progress.stop()
        self._terminal.bars_ended()

    def __call__(self, event: Event) -> None:
        """Redraw the line of the event's download."""
        if isinstance(event, Warned):
            self._terminal.warn(event.message)
            return
        row = self._row(event.task)
        if isinstance(event, VariantsChosen):
            self._describe(event.task, map(short_variant, event.variants))
        elif isinstance(event, SelectionResolved):
            self._describe(event.task, (label.split(" ")[0] for label in event.audio))
        elif isinstance(event, Progressed):
            self._draw(row, event.fraction, progress_columns(event))
        elif isinstance(event, Sealing):
            self._draw(row, 1.0, {"rate": "sealing", "left": ""})
        elif isinstance(event, DidFinishDownloading):
            self._draw(row, 1.0, end_columns(event))

    def _row(self, task: str) -> TaskID:
        if task not in self._rows:
            title = cell(task) if len(task) <= LONGEST_TITLE else cell(task)[: LONGEST_TITLE - 1] + "…"
            self._rows[task] = self._progress.add_task("", total=1000, title=title, what="", size="", rate="", left="")
        return self._rows[task]

    def _draw(self, row: TaskID, fraction: float, columns: Mapping[str, Any]) -> None:
        self._progress.update(row, completed=fraction * 1000, **columns)

    def _describe(self, task: str, more: Iterable[str]) -> None:
        self._what[task] = (*self._what.get(task, ()), *more)
        what = "+".join(dict.fromkeys(self._what[task]))
        self._progress.update(self._row(task), what=cell(what)[:LONGEST_TITLE])


def short_variant(label: str) -> str:
    """Return the part of a variant's label that fits a bar: `1080p`, else its number."""
    size = re.search(r"\b[0-9]+x([0-9]+)\b", label)
    return f"{size[1]}p" if size else label.split(" ", maxsplit=1)[0]


def progress_columns(event: Progressed) -> dict[str, str]:
    """Return the texts of a running download's columns; `~` marks an estimated total."""
    total = f"{'~' if event.total_is_estimate else ''}{format_bytes(event.total_bytes)}"
    return {
        "size": f"{event.fraction * 100:3.0f} %  {format_bytes(event.completed_bytes)}/{total}",
        "rate": f"{format_bytes(event.rate)}/s",
        "left": "" if event.eta is None else format_duration(event.eta),
    }


def end_columns(event: DidFinishDownloading) -> dict[str, str]:
    """Return the texts of a finished download's columns."""
    rate = f"{format_bytes(event.bytes / event.seconds)}/s" if event.seconds > 0 else ""
    return {"size": f"100 %  {format_bytes(event.bytes)}", "rate": rate, "left": format_duration(event.seconds)}
