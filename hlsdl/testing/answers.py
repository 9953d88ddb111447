"""What a well-behaved origin answers, as values: ranges, validators, conditional requests, content types.

Pure except for reading the stored file. `behaviours` bends these answers; `origin` puts them on a socket.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Literal

CONTENT_TYPES: Mapping[str, str] = {
    ".aac": "audio/aac",
    ".ac3": "audio/ac3",
    ".css": "text/css",
    ".ec3": "audio/eac3",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".key": "application/octet-stream",
    ".m3u": "audio/mpegurl",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4a": "audio/mp4",
    ".m4s": "video/iso.segment",
    ".m4v": "video/mp4",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".ts": "video/mp2t",
    ".vtt": "text/vtt",
    ".webvtt": "text/vtt",
    ".xml": "application/xml",
}
"""Content types by extension; anything else is `application/octet-stream`."""

LONG_AGO = "Sat, 01 Jan 2022 00:00:00 GMT"
"""The Last-Modified date of objects given as bytes: old enough to be a strong validator."""


@dataclass(slots=True, kw_only=True)
class Request:
    """One request in the access log.

    `status` and `body_bytes_sent` are filled in while the answer goes out; status 0 means that no head was sent.
    `connection` numbers the TCP connections from 1, so that a test can see which requests shared one.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    """Field names in lower case."""
    connection: int = 0
    status: int = 0
    body_bytes_sent: int = 0

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response, and how it is to be put on the wire."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    framing: Literal["length", "chunked", "close"] = "length"
    declared_length: int | None = None
    """Content-Length to claim instead of the true one."""
    interim: bytes = b""
    """Raw bytes sent before the head (1xx responses)."""
    endless_interim: bool = False
    raw: bytes | None = field(default=None, repr=False)
    """Sent instead of a response, after which the connection is closed."""
    stop_after: int | None = None
    """Body bytes after which `ending` happens; None: all of them."""
    ending: Literal["keep", "close", "reset", "stall"] = "keep"
    silent: bool = False
    """No head at all: `ending` happens at once."""
    block: int = 256 * 1024
    """Bytes sent at once."""
    pause: float = 0.0
    """Seconds between two blocks."""
    delay: float = 0.0
    """Seconds before the head."""
    hold: Event | None = None
    hold_after: int | None = None
    """Body bytes sent before waiting for `hold`; None: it waits before the head."""
    endless: bool = False
    """The body is repeated until the client goes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """Something an origin serves: bytes in memory, or a file read when it is asked for."""

    body: bytes | Path = field(repr=False)
    content_type: str
    etag: str | None
    last_modified: str | None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.stat().st_size

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`."""
        if isinstance(self.body, bytes):
            return self.body[start:end]
        with self.body.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def content_type_of(path: str) -> str:
    """The content type that the extension of `path` stands for."""
    return CONTENT_TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")


def stored_bytes(
    path: str,
    body: bytes,
    *,
    content_type: str | None = None,
    etag: str | None = "auto",
    last_modified: str | None = LONG_AGO,
    headers: Mapping[str, str] | None = None,
) -> StoredObject:
    """Describe an object in memory; `etag="auto"` makes a strong one from its bytes, None leaves it out."""
    if etag == "auto":
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    return StoredObject(
        body=body,
        content_type=content_type or content_type_of(path),
        etag=etag,
        last_modified=last_modified,
        headers=tuple((headers or {}).items()),
    )


def stored_file(file: Path) -> StoredObject:
    """Describe a file on disk, with a strong ETag made of size and modification time."""
    status = file.stat()
    return StoredObject(
        body=file,
        content_type=content_type_of(file.name),
        etag=f'"{status.st_mtime_ns:x}-{status.st_size:x}"',
        last_modified=formatdate(status.st_mtime, usegmt=True),
    )


def answer_for(request: Request, stored: StoredObject | None) -> Answer:
    """Answer as RFC 9110 asks: 200, 206, 304, 404, 405 or 416."""
    if request.method not in {"GET", "HEAD"}:
        return Answer(status=405, headers=(("Allow", "GET, HEAD"),))
    if stored is None:
        return Answer(status=404, headers=(("Content-Type", "text/plain"),), body=b"not found\n")
    headers = [("Content-Type", stored.content_type), ("Accept-Ranges", "bytes")]
    if stored.etag is not None:
        headers.append(("ETag", stored.etag))
    if stored.last_modified is not None:
        headers.append(("Last-Modified", stored.last_modified))
    headers.extend(stored.headers)
    if is_known(request.headers.get("if-none-match", ""), stored.etag):
        return Answer(status=304, headers=tuple(headers))
    size = stored.size
    wanted = wanted_range(request, stored, size)
    if wanted is None:
        return Answer(headers=tuple(headers), body=stored.read(0, size))
    start, end = wanted
    if start >= size or start >= end:
        return Answer(status=416, headers=(("Content-Range", f"bytes */{size}"),))
    headers.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
    return Answer(status=206, headers=tuple(headers), body=stored.read(start, end))


def wanted_range(request: Request, stored: StoredObject, size: int) -> tuple[int, int] | None:
    """The (start, end) that a single satisfiable or unsatisfiable Range asks for; None: answer with the whole."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    condition = request.headers.get("if-range")
    if request.method != "GET" or found is None or found.groups() == ("", ""):  # RFC 9110 §14.2
        return None
    if condition is not None and not validator_holds(condition, stored):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


def is_known(condition: str, etag: str | None) -> bool:
    """Whether an If-None-Match condition names the ETag, by weak comparison (RFC 9110 §13.1.2)."""
    known = [name.removeprefix("W/") for name in re.findall(r'(?:W/)?"[^"]*"', condition)]
    return condition == "*" or (etag is not None and etag.removeprefix("W/") in known)


def validator_holds(condition: str, stored: StoredObject) -> bool:
    """Whether an If-Range condition matches, by strong comparison (RFC 9110 §13.1.5)."""
    if condition.startswith('"'):
        return condition == stored.etag
    return not condition.startswith("W/") and condition == stored.last_modified
