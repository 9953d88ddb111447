"""Streams that tests can talk to: a terminal that is none, and one that fails."""

from __future__ import annotations

import io
from collections.abc import Mapping

from hlsdl.cli.terminal import Terminal


class Screen(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Failing(io.StringIO):
    """A stream whose writes fail."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def piped(*, environment: Mapping[str, str] | None = None, **asked: object) -> Terminal:
    """A run whose output goes into pipes."""
    return Terminal(stdout=io.StringIO(), stderr=io.StringIO(), environment=environment or {}, **asked)  # type: ignore[arg-type]


def on_screen(*, environment: Mapping[str, str] | None = None, **asked: object) -> Terminal:
    """A run on a terminal."""
    return Terminal(stdout=Screen(), stderr=Screen(), environment=environment or {}, **asked)  # type: ignore[arg-type]


def out(terminal: Terminal) -> str:
    """What was written to stdout."""
    assert isinstance(terminal.stdout, io.StringIO)
    return terminal.stdout.getvalue()


def err(terminal: Terminal) -> str:
    """What was written to stderr."""
    assert isinstance(terminal.stderr, io.StringIO)
    return terminal.stderr.getvalue()
