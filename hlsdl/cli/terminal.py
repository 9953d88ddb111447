"""The one module that writes to stdout and stderr: data on stdout, everything else on stderr.

Text that comes from servers is made harmless before a terminal sees it; URLs and documents arrive redacted from the
rooms below. With `--progress json` every line on stderr is a JSON object. Bars are drawn by `progress`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from hlsdl.cli.blocks import UNSAFE, Block, plain
from hlsdl.errors import DiskError, HlsdlError

RED, YELLOW, BOLD, RESET = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


@dataclass(slots=True, kw_only=True)
class Terminal:
    """Where one run talks to. `json` and `progress` are what the user asked for; the streams are ours to flush."""

    stdout: TextIO = field(default_factory=lambda: sys.stdout or _nowhere())
    stderr: TextIO = field(default_factory=lambda: sys.stderr or _nowhere())
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    json: bool = False
    progress: str = "auto"
    quiet: bool = False
    verbose: int = 0
    reader_left: bool = False
    """The reader of stdout closed it (`| head`): nothing more is written there."""
    write_through: Callable[[str], None] | None = None
    """While bars are drawn: how to print a line above them."""
    kept_back: list[str] = field(default_factory=list)
    """Results that wait for the end of the bars, because both are on the same screen."""

    def data(self, text: str) -> None:
        """Write one result to stdout and flush it, so that a pipe sees it at once.

        Raises:
            DiskError: stdout is a file on a full disk, or the like.
        """
        if self.reader_left:
            return
        if self.write_through is not None and self._is_terminal(self.stdout):
            self.kept_back.append(text)
            return
        try:
            self.stdout.write(text + "\n")
            self.stdout.flush()
        except BrokenPipeError:
            self.reader_left = True
            self._silence_stdout()
        except OSError as error:
            self._silence_stdout()
            raise DiskError(f"standard output cannot be written: {error.strerror}") from error

    def bars_ended(self) -> None:
        """Write to the screen itself again, beginning with the results that had to wait."""
        self.write_through = None
        waiting, self.kept_back = self.kept_back, []
        for text in waiting:
            self.data(text)

    def document(self, document: Mapping[str, Any]) -> None:
        """Write one JSON document to stdout, on one line."""
        written = json.dumps(document, ensure_ascii=False, default=str)
        # As `plain` does it, in JSON's own way: the value is the same to whoever reads it.
        text = UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
        try:
            text.encode(self.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = json.dumps(document, default=str)
        self.data(text)

    def show(self, blocks: Sequence[Block]) -> None:
        """Write tables to stdout: drawn on a terminal, plain aligned columns elsewhere."""
        if not self._is_terminal(self.stdout):
            self.data("\n\n".join(block.plain() for block in blocks))
            return
        from hlsdl.cli.drawing import draw

        draw(blocks, self.stdout, colour=self.has_colour(self.stdout))

    def note(self, text: str) -> None:
        """Tell a person something that is neither a result nor a problem."""
        if not self.quiet:
            self._say(plain(text), {"event": "note", "message": text})

    def warn(self, text: str) -> None:
        """Tell a person something they should know, though work goes on."""
        if not self.quiet:
            self._say(f"{self._styled('warning:', YELLOW)} {plain(text)}", {"event": "warning", "message": text})

    def log(self, level: str, text: str) -> None:
        """Show a log record (`-v`)."""
        self._say(f"{level}: {plain(text)}", {"event": "log", "level": level, "message": text})

    def event(self, document: Mapping[str, Any]) -> None:
        """Write one event as a JSON line (`--progress json`)."""
        self._write(json.dumps(document, default=str))

    def error(self, error: HlsdlError, *, source: str | None = None) -> None:
        """Say what went wrong: a sentence and a hint on stderr; with `--json` also one document on stdout."""
        document = error_document(error)
        lines = [f"{self._styled('error:', RED)} {plain(sentence(error))}"]
        if error.hint:
            lines.append(f"{self._styled('hint:', BOLD)} {plain(error.hint)}")
        self._say("\n".join(lines), {"event": "error", **document})
        if self.json:
            self.document(document if source is None else {**document, "source": source})

    def has_colour(self, stream: TextIO) -> bool:
        """Whether colour may be used: on a terminal that knows it, unless NO_COLOR is set (https://no-color.org)."""
        return self._is_terminal(stream) and not self.environment.get("NO_COLOR") and not self._is_dumb()

    def progress_style(self) -> str:
        """Return `bar`, `lines`, `json` or `none`: what `--progress` means here."""
        if self.progress == "json":
            return "json"
        if self.quiet or self.progress == "none":
            return "none"
        can_draw = self._is_terminal(self.stderr) and not self._is_dumb()
        return "bar" if can_draw and self.progress in {"auto", "bar"} else "lines"

    def _say(self, text: str, document: Mapping[str, Any]) -> None:
        self._write(json.dumps(document, default=str) if self.progress == "json" else text)

    def _write(self, text: str) -> None:
        """Write to stderr. A stderr that is gone must not stop a download, so a failure to write there is let go."""
        if self.write_through is not None:
            self.write_through(text)
            return
        try:
            self.stderr.write(text + "\n")
            self.stderr.flush()
        except OSError:
            self.stderr = _nowhere()

    def _silence_stdout(self) -> None:
        """Point stdout at nothing, since Python would fail again when it flushes it at exit."""
        self.stdout = _nowhere()
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout = self.stdout

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{RESET}" if self.has_colour(self.stderr) else text

    def _is_dumb(self) -> bool:
        return self.environment.get("TERM") == "dumb"

    @staticmethod
    def _is_terminal(stream: TextIO) -> bool:
        return not stream.closed and stream.isatty()


class Lasting:
    """A stream for bars: when its terminal is closed, what is drawn goes nowhere, and nothing fails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Everything but writing is the stream's own business."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, if anybody is there."""
        try:
            return self._stream.write(text)
        except OSError:
            self._stream = _nowhere()
            return len(text)

    def flush(self) -> None:
        """Flush, if anybody is there."""
        try:
            self._stream.flush()
        except OSError:
            self._stream = _nowhere()


def let_go_of_streams() -> None:
    """Flush the standard streams for the last time; one that is gone goes nowhere, or Python would end with 120."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError:
            setattr(sys, name, _nowhere())


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8", errors="replace")  # noqa: PTH123 - stands in for a standard stream until exit


def sentence(error: HlsdlError) -> str:
    """Return the message, with the address it is about when the message does not say it."""
    if error.url is None or error.url in error.message:
        return error.message
    return f"{error.message} ({error.url})"


def error_document(error: HlsdlError) -> dict[str, Any]:
    """Return the `hlsdl.error/1` document of an error."""
    return {
        "schema": "hlsdl.error/1",
        "code": error.code,
        "kind": error.kind,
        "message": error.message,
        "hint": error.hint,
        "url": error.url,
        "http_status": error.http_status,
        "resumable": error.resumable,
    }
