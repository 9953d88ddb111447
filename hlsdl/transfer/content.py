"""What a body must look like: an error page is no segment, and a key has 16 bytes.

Pure. Bytes are believed, not names or content types: many origins serve segments as `text/html` or `.jpg`. Text is
recognised only when the beginning is text throughout, since an encrypted segment may begin with any bytes; and text
that might be anything is refused only where the origin itself calls it text.
"""

from __future__ import annotations

import re

from hlsdl.errors import ContentKeyError, IntegrityError

KEY_BYTES = 16
"""Length of an AES-128 content key (RFC 8216 §5.2)."""

LONGEST_ERROR_PAGE = 1024 * 1024
"""Bytes that are read where a key was asked for, to say what came instead."""

MEDIA = frozenset({"segment", "init", "subtitle-file"})
"""Kinds of resources whose beginning says whether they may be what was asked for."""

SAMPLE = 512
"""Bytes of the beginning that are looked at."""

HINT_BROKEN = "the playlist is broken: ask the one who made it"

_HTML = re.compile(rb"<(?:!doctype html|html|head|body|script|title|meta|!--)", re.IGNORECASE)
_MARKUP = re.compile(rb"<(?!tt[\s>:])[a-z][a-z0-9]*[\s/>]", re.IGNORECASE)
"""Any element but that of timed text (TTML)."""
_XML = re.compile(
    rb"(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?!(?:[\w.-]+:)?tt[\s/>])[a-z][a-z0-9:._-]*[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
_JSON = re.compile(rb'(?:\{\s*["}]|\[\s*[\[{"\]])')
_TEXTS = (
    ("a playlist", re.compile(rb"#EXTM3U")),
    ("an HTML page", _HTML),
    ("an XML document", _XML),
    ("a JSON document", _JSON),
)
"""What no media segment is, when it is text throughout."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BEFORE = b"\xef\xbb\xbf\t\n\x0c\r "
"""What may stand before the first element."""
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]*")


def why_not_media(beginning: bytes, *, may_be_empty: bool = False, content_type: str | None = None) -> str | None:
    """Say what a body is when it is no media segment (half a sentence), or None when it may be one.

    `beginning` is the whole body or at least its first `SAMPLE` bytes. A WebVTT segment without cues is legal, some
    packagers even write it without a byte (`may_be_empty`). Text is no error page by itself, but text that is called
    text, and not WebVTT, is nothing that plays.
    """
    if not beginning:
        return None if may_be_empty else "an empty body"
    kind = (content_type or "").lower()
    sample = beginning[:SAMPLE].lstrip(_BEFORE)
    is_page = _HTML.match(sample) or (kind.startswith("text/html") and _MARKUP.match(sample))
    if is_page and _TEXT.fullmatch(sample):
        return "an HTML page"  # in whatever encoding
    if (text := _leading_text(_of_utf_16(beginning) or beginning)) is None:
        return None
    for what, pattern in _TEXTS:
        if pattern.match(text):
            return what
    if beginning.startswith(_UTF_16):
        return None  # ciphertext may begin so, and anything is some character of UTF-16
    is_said = kind.startswith("text/") and not kind.startswith("text/vtt")
    return "a text" if is_said and not text.startswith((b"WEBVTT", b"<")) else None


def why_not_playlist(body: bytes) -> str | None:
    """Say what a body is when it is no playlist (RFC 8216 §4.3.1.1), or None when it begins like one."""
    text = body[:SAMPLE].removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"#EXTM3U"):
        return None
    return why_not_media(body) or "something else than a playlist"


def why_not_key(body: bytes) -> str | None:
    """Say why a body is no AES-128 key, or None when it has exactly 16 bytes; never says which bytes."""
    if len(body) == KEY_BYTES:
        return None
    return why_not_media(body) or f"a body of {len(body)} bytes"


def is_webvtt(*paths: str, content_type: str | None) -> bool:
    """Whether a name or the type says WebVTT."""
    named = any(path.lower().endswith((".vtt", ".webvtt")) for path in paths)
    return named or (content_type or "").lower().startswith("text/vtt")


def not_what_was_asked(reason: str, kind: str, url: str) -> IntegrityError | ContentKeyError:
    """The error for a body that is something else; `reason` is what it is."""
    if kind == "key" and not url.lower().startswith("http"):
        return ContentKeyError(f"a key has {KEY_BYTES} bytes, and this one is {reason}", url=url, hint=HINT_BROKEN)
    if kind == "key":
        return ContentKeyError(
            f"the server sends {reason} where a key of {KEY_BYTES} bytes was asked for",
            url=url,
            hint="the key server may want a sign-in: give it with --cookies FILE or -H",
        )
    return IntegrityError(
        f"the server sends {reason} where a media segment was asked for",
        url=url,
        hint="the server may want a sign-in, or the URL may have expired: open the page again for a fresh one",
    )


def _of_utf_16(beginning: bytes) -> bytes | None:
    """Text that is marked as UTF-16, in UTF-8; None for what is none."""
    if not beginning.startswith(_UTF_16):
        return None
    try:
        return beginning[: min(len(beginning), 2 * SAMPLE) // 2 * 2].decode("utf-16").encode()
    except UnicodeError:  # a pair may be cut at the end: no page begins with so many of them
        return None


def _leading_text(beginning: bytes) -> bytes | None:
    """The first bytes, without byte order mark and white space, when they are text; None when they are binary."""
    sample = beginning[:SAMPLE]
    if b"\0" in sample:  # as in every MPEG-TS packet and MP4 box: a look that costs nothing
        return None
    sample = sample.removeprefix(b"\xef\xbb\xbf")
    if not _TEXT.fullmatch(sample):
        return None
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character may be cut at the end of the sample; anywhere else it is not UTF-8.
        if error.start < len(sample) - 3 or len(sample) < SAMPLE - 3:
            return None
    return sample.lstrip()


class Ending:
    """Watches a body whose end is not marked (neither length nor chunks) for signs that it was cut.

    A transport stream consists of whole 188-byte packets; the boxes of an MP4 file add up to its length. Anything else,
    encrypted bodies above all, gives no sign.
    """

    def __init__(self) -> None:
        self._size = 0
        self._beginning = b""
        self._walking = True
        self._header = b""
        self._to_next_box = 0

    def feed(self, block: bytes) -> None:
        """Take the next bytes of the body."""
        if len(self._beginning) <= _PACKET:
            self._beginning += block[: _PACKET + 1 - len(self._beginning)]
        self._size += len(block)
        rest = memoryview(block)
        while self._walking and rest:
            passed = min(self._to_next_box, len(rest))
            self._to_next_box -= passed
            rest = rest[passed:]
            if self._to_next_box == 0:
                rest = self._read_header(rest)

    def _read_header(self, rest: memoryview[int]) -> memoryview[int]:
        """Collect a box header (ISO/IEC 14496-12 §4.2); returns what is left of `rest`."""
        wanted = 16 if self._header[:4] == b"\0\0\0\1" else 8
        missing = wanted - len(self._header)
        self._header += bytes(rest[:missing])
        rest = rest[missing:]
        length = int.from_bytes(self._header[:4], "big")
        if len(self._header) < wanted or (length == 1 and wanted == 8):
            return rest
        if length == 1:
            length = int.from_bytes(self._header[8:16], "big")
        # Only a file that begins with a known box is taken for MP4. Length 0 means "to the end of the file", and one
        # that is too small is no box at all: neither tells where the end must be.
        is_first = self._size - len(rest) == wanted
        self._walking = length >= wanted and (not is_first or self._header[4:8] in _TOP_LEVEL_BOXES)
        self._to_next_box = length - wanted
        self._header = b""
        return rest

    @property
    def looks_cut(self) -> bool:
        """Whether the body, as far as fed, ends in the middle of a packet or box."""
        # Less than a packet shows one sync byte only. Ciphertext may begin with it, too, but is hardly ever so short.
        if self._beginning[:1] == b"G" and (self._size < _PACKET or self._beginning[_PACKET:] == b"G"):
            return self._size % _PACKET != 0
        return self._walking and self._size >= 8 and (self._to_next_box > 0 or self._header != b"")


_PACKET = 188
_TOP_LEVEL_BOXES = frozenset(b"ftyp styp moov moof mdat sidx ssix emsg prft free skip wide uuid meta mfra".split())
