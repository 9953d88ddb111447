"""Does a playlist stay inside its bundle? Every place a player would fetch, judged from the raw lines.

Pure. Raw lines and not parsed values, because a lenient player may act on what a strict parser passes over. What is
not plainly inside is outside: a scheme, an absolute path, a way up out of the bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import normpath

from hlsdl.planning.local_playlists import OFFLINE_SCHEMES
from hlsdl.playlist import lines
from hlsdl.playlist.lines import PlaylistText

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_KEY_TAGS = frozenset({"EXT-X-KEY", "EXT-X-SESSION-KEY"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One place in a local playlist that a player would fetch."""

    line: int
    """1-based."""
    tag: str | None
    """None: a URI line."""
    target: str | None
    """The file it names, relative to the bundle; None when it leads outside."""
    is_licence: bool = False
    """It belongs to a key system (a KEYFORMAT other than `identity`), and only that system's players follow it."""


def references(text: PlaylistText, playlist: str) -> Iterator[Reference]:
    """Every reference of the playlist that lies at the relative path `playlist`; schemes without a network are none."""
    folder = playlist.rpartition("/")[0]
    for number, line in enumerate(text.lines, 1):
        if lines.is_uri(line):
            yield Reference(line=number, tag=None, target=target(lines.content(line), folder))
            continue
        for name in lines.fetchable_attributes(line):
            value = _attribute(line, name)
            if _scheme(value) not in OFFLINE_SCHEMES:
                yield Reference(
                    line=number,
                    tag=lines.tag_name(line),
                    target=target(value, folder),
                    is_licence=lines.tag_name(line) in _KEY_TAGS
                    and _attribute(line, "KEYFORMAT") not in ("", "identity"),
                )


def target(value: str, folder: str) -> str | None:
    """The path inside the bundle that `value` means in a playlist of `folder`; None when it leads outside."""
    value = value.strip(lines.BLANKS)
    if _scheme(value) or value.startswith(("/", "\\")):
        return None
    path = normpath(f"{folder}/{value}" if folder else value)
    return None if path == ".." or path.startswith("../") else path


def _scheme(value: str) -> str:
    match = _SCHEME.match(value.strip(lines.BLANKS))
    return match[1].lower() if match else ""


def _attribute(line: str, name: str) -> str:
    span = lines.attribute_spans(line).get(name)
    return line[span[0] : span[1]].strip('"') if span else ""
