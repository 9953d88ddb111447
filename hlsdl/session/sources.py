"""What was named as the source, and what its bundle is called; where that is or goes, `places` finds out.

The naming rules are contract: `--title`, else the stream's own title, else the last telling part of the URL, else
the host. It is read before a download's other modules are loaded (`ahead`), and imports little.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hlsdl.errors import UsageError, redact

if TYPE_CHECKING:
    from hlsdl.bundle.manifest import Manifest
    from hlsdl.playlist.models import MultivariantPlaylist

GENERIC_NAMES = frozenset({"master", "index", "playlist", "manifest", "main", "prog_index", "chunklist"})
"""Names that say nothing about the film; the part of the path before them is asked instead."""

PLAYLIST_EXTENSIONS = (".m3u8", ".m3u")

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


def parse_source(text: str, *, base_url: str | None = None) -> Source:
    """Understand what the user typed: a URL, or the path of an existing playlist file.

    Raises:
        UsageError: it is neither, or the URL has a scheme that is no source.
    """
    scheme = text.split("://", 1)[0].lower() if "://" in text else ""
    if scheme in ("http", "https"):
        if not _host(text):
            raise UsageError(
                "the source URL has no host, or no port that can be", hint="write it as `https://host/path/master.m3u8`"
            )
        return Source(url=text, base_url=base_url, is_named=True)
    if scheme:
        raise UsageError(f"`{scheme}` is no scheme for a source", hint="use http, https or the path of a playlist file")
    try:
        path = Path(text)
        if path.is_file():
            return Source(url=path.resolve().as_uri(), base_url=base_url, is_named=True)
        why = ""
    except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be entered, a NUL
        why = f": {getattr(error, 'strerror', error)}"
    raise UsageError(f"there is no playlist file `{text}`{why}", hint="a source is a URL or the path of a file")


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
