"""The one door to m3u8: hand it our copy of the lines, get its dictionary, let nothing else out.

Only `m3u8.parse` is used. Its models, `load`, `dumps`, `strict` and `absolute_uri` lose tags, move keys, join URIs
wrongly or fail on valid playlists; so m3u8 reads the values it reads well, and never writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlsdl.errors import PlaylistError

_FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What m3u8 is known to raise for malformed values."""

Hook = Callable[[str, int, dict[str, Any], dict[str, Any]], bool]
"""Called by m3u8 for each `#` line: (line, 1-based line number, its data, its state) -> whether to hide the line."""


def read_with_m3u8(copy: list[str], hook: Hook) -> dict[str, Any]:
    """What m3u8 says about the copy, which is emptied; its own failures, if any are left, are a PlaylistError."""
    from m3u8.parser import parse  # 60 ms, so not before there is a playlist to read

    text = "\n".join(copy)
    copy.clear()  # m3u8 splits the text into lines of its own, and of a long playlist one set is enough
    try:
        data: dict[str, Any] = parse(text, strict=False, custom_tags_parser=hook)
    except _FAILURES as error:
        raise PlaylistError(f"the playlist cannot be read ({type(error).__name__})") from error
    return data
