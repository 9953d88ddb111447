"""The SOURCE arguments: several, and `-` for a list on stdin. What a source is belongs to the session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hlsdl.errors import UsageError

STDIN = "-"


def read_sources(arguments: Sequence[str], stdin: Iterable[str]) -> tuple[str, ...]:
    """Return the sources in the order given; each `-` becomes the lines of `stdin`.

    Blank lines and lines that begin with `#` are comments. `#` later in a line is part of the URL.

    Raises:
        UsageError: stdin is no text or names no source.
    """
    sources: list[str] = []
    for argument in arguments:
        if argument == STDIN:
            sources.extend(_listed(stdin))
        elif not argument.strip():
            raise UsageError("an empty source was given", hint="a source is a URL, a playlist file, or `-` for a list")
        else:
            sources.append(argument)
    if not sources:
        raise UsageError("standard input names no source", hint="write one URL on each line")
    return tuple(sources)


def _listed(stdin: Iterable[str]) -> list[str]:
    try:
        lines = [line.strip() for line in stdin]
    except UnicodeDecodeError as error:
        raise UsageError("standard input is not text") from error
    return [line for line in lines if line and not line.startswith("#")]
