"""What the command lines of these tools have in common: amounts, and how they end when somebody has seen enough."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def some(text: str) -> int:
    """A number of things, at least one: a run of nothing finds nothing, and looks like a success."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def more_than_none(text: str) -> float:
    """Seconds or a factor, more than 0."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("more than 0")
    return number


def until_interrupted(main: Callable[[], int]) -> int:
    """The exit code of `main`; 130, and a sentence, for Ctrl-C."""
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
