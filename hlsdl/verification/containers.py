"""Is this the shape of media? Structural checks of one stored object, without decoding anything.

Pure: bytes come through a `Window`, the answer is a remark or None. Names and declared types are never asked, since
origins lie about both; the bytes are. A remark is an error only when the object is cut short or is not media at all;
what players step over (trailing bytes, a container we do not know) is a warning, for the bytes are the origin's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hlsdl.verification import packed_audio
from hlsdl.verification.findings import Severity

TS_PACKET = 188
_TS_BLOCK = TS_PACKET * 8192
_MOST_BOXES = 100_000
_HEAD = 1024

_TOP_LEVEL_BOXES = frozenset(
    b"ftyp styp moov moof mdat sidx ssix emsg prft free skip wide uuid pdin meta imda pssh mfra".split()
)
_TEXT_HEADS = (b"<!doctype html", b"<html", b"<?xml", b"{", b"[")
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f")
_BOM = b"\xef\xbb\xbf"


class Window(Protocol):
    """Bytes at rest that can be looked at piece by piece."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end."""
        ...


class Role(StrEnum):
    """What an object is for, which decides what it must contain."""

    SEGMENT = "segment"
    INIT = "init"
    IFRAME = "iframe"
    """A byte range around one key frame; it may end inside an `mdat` box."""
    SUBTITLE = "subtitle"
    IMAGE = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is wrong or odd about one object."""

    severity: Severity
    reason: str
    """A clause that continues `000000001.ts …`."""


def damage(reason: str) -> Remark:
    """The object is cut short, empty, or no media."""
    return Remark(severity=Severity.ERROR, reason=reason)


def oddity(reason: str) -> Remark:
    """Players cope."""
    return Remark(severity=Severity.WARNING, reason=reason)


def check(window: Window, role: Role, *, encrypted: bool = False, may_be_empty: bool = False) -> Remark | None:
    """Judge one object.

    Args:
        window: its bytes, as stored.
        role: what it is for.
        encrypted: the whole object is AES-CBC ciphertext (METHOD=AES-128), so only its length can be judged.
        may_be_empty: it is WebVTT, which packagers write without a byte where nobody speaks.
    """
    if window.size == 0:
        return None if may_be_empty else damage("is empty")
    if encrypted:
        return damage("is no whole number of AES blocks") if window.size % 16 else None
    head = window.read(0, _HEAD)
    text = head.removeprefix(_BOM).lstrip().lower()
    if role is not Role.SUBTITLE and text.startswith(_TEXT_HEADS) and not _CONTROL & set(text):
        return damage("is a text (HTML, XML or JSON), not media")
    return _checker(head, window)(window, role)


def _checker(head: bytes, window: Window) -> Callable[[Window, Role], Remark | None]:
    """Choose by content: the first bytes, and for weak signs the place where the next unit must begin."""
    if head[:1] == b"\x47" and (window.size < 2 * TS_PACKET or head[TS_PACKET : TS_PACKET + 1] == b"\x47"):
        return _transport_stream
    if head[4:8] in _TOP_LEVEL_BOXES:
        return _boxes
    for magic, checker in _HEADS:
        if head.removeprefix(_BOM).startswith(magic):
            return checker
    return _packed_audio if packed_audio.is_packed_audio(window.read, window.size) else _unknown


def _known_only(_window: Window, _role: Role) -> Remark | None:
    return None


def _unknown(_window: Window, role: Role) -> Remark | None:
    if role is Role.SUBTITLE:
        return oddity("does not begin with `WEBVTT`")
    if role is Role.INIT:
        return damage("is no initialization section")
    return oddity("is in no container that we know; it may be encrypted")


def _other_image(_window: Window, role: Role) -> Remark | None:
    return None if role is Role.IMAGE else oddity("begins as an image")


def _transport_stream(window: Window, _role: Role) -> Remark | None:
    whole, trailing = divmod(window.size, TS_PACKET)
    for start in range(0, whole * TS_PACKET, _TS_BLOCK):
        block = window.read(start, min(_TS_BLOCK, whole * TS_PACKET - start))
        marks = block[::TS_PACKET]
        if marks.count(b"\x47") != len(marks):
            lost = next(index for index, mark in enumerate(marks) if mark != 0x47)
            return damage(f"loses transport stream sync at byte {start + lost * TS_PACKET}")
    if trailing:
        return oddity(f"has {trailing} bytes after its last transport stream packet")
    return None


def _boxes(window: Window, role: Role) -> Remark | None:
    """Walk the top-level boxes (ISO/IEC 14496-12 §4.2): they must fill the object exactly."""
    kinds: set[bytes] = set()
    offset = 0
    for _ in range(_MOST_BOXES):
        if offset == window.size:
            return _missing_boxes(kinds, role)
        header = window.read(offset, 16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        elif size == 0:
            size = window.size - offset
        if len(header) < 8 or size < 8 or not all(32 <= byte < 127 or byte == 0xA9 for byte in kind):
            return damage(f"has no box where one must begin, at byte {offset}")
        kinds.add(kind)
        if offset + size > window.size:
            name, there = kind.decode("latin-1"), window.size - offset
            if role is Role.IFRAME and kind == b"mdat":
                return _missing_boxes(kinds, role)
            return damage(f"is cut short: box `{name}` at byte {offset} has {size} bytes, {there} are there")
        offset += size
    return oddity(f"has more than {_MOST_BOXES} boxes")


def _missing_boxes(kinds: set[bytes], role: Role) -> Remark | None:
    if role is Role.INIT:
        return None if b"moov" in kinds else damage("is an initialization section without a `moov` box")
    if b"moof" in kinds and not kinds & {b"mdat", b"imda"}:
        return oddity("has a `moof` box without `mdat`")
    return None if kinds & {b"moof", b"moov"} else oddity("has no `moof` box")


def _webvtt(window: Window, role: Role) -> Remark | None:
    mark = window.read(0, 10).removeprefix(_BOM)[6:7]
    if mark not in (b"", b" ", b"\t", b"\n", b"\r"):
        return oddity("does not begin with `WEBVTT` alone")
    return None if role in (Role.SUBTITLE, Role.SEGMENT) else oddity("is a WebVTT text")


def _jpeg(window: Window, role: Role) -> Remark | None:
    if role is not Role.IMAGE:
        return oddity("begins as an image")
    # Encoders pad; the end marker is looked for in the tail and not at the very end.
    return None if b"\xff\xd9" in window.read(max(0, window.size - 64), 64) else damage("is a JPEG image cut short")


def _packed_audio(window: Window, role: Role) -> Remark | None:
    if role is Role.INIT:
        return damage("is no initialization section")
    outcome = packed_audio.walk(window.read, window.size)
    if outcome.cut_at is not None:
        return damage(f"is cut short: its last audio frame begins at byte {outcome.cut_at}")
    return oddity(outcome.oddity) if outcome.oddity else None


_HEADS: tuple[tuple[bytes, Callable[[Window, Role], Remark | None]], ...] = (
    (b"WEBVTT", _webvtt),
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _other_image),
    (b"GIF8", _other_image),
    (b"RIFF", _other_image),
    (b"\x1f\x43\xb6\x75", _known_only),
    (b"\x1aE\xdf\xa3", _known_only),  # WebM and Matroska: no length to hold against the file's
)
