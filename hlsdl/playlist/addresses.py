"""Addresses: turn a URI as written in a playlist into an absolute, percent-encoded URL (RFC 3986).

Whether an address may be visited is not judged here: that is the business of `access`, and this room
resolves any scheme.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from hlsdl.errors import PlaylistError
from hlsdl.playlist.lines import PlaylistLimits, over_limit

HIERARCHICAL = frozenset({"http", "https", "file"})
"""Schemes whose URLs are encoded and normalised; those of any other scheme (`data`, `skd` …) stay as written."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_PARTS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_PLAIN = re.compile(r"[!#-;=?-\[\]_a-z~]*")
"""What needs no encoding: printable ASCII less space and `"<>\\^`{|}`."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SAFE = "!#$%&'()*+,-./:;=?@[]_~"
_REMEMBERED = 64


class _Parts(NamedTuple):
    scheme: str | None
    authority: str | None
    path: str
    query: str | None
    fragment: str | None


class Base:
    """The URL of one playlist, as the base of every URI in it (RFC 3986 §5).

    Relative URIs drop the playlist's query; `?n=1` alone keeps its path.
    """

    def __init__(self, url: str, limits: PlaylistLimits) -> None:
        self.url = encode(url)
        self._limits = limits
        self._parts = _split(self.url)
        folder = self._parts.path[: self._parts.path.rfind("/") + 1]
        self._folder = _joined(_Parts(self._parts.scheme, self._parts.authority, folder, None, None))
        self._folder_is_plain = bool(folder) and "/." not in folder
        # Playlists repeat a key or a file on every segment: the same URL is one string, resolved once.
        self._resolved: dict[str, str] = {}

    def resolve(self, uri: str, index: int) -> str:
        """The absolute URL of `uri`, found at the 0-based line `index`.

        Raises PlaylistError for control characters, LimitError past `max_url`.
        """
        return self._resolved.get(uri) or self.resolve_encoded(encode(uri, index), index)

    def resolve_encoded(self, uri: str, index: int) -> str:
        """The same for what `encode` gave, as the lines of m3u8's copy are."""
        known = self._resolved.get(uri)
        if known is not None:
            return known
        url = self._join(uri)
        if len(url) > self._limits.max_url and url[:5].lower() != "data:":
            over_limit("max_url", self._limits.max_url, index)
        if len(self._resolved) >= _REMEMBERED:
            self._resolved.clear()
        self._resolved[uri] = url
        return url

    def is_itself(self, url: str) -> bool:
        """Whether `url` is this playlist again, fragments aside."""
        return url.partition("#")[0] == self.url.partition("#")[0]

    def _join(self, reference: str) -> str:
        """RFC 3986 §5.2.2, strict; the usual cases (an absolute URL, a plain relative path) come first."""
        scheme = _SCHEME.match(reference) if ":" in reference else None
        if scheme:
            return _without_dots(reference) if scheme[0].lower() in HIERARCHICAL else reference
        if self._folder_is_plain and reference[:1] not in {"/", "?", "#", ".", ""} and "/." not in reference:
            return self._folder + reference
        return self._transformed(_split(reference))

    def _transformed(self, given: _Parts) -> str:
        base = self._parts
        path, query = given.path, given.query
        authority = base.authority
        if given.authority is not None:
            authority = given.authority
        elif not path:
            path, query = base.path, base.query if query is None else query
        elif not path.startswith("/"):
            folder = base.path[: base.path.rfind("/") + 1]
            path = ("/" if base.authority is not None and not base.path else folder) + path
        return _joined(_Parts(base.scheme, authority, _remove_dot_segments(path), query, given.fragment))


def encode(uri: str, index: int | None = None) -> str:
    """Percent-encode what a URI may not hold; what is encoded already stays. Control characters are a PlaylistError.

    Of schemes that are not HIERARCHICAL nothing is encoded. Host names stay as they are: encoding them
    (IDNA) is for whoever connects.
    """
    if _PLAIN.fullmatch(uri):
        return uri
    line = None if index is None else index + 1
    if _CONTROL.search(uri):
        raise PlaylistError("a URI holds a control character", line=line)
    scheme = _SCHEME.match(uri)
    if scheme and scheme[0].lower() not in HIERARCHICAL:
        if not all(character.isprintable() for character in uri):
            raise PlaylistError("a URI holds an invisible character", line=line)
        return uri
    start = len(scheme[0]) + 1 if scheme else 0
    if uri.startswith("//", start):
        ends = [end for mark in "/?#" if (end := uri.find(mark, start + 2)) >= 0]
        start = min(ends, default=len(uri))
        if any(character == " " or not character.isprintable() for character in uri[:start]):
            raise PlaylistError("a URI has a host name with spaces", line=line)
    return uri[:start] + quote(uri[start:], safe=_SAFE, errors="surrogatepass")


def _split(url: str) -> _Parts:
    match = _PARTS.fullmatch(url)
    # Every part may be empty and the rest takes anything, so the pattern matches every string.
    return _Parts(*match.groups()) if match else _Parts(None, None, url, None, None)


def _joined(parts: _Parts) -> str:
    url = f"{parts.scheme}:" if parts.scheme is not None else ""
    url += f"//{parts.authority}" if parts.authority is not None else ""
    url += parts.path
    url += f"?{parts.query}" if parts.query is not None else ""
    return url + (f"#{parts.fragment}" if parts.fragment is not None else "")


def _without_dots(url: str) -> str:
    if "/." not in url:
        return url
    parts = _split(url)
    return _joined(parts._replace(path=_remove_dot_segments(parts.path)))


def _remove_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4: `..` never climbs above the root."""
    if "/." not in "/" + path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            # The empty first part of an absolute path is its root.
            if kept and kept != [""]:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/".join(kept)
