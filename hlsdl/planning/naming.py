"""The names we give: stream folders and stored objects. Remote text never becomes a path.

A name depends only on the playlist URL and the media sequence number, so a second run finds what the first one stored.
"""

from __future__ import annotations

import base64
import hashlib
from posixpath import splitext
from urllib.parse import urlsplit

MAIN, SUPPLEMENTAL = 0, 1
"""The leading number of a stream folder: the video or muxed stream, or a rendition beside it."""

SEGMENT_EXTENSIONS = frozenset(
    [
        "ts",
        "m4s",
        "mp4",
        "cmfv",
        "cmfa",
        "cmft",
        "m4v",
        "m4a",
        "aac",
        "ac3",
        "ec3",
        "ac4",
        "mp3",
        "vtt",
        "webvtt",
        "webm",
        "jpg",
        "png",
    ]
)
"""Extensions of media segments that are kept; any other name says nothing true about the bytes."""

KEYS, DATA = "keys", "Data"
"""The folders of keys and of documents."""


def digest(url: str) -> str:
    """Base32 (RFC 4648, 32 characters, upper case) of the SHA-1 of the URL: Apple's own folder hash."""
    return base64.b32encode(hashlib.sha1(url.encode(), usedforsecurity=False).digest()).decode()


def stream_id(number: int, url: str, bandwidth: int) -> str:
    """`<n>-<hash of the media playlist's URL>-<peak bandwidth>`, the name of a stream and of its folder."""
    return f"{number}-{digest(url)}-{bandwidth}"


def key_path(url: str) -> str:
    """Where the key of this URL is kept, relative to the bundle."""
    return f"{KEYS}/{digest(url)}.key"


def data_path(url: str, extension: str) -> str:
    """Where a data item (session data) of this URL is kept, relative to the bundle."""
    return f"{DATA}/{digest(url)}.{extension}"


def extension_of(url: str) -> str:
    """The lower-case extension of the URL's path, without the dot; empty when there is none or the URL has no path."""
    scheme, _, rest = url.partition("://")
    if scheme in ("http", "https") and "[" not in rest:
        # What `urlsplit` and `splitext` would say, in a quarter of the time: this is asked for each segment.
        path = rest.partition("#")[0].partition("?")[0] if "#" in rest or "?" in rest else rest
        _, slash, name = path.rpartition("/")
        _, dot, extension = name.lstrip(".").rpartition(".")
        return extension.lower() if slash and dot else ""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return splitext(path)[1][1:].lower()


def place_of(url: str) -> tuple[str, str]:
    """Host with port, and path; for a URL that cannot be read, all of it and nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    return parts.netloc, parts.path


def segment_extension(url: str, *, kind: str, has_init: bool) -> str:
    """The extension of a stored segment: the URL's own when it is one of ours, else what the stream implies."""
    own = extension_of(url)
    if own in SEGMENT_EXTENSIONS:
        return own
    if kind == "subtitles":
        return "m4s" if has_init else "vtt"
    if kind == "images":
        return "jpg"
    return "m4s" if has_init else "ts"


def segment_name(sequence: int, extension: str) -> str:
    """The file name of a media segment: its Media Sequence Number, nine digits or more."""
    return f"{str(sequence).zfill(9)}.{extension}"  # in half the time that the format `09d` takes


def init_name(sequence: int) -> str:
    """The file name of an init section: after the first segment it applies to."""
    return f"{sequence:09d}.init.mp4"
