"""Which files of a bundle a player may ask for, and what each is called on the wire; pure.

A file is served when a local playlist names it *and* its name is of the kinds that hlsdl gives: never the
manifest, journal, lock, source playlists or unfinished files, whatever a playlist says. Content types come from
our own names alone, so that bytes from a hostile origin can never pose as a page or a script.
"""

from __future__ import annotations

import posixpath

from hlsdl.bundle.layout import INDEX, JOURNAL, LOCK, MANIFEST, is_safe_path
from hlsdl.playlist.lines import PlaylistText, attribute_spans, content, fetchable_attributes, is_uri

ANY_BYTES = "application/octet-stream"

CONTENT_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".m2ts": "video/mp2t",
    ".mp4": "video/mp4",
    ".m4s": "video/mp4",
    ".m4v": "video/mp4",
    ".cmfv": "video/mp4",
    ".mov": "video/quicktime",
    ".m4a": "audio/mp4",
    ".cmfa": "audio/mp4",
    ".aac": "audio/aac",
    ".mp3": "audio/mpeg",
    ".ac3": "audio/ac3",
    ".ec3": "audio/eac3",
    ".vtt": "text/vtt; charset=utf-8",
    ".webvtt": "text/vtt; charset=utf-8",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".key": ANY_BYTES,
}
"""Everything else is sent as bytes of no kind. No entry may be a type that a browser runs: HTML, SVG, XML, script."""

_NEVER = frozenset({MANIFEST, JOURNAL, LOCK})
_NEVER_ENDINGS = (".part", ".xml")


def content_type(name: str) -> str:
    """Return the media type of a bundle file, by our own table."""
    return CONTENT_TYPES.get(posixpath.splitext(name)[1], ANY_BYTES)


def is_playlist(name: str) -> bool:
    """Whether this is a local playlist, rather than a segment, a key or session data."""
    return posixpath.basename(name) == INDEX


def is_player_name(name: str) -> bool:
    """Whether a file of this name, relative to the bundle, is of a kind that players need."""
    folder, _, last = name.rpartition("/")
    if not folder:
        return name == INDEX
    # A playlist as fetched holds remote addresses, query and all: only the local ones are for players.
    is_foreign_playlist = last.endswith(".m3u8") and last != INDEX
    return is_safe_path(name) and last not in _NEVER and not last.endswith(_NEVER_ENDINGS) and not is_foreign_playlist


def names_listed(playlist: PlaylistText, at: str) -> frozenset[str]:
    """Return the servable names that a local playlist refers to, relative to the bundle.

    Args:
        playlist: the text of a local playlist.
        at: its own name, relative to the bundle: the base of its URIs.
    """
    folder = posixpath.dirname(at)
    names = (posixpath.normpath(posixpath.join(folder, uri)) for uri in _uris(playlist))
    # A URI with a scheme, query or escape, or one that leaves the bundle, is not of our making.
    return frozenset(name for name in names if is_player_name(name))


def _uris(playlist: PlaylistText) -> list[str]:
    found = []
    for line in playlist.lines:
        if is_uri(line):
            found.append(content(line))
        elif names := fetchable_attributes(line):
            spans = attribute_spans(line)
            found.extend(line[slice(*spans[name])].strip('"') for name in names)
    return found
