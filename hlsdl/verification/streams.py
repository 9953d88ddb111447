"""One stored stream's playlists: the local one, and the source it must agree with.

Pure: texts and parsed values in, findings out. Which files exist is left to `structure`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename

from hlsdl.bundle.manifest import StoredStream
from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist.lines import PlaylistText
from hlsdl.playlist.models import InitSection, MediaPlaylist, MultivariantPlaylist, Segment
from hlsdl.playlist.parsing import parse_playlist
from hlsdl.verification.containers import Role
from hlsdl.verification.findings import Code, Finding, error, warning

BASE = "file:///bundle/"
"""Stands for the bundle's folder while local playlists are parsed, so that resolved URIs give paths back."""

_NUMBER = re.compile(r"(\d+)\.")
_WHOLLY_ENCRYPTED = "AES-128"
_MOST_REPORTED = 3
_WEBVTT = b"WEBVTT"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlaylist:
    """A playlist inside the bundle, as far as it could be read."""

    path: str
    text: PlaylistText | None = None
    parsed: MultivariantPlaylist | MediaPlaylist | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def media(self) -> MediaPlaylist | None:
        """The parsed media playlist, or None."""
        return self.parsed if isinstance(self.parsed, MediaPlaylist) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a stored file is for."""

    role: Role
    is_encrypted: bool = False


def read_local(path: str, data: bytes) -> LocalPlaylist:
    """Parse the local playlist at the relative `path`."""
    text: PlaylistText | None = None
    try:
        text = PlaylistText.decode(data)
        return LocalPlaylist(path=path, text=text, parsed=parse_playlist(data, BASE + path))
    except (PlaylistError, LimitError) as problem:
        finding = error(Code.BAD_PLAYLIST, path, f"the local playlist cannot be read: {problem.message}")
        return LocalPlaylist(path=path, text=text, findings=(finding,))


def local_path(uri: str) -> str:
    """The bundle path behind a URI that was resolved against `BASE`."""
    return uri.removeprefix(BASE)


def role_of(kind: str) -> Role:
    """What the segments of a stream of this kind are for."""
    return {"subtitles": Role.SUBTITLE, "images": Role.IMAGE, "iframes": Role.IFRAME}.get(kind, Role.SEGMENT)


def uses_of(stream: StoredStream, playlist: MediaPlaylist) -> dict[str, Use]:
    """What each file of the stream is for, by path, as its local playlist says."""
    role = role_of(stream.kind)
    uses = {
        local_path(one.uri): Use(role=role, is_encrypted=_is_wholly_encrypted(one))
        for one in playlist.segments
        if not one.gap
    }
    for one in playlist.inits:
        uses[local_path(one.uri)] = Use(role=Role.INIT, is_encrypted=_is_wholly_encrypted(one))
    return uses


def check_sealed(stream: StoredStream, playlist: MediaPlaylist) -> Iterator[Finding]:
    """A finished offline playlist says so: ENDLIST, so that no player asks again, and VOD."""
    missing = [] if playlist.ended else ["`EXT-X-ENDLIST`"]
    missing += [] if playlist.playlist_type == "VOD" else ["`EXT-X-PLAYLIST-TYPE:VOD`"]
    if missing:
        yield error(Code.NOT_SEALED, stream.playlist, f"the local playlist lacks {' and '.join(missing)}")


def source_segments(
    stream: StoredStream, data: bytes, variables: Mapping[str, str]
) -> tuple[Segment, ...] | Finding | None:
    """The segments of the stored source playlist; None when the source is one bare WebVTT file."""
    if data.removeprefix(_BOM).startswith(_WEBVTT):
        return None
    path = f"{stream.id}/source.m3u8"
    try:
        parsed = parse_playlist(data, stream.final_url, requested_url=stream.source_url, imported=variables)
    except (PlaylistError, LimitError) as problem:
        return error(Code.BAD_PLAYLIST, path, f"the stored source playlist cannot be read: {problem.message}")
    if not isinstance(parsed, MediaPlaylist):
        return error(Code.BAD_PLAYLIST, path, "the stored source playlist is no media playlist")
    return parsed.segments


def check_order(
    stream: StoredStream, local: tuple[Segment, ...], source: tuple[Segment, ...], *, keeps_keys: bool
) -> Iterator[Finding]:
    """The local playlist plays the segments of its source: as many, in that order, each with its own file and keys."""
    if len(local) != len(source):
        message = f"the local playlist has {len(local)} segments, its source has {len(source)}"
        yield error(Code.ORDER_MISMATCH, stream.playlist, message)
        return
    reported = 0
    for mine, theirs, expected in zip(local, source, _expected_names(source), strict=True):
        if mine.gap and not theirs.gap:
            told = (
                f"segment {theirs.sequence} was lost by the origin and is a gap here: `hlsdl repair` asks for it again"
            )
            yield warning(Code.ABSENT_SEGMENT, stream.playlist, told)
            continue
        difference = _difference(mine, theirs, expected, keeps_keys=keeps_keys)
        if difference and reported < _MOST_REPORTED:
            yield error(Code.ORDER_MISMATCH, stream.playlist, f"segment {theirs.sequence} {difference}")
            reported += 1


def _expected_names(source: tuple[Segment, ...]) -> Iterator[tuple[int, int | None]]:
    """(number of the segment's file, number of its init section's file) for each segment.

    A file is numbered after the first segment that uses it (docs/bundle-format.md §2), and what is named twice is
    stored once.
    """
    segments: dict[tuple[object, ...], int] = {}
    inits: dict[tuple[object, ...], int] = {}
    for one in source:
        init = None if one.init is None else inits.setdefault((one.init.uri, one.init.byte_range), one.sequence)
        known = one.sequence if one.gap else segments.setdefault((one.uri, one.byte_range), one.sequence)
        yield known, init


def _difference(mine: Segment, theirs: Segment, expected: tuple[int, int | None], *, keeps_keys: bool) -> str | None:
    difference = _place_difference(mine, theirs)
    if difference is None and not theirs.gap:
        difference = _file_difference(mine, expected)
    if difference is None and keeps_keys and _key_terms(mine) != _key_terms(theirs):
        return "has other key lines in force than in the source"
    return difference


def _place_difference(mine: Segment, theirs: Segment) -> str | None:
    if mine.duration != theirs.duration:
        return f"lasts {mine.duration} s, in the source {theirs.duration} s"
    if mine.sequence != theirs.sequence:
        return f"has the media sequence number {mine.sequence}, in the source {theirs.sequence}"
    if mine.discontinuity_sequence != theirs.discontinuity_sequence:
        return "stands on another side of a discontinuity than in the source"
    return None


def _file_difference(mine: Segment, expected: tuple[int, int | None]) -> str | None:
    if _file_number(mine.uri) != expected[0]:
        return f"is played from `{basename(mine.uri)}`, which is not the file of segment number {expected[0]}"
    if (None if mine.init is None else _file_number(mine.init.uri)) != expected[1]:
        return "has another initialization section than in the source"
    return None


def _file_number(uri: str) -> int | None:
    match = _NUMBER.match(basename(uri))
    return int(match[1]) if match else None


def _key_terms(segment: Segment) -> list[tuple[str, str | None, str]]:
    """What decides decryption, apart from where the key lies."""
    return [(key.method, key.iv, key.keyformat) for key in segment.keys]


def _is_wholly_encrypted(one: Segment | InitSection) -> bool:
    return any(key.method == _WHOLLY_ENCRYPTED for key in one.keys)
