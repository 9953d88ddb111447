"""What was named as the source, and what its bundle is called; where that is or goes, `places` finds out.

The naming rules are contract: `--title`, else the stream's own title, else the last telling part of the URL, else
the host. It is read before a download's other modules are loaded (`ahead`), and imports little.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hlsdl.access.urls import is_text
from hlsdl.errors import UsageError, redact, redact_typed

if TYPE_CHECKING:
    from hlsdl.bundle.manifest import Manifest
    from hlsdl.playlist.models import MultivariantPlaylist

GENERIC_NAMES = frozenset({"master", "index", "playlist", "manifest", "main", "prog_index", "chunklist"})
"""Names that say nothing about the film; the part of the path before them is asked instead."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

PLAYLIST_EXTENSIONS = (".m3u8", ".m3u")

IN_PERCENT = "write the bytes percent-encoded, such as `%FF`"

MOST_BYTES = 32 << 20
"""Of a playlist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A playlist somebody named: an http(s) URL, or a file on this machine as a `file:` URL."""

    url: str = field(repr=False)
    base_url: str | None = field(default=None, repr=False)
    """For a file: where its relative URIs point; None resolves them beside the file."""
    is_named: bool = field(default=False, compare=False)
    """The user, or the program, named it here; else it is what a bundle says, and anybody may have made that."""

    @property
    def shown(self) -> str:
        """The source for messages."""
        return redact(self.url)


def parse_source(named: str | Path, *, base_url: str | None = None) -> Source:
    """Understand what the user typed: a URL, or the path of an existing playlist file.

    Raises:
        UsageError: it is neither, or the URL has a scheme that is no source; `base_url` is no URL, or the source is no
            file.
    """
    if not isinstance(named, str):
        from hlsdl.bundle.layout import path_given  # for programs only: see above

        named = path_given(named, "a source")
    text = str(named)
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    if scheme and not is_text(text):  # the path of a file may be any bytes
        raise UsageError("the URL of a source is not valid UTF-8", hint=IN_PERCENT)
    if base_url is not None:
        _check_base(base_url, of_url=bool(scheme))
    if scheme in ("http", "https"):
        if not _host(text):
            raise UsageError(
                "the source URL has no host, or no port that can be", hint="write it as `https://host/path/master.m3u8`"
            )
        return Source(url=text, is_named=True)
    if scheme:
        raise UsageError(f"`{scheme}` is no scheme for a source", hint="use http, https or the path of a playlist file")
    try:
        path = Path(text)
        if path.is_file():
            return Source(url=path.resolve().as_uri(), base_url=base_url, is_named=True)
        why = ""
    except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be entered, a NUL
        why = f": {getattr(error, 'strerror', error)}"
    raise UsageError(
        f"there is no playlist file `{redact_typed(text)}`{why}",
        hint="a source is a URL, which begins with `https://` or `http://`, or the path of a file",
    )


def _check_base(base_url: str, *, of_url: bool) -> None:
    """UsageError when this cannot be where the URIs of the source point."""
    if of_url:
        told = "a base URL is for a playlist file, and the source is a URL"
        raise UsageError(told, hint="leave `--base-url` out: URIs of a playlist are resolved by its own URL")
    found = _SCHEME.match(base_url)
    scheme = found[1].lower() if found else ""
    if scheme != "file" and not (scheme in ("http", "https") and _host(base_url)):
        raise UsageError(
            f"the base URL is none: `{redact_typed(base_url)}`",
            hint="give the URL that the playlist came from, such as `https://host/film/master.m3u8`",
        )
    if not is_text(base_url):
        raise UsageError("the base URL is not valid UTF-8", hint=IN_PERCENT)


def source_of(manifest: Manifest) -> Source:
    """Where a bundle came from, as it says."""
    base_url = manifest.choices.get("base_url")
    return Source(url=manifest.source_url, base_url=base_url if isinstance(base_url, str) else None)


def _host(url: str) -> str | None:
    """The host of a URL that has one and whose port, if any, is one."""
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.port != 0 else None
    except ValueError:
        return None


def title_of(source: Source, master: MultivariantPlaylist | None, wanted: str | None = None) -> str:
    """The title of a stream, as text for people; `bundle.layout.safe_title` makes a file name of it."""
    if wanted:
        return wanted
    for item in master.session_data if master else ():
        if item.data_id.lower().endswith(".title") and item.value:
            return item.value
    return title_in_url(source.url)


def title_in_url(url: str) -> str:
    """The last part of the URL's path that is not a generic name, without its extension; else the host."""
    parts = urlsplit(url)
    for part in reversed(parts.path.split("/")):
        name = unquote(part)
        stem = name.rpartition(".")[0] if name.lower().endswith(PLAYLIST_EXTENSIONS) else name
        if stem and stem.lower() not in GENERIC_NAMES:
            return stem
    return parts.hostname or "stream"
