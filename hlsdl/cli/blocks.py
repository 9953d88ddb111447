"""What a command shows, as values: facts and tables, with their plain rendering for pipes and files.

`reports` makes them from documents, `drawing` draws them on a terminal; nothing here knows either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# C0 and C1 controls (escape sequences among them) and the bidirectional overrides: a title from a server must
# neither move the cursor nor make a line read differently from what it says.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """Return `text` with control characters shown as `\\x1b` and the like, fit for a terminal."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def cell(value: object) -> str:
    """Return a value as one line of text for a table; nothing is shown as `-`."""
    text = "-" if value is None or value == "" else str(value)
    return plain(text.replace("\n", " ").replace("\t", " "))


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, one pair a line."""

    rows: Sequence[tuple[str, object]]

    def plain(self) -> str:
        """Return `name  value` lines with the values in one column."""
        width = max((len(name) for name, _ in self.rows), default=0)
        return "\n".join(f"{name:<{width}}  {cell(value)}" for name, value in self.rows)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    def plain(self) -> str:
        """Return the title, the column names and the rows, in columns two spaces apart and never cut."""
        lines = [list(self.columns), *[[cell(value) for value in row] for row in self.rows]]
        widths = [max(len(line[index]) for line in lines) for index in range(len(self.columns))]
        padded = [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines]
        return "\n".join([f"{self.title}:", *["  " + "  ".join(line).rstrip() for line in padded]])


@dataclass(frozen=True, slots=True)
class Lines:
    """Plain sentences."""

    texts: Sequence[str]

    def plain(self) -> str:
        """Return one sentence a line."""
        return "\n".join(plain(text) for text in self.texts)


Block = Facts | Grid | Lines


def format_bytes(count: float) -> str:
    """Return a count of bytes for people: `512 B`, `41.2 MB` (units of 1000)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_bitrate(bits: int | None) -> str:
    """Return a bitrate for people: `800 kbit/s`, `5.2 Mbit/s`; unknown, which playlists also write as 0, is `-`."""
    if not bits:
        return "-"
    return f"{bits / 1000:.0f} kbit/s" if bits < 1_000_000 else f"{bits / 1_000_000:.1f} Mbit/s"


def format_duration(seconds: float | None) -> str:
    """Return seconds as `0:24` or `1:02:03`; unknown is `-`."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
