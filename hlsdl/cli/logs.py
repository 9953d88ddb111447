"""Log records on stderr (`-v`, `-v -v`), redacted. Without `-v` nothing is shown; rooms below only write records."""

from __future__ import annotations

import logging

from hlsdl.cli.terminal import Terminal
from hlsdl.errors import redact_all


class TerminalHandler(logging.Handler):
    """Shows records of the logger `hlsdl` through the terminal."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record; exceptions in it are left out, since their text is not redacted."""
        self._terminal.log(record.levelname.lower(), redact_all(record.getMessage()))


def show_logs(terminal: Terminal, verbose: int) -> None:
    """Send the records of `hlsdl` to the terminal: information with one `-v`, everything with two."""
    logger = logging.getLogger("hlsdl")
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(TerminalHandler(terminal) if verbose else logging.NullHandler())
    logger.setLevel({0: logging.CRITICAL, 1: logging.INFO}.get(verbose, logging.DEBUG))
