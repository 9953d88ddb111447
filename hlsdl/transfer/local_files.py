"""Local sources: files beside a playlist on this machine, and `data:` URLs.

Only a local playlist file that the user named has local children; nothing that came over the network, or in a bundle
that somebody else made, can name a file here. Files are read in the event loop's own threads. A cancelled job may leave
a read behind there: it has opened its file itself and closes it, so only the end of the loop needs to wait for it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from hlsdl.access.limits import MIB
from hlsdl.access.urls import is_file_url
from hlsdl.errors import ContentKeyError, DiskError, IntegrityError, LimitError, PolicyError
from hlsdl.transfer import content
from hlsdl.transfer.documents import Body, DocumentKind
from hlsdl.transfer.sink import Sink, Validator
from hlsdl.transfer.tap import Tap

if TYPE_CHECKING:
    from hlsdl.planning.plan import Resource

ELSEWHERE = "a playlist that was saved from elsewhere needs `--base-url` with the URL that it came from"
HINT_NAME_IT = (
    "nothing proves that this bundle's source was named on this machine: when the file is yours, `hlsdl fetch FILE -o"
    " BUNDLE` names it"
)


def is_data_url(url: str) -> bool:
    """Whether `url` carries its content itself (RFC 2397)."""
    return url[:5].lower() == "data:"


def path_of(url: str) -> Path:
    """The path that a `file:` URL means; PolicyError for one on another machine."""
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise PolicyError("a `file:` URL names another machine", url=url)
    if "\0" in unquote(parts.path):
        raise PolicyError("a `file:` URL holds a null character", url=url)
    from urllib.request import url2pathname  # brings an HTTP client of its own, and few sources are files

    return Path(url2pathname(parts.path))


def read_data_url(url: str, *, limit: int) -> tuple[bytes, str]:
    """The content and media type of a `data:` URL; PolicyError when it is malformed."""
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise PolicyError("a `data:` URL has no content", url=url)
    kind, marked, _ = head.partition(";base64")
    try:
        data = base64.b64decode(unquote_to_bytes(body), validate=True) if marked else unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise PolicyError("a `data:` URL is not valid base64", url=url) from error
    if len(data) > limit:
        raise LimitError(f"a `data:` URL holds {len(data)} bytes, more than the {limit} allowed", url=url)
    return data, kind or "text/plain"


@dataclass(slots=True)
class LocalFiles:
    """The files that a job may read.

    `source`: the local playlist that the user named, or None: then there are none. Once a playlist has come over the
    network, only files below the source's own folder are readable: a remote playlist must not name any other.
    `hint`: what to do where there are none.
    """

    source: Path | None
    met_remote_playlist: bool = False
    hint: str | None = None

    @classmethod
    def beside(cls, source_url: str, *, typed: bool = True) -> LocalFiles:
        """The files that belong to a source; none when it is not the user who named it."""
        if not is_file_url(source_url):
            return cls(None)
        return cls(path_of(source_url).resolve()) if typed else cls(None, hint=HINT_NAME_IT)

    def permitted(self, url: str) -> Path:
        """The path of a `file:` URL that may be read; PolicyError when it may not."""
        if self.source is None:
            told = "a `file:` URL was refused: only a local playlist that was named here may name local files"
            raise PolicyError(told, url=url, hint=self.hint)
        try:
            path = path_of(url).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, as long as there is Python 3.12
            told = "a file that a local playlist names cannot be looked for: its path leads nowhere"
            raise IntegrityError(told, url=url, hint=ELSEWHERE) from error
        if self.met_remote_playlist and not path.is_relative_to(self.source.parent):
            raise PolicyError("a `file:` URL was refused: it leaves the folder of the local playlist", url=url)
        return path

    async def document(self, url: str, kind: DocumentKind, limit: int) -> Body:
        """The whole of a small file, or what a `data:` URL holds.

        Raises:
            ContentKeyError: a key was asked for, and this is none.
            HlsdlError: it cannot be read, or must not be.
        """
        content_type = None
        if is_data_url(url):
            data, content_type = self._in_url(url, kind, limit)
        else:
            data = await asyncio.to_thread(_read, self.permitted(url), 0, None, limit, url)
        reason = content.why_not_key(data) if kind == "key" else None
        if reason is not None:
            raise content.not_what_was_asked(reason, kind, url)
        return Body(data=data, url=url, requested_url=url, content_type=content_type)

    @staticmethod
    def _in_url(url: str, kind: DocumentKind, limit: int) -> tuple[bytes, str]:
        try:
            return read_data_url(url, limit=limit)
        except PolicyError as malformed:
            if kind == "key":
                raise ContentKeyError(malformed.message, url=url, hint=content.HINT_BROKEN) from malformed
            raise

    async def copy(self, resource: Resource, sink: Sink, tap: Tap, *, block: int = MIB) -> None:
        """Bring a file, or the part of it that a byte range names, into a sink; IntegrityError when it is no media."""
        path = self.permitted(resource.url)
        if sink.size:
            await sink.restart()
        offset = resource.byte_range.offset if resource.byte_range else 0
        length = resource.byte_range.length if resource.byte_range else None
        sink.describe(validator=Validator(), length_verified=True)
        moved = 0
        while length is None or moved < length:
            wanted = block if length is None else min(block, length - moved)
            data = await asyncio.to_thread(_read, path, offset + moved, wanted, None, resource.url)
            if not moved:
                _look_at(data, path, resource)
            if not data:
                break
            moved += len(data)
            if moved > resource.limit:
                raise LimitError(f"the file has more than the {resource.limit} bytes allowed", url=resource.url)
            await tap.pass_on(len(data))
            await sink.write(data)
        if length is not None and moved < length:
            told = f"a local file ends after {moved} of {length} bytes of a byte range"
            raise IntegrityError(told, url=resource.url, hint=ELSEWHERE)


def _look_at(beginning: bytes, path: Path, resource: Resource) -> None:
    """IntegrityError when the file is no media."""
    may_be_empty = content.is_webvtt(resource.path, path.name, content_type=None)
    reason = content.why_not_media(beginning, may_be_empty=may_be_empty) if resource.kind in content.MEDIA else None
    if reason is not None:
        told = f"a local file holds {reason} where a media segment must be"
        raise IntegrityError(told, url=resource.url, hint="it was saved badly: fetch the stream from where it came")


def _read(path: Path, offset: int, length: int | None, limit: int | None, url: str) -> bytes:
    """Read from a regular file; IntegrityError when it is none, DiskError when it cannot be read."""
    try:
        if not path.is_file():
            raise IntegrityError("a file that a local playlist names is not there, or is none", url=url, hint=ELSEWHERE)
        if limit is not None and path.stat().st_size > limit:
            raise LimitError(f"a local file has more than the {limit} bytes allowed", url=url)
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)
    except OSError as error:
        told = f"a local file cannot be read: {error.strerror}"
        raise DiskError(told, url=url, hint="see whether it may be read, then run the same command again") from error
