"""Notes: what was tolerated while reading, one sentence for each kind, however often it occurs.

A playlist with 100,000 odd segments gives one note with a count. Notes never hold URIs or
variable values, since those may be tokens.
"""

from __future__ import annotations

LONGEST_SHOWN = 40


def shown(text: str) -> str:
    """The playlist's own text, safe to show: cut short, with nothing in it that a terminal would obey."""
    cut = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


class Notes:
    """Collects what was tolerated, and tells it as sentences."""

    def __init__(self) -> None:
        self._seen: dict[str, list[int]] = {}
        """What was tolerated -> [1-based line where it was first met or 0, how often]."""

    def add(self, what: str, index: int | None = None) -> None:
        """Note `what`, met at the 0-based line `index`; the same `what` again only counts."""
        line = 0 if index is None else index + 1
        self._seen.setdefault(what, [line, 0])[1] += 1

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each kind of thing that was tolerated, in order of first appearance."""
        return tuple(_sentence(what, line, times) for what, (line, times) in self._seen.items())


def _sentence(what: str, line: int, times: int) -> str:
    more = f" (and {times - 1} more)" if times > 1 else ""
    return f"line {line}{more}: {what}" if line else f"{what}{more}"
