"""What was named as the source, what its bundle is called, and where it goes.

The naming rules are contract: `--title`, else the stream's own title, else the last telling part of the URL, else
the host. Whether a folder may be used is decided here; creating and locking it is `bundle.writing`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hlsdl.bundle.durable import translating
from hlsdl.bundle.layout import JOURNAL, MANIFEST, SUFFIX, bundle_name, is_first_moment_name
from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.reading import read_manifest
from hlsdl.errors import DiskError, HlsdlError, IntegrityError, UsageError, redact
from hlsdl.playlist.models import MultivariantPlaylist
from hlsdl.session.configuration import FetchOptions

GENERIC_NAMES = frozenset({"master", "index", "playlist", "manifest", "main", "prog_index", "chunklist"})
"""Names that say nothing about the film; the part of the path before them is asked instead."""

PLAYLIST_EXTENSIONS = (".m3u8", ".m3u")

MOST_NUMBERED_NAMES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A playlist somebody named: an http(s) URL, or a file on this machine as a `file:` URL."""

    url: str = field(repr=False)
    base_url: str | None = field(default=None, repr=False)
    """For a file: where its relative URIs point; None resolves them beside the file."""

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
        return Source(url=text, base_url=base_url)
    if scheme:
        raise UsageError(f"`{scheme}` is no scheme for a source", hint="use http, https or the path of a playlist file")
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"there is no playlist file `{text}`", hint="a source is a URL or the path of a playlist file")
    return Source(url=path.resolve().as_uri(), base_url=base_url)


def source_of(manifest: Manifest) -> Source:
    """Where a bundle came from."""
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


def find_bundle(source: Source, options: FetchOptions) -> Path | None:
    """The bundle of this very source that a second run goes on with, if there is one.

    Raises:
        UsageError: `-o` names something that is no bundle, or another source's.
        IntegrityError: it names a bundle with a damaged manifest.
    """
    if options.output is not None:
        return _named_bundle(options.output, source)
    title = options.title or title_in_url(source.url)
    for place in _numbered(options.directory, title):
        if _is_free(place):
            break
        if _source_there(place) == source.url:
            return place
    if options.title is None and options.directory.is_dir():
        # A stream that names itself in its session data has a bundle whose name the URL does not tell.
        for place in sorted(options.directory.glob(f"*{SUFFIX}")):
            if _source_there(place) == source.url:
                return place
    return None


def place_for(title: str, options: FetchOptions) -> Path:
    """Where a new bundle of this title goes; a number is appended while the name is taken."""
    if options.output is not None:
        return options.output
    for place in _numbered(options.directory, title):
        if _is_free(place):
            return place
    raise UsageError(f"there are too many bundles called `{bundle_name(title)}`", hint="give another --title or folder")


def is_for(source: Source, place: Path) -> bool:
    """Whether no bundle is at `place`, or that of this source."""
    return _source_there(place) in (None, source.url)


def _named_bundle(output: Path, source: Source) -> Path | None:
    if _is_free(output):
        return None
    there = _source_there(output)
    if there == source.url:
        return output
    if there is None:
        _refuse_damaged(output)
    what = "the bundle of another source" if there else "something that is no bundle"
    raise UsageError(f"`{output}` holds {what}", hint="choose another -o path, or remove what is there yourself")


def _refuse_damaged(output: Path) -> None:
    """IntegrityError when a bundle is there whose manifest cannot be read: whose it is, nobody can say any more."""
    try:
        read_manifest(output)
    except IntegrityError as error:
        hint = "choose another -o path, or remove the damaged bundle yourself"
        raise IntegrityError(error.message, hint=hint) from error
    except HlsdlError:
        return  # no bundle at all


def _is_free(place: Path) -> bool:
    """Nothing is there, or only what the first moment of an interrupted run left: the writer takes that over.

    A disk that cannot say is no answer: taking it for a no would start over on top of what is there.
    """
    with translating(str(place)):
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except ValueError:
            raise UsageError(f"`{str(place)!a}` cannot be a path") from None
        try:
            names = {one.name for one in place.iterdir()}
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
    return MANIFEST not in names and all(name == JOURNAL or is_first_moment_name(name) for name in names)


def _source_there(place: Path) -> str | None:
    try:
        return read_manifest(place).source_url
    except DiskError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
        return None
    except HlsdlError:
        # What cannot be read is not ours to resume; `_named_bundle` and `_numbered` then leave it alone.
        return None


def _numbered(directory: Path, title: str) -> Iterator[Path]:
    """`<title>.movpkg`, `<title> 2.movpkg` and so on."""
    return (directory / bundle_name(title, number) for number in range(1, MOST_NUMBERED_NAMES))
