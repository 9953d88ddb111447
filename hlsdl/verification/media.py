"""Does it play? ffmpeg decodes every stored stream, and the outcome is held against the local playlists.

The hashes say whether the bytes are those of the origin; this says what they are worth. What ffmpeg complains about in
bytes that are as served is therefore a warning; a stream that gives nothing, or lacks whole segments, is an error.

ffmpeg's HLS reader knows one init section for each playlist and nothing of I-frame ranges that end inside `mdat`. So a
stream is decoded in pieces: runs of segments with one init section, or single frames. Each piece is a playlist of its
own in a temporary folder; it names the bundle's files relative to the bundle.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from hlsdl.bundle.manifest import StoredStream
from hlsdl.errors import IntegrityError
from hlsdl.ffmpeg import Complaint, DecodedReport, Ffmpeg, decode, find_ffmpeg
from hlsdl.playlist.models import Key, MediaPlaylist, Segment
from hlsdl.verification.findings import Code, Finding, error, warning
from hlsdl.verification.streams import local_path

__all__ = ["decode_findings", "find_ffmpeg", "pieces_of", "tolerance"]

EDGE_TOLERANCE = 0.5
"""Seconds by which a decoded stream may differ from its playlist: priming, the last audio frame, a late start."""
ROUNDED_TOLERANCE = 0.5
"""Seconds more for each segment whose EXTINF has no decimals (none had, before protocol version 3)."""
EXACT_TOLERANCE = 0.02
"""Seconds more for each other segment: packagers cut audio at frames and round."""

_FRAME_BY_FRAME = frozenset({"iframes", "images"})
_NO_DECODER = re.compile(r"[Dd]ecoder .*not found|[Uu]nknown decoder|no decoder|[Uu]nsupported codec|codec none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one ffmpeg process decodes."""

    segments: tuple[Segment, ...]

    @property
    def duration(self) -> Decimal:
        """Seconds, as the playlist says."""
        return sum((segment.duration for segment in self.segments), Decimal(0))

    def playlist(self) -> str:
        """The piece as a playlist whose URIs are relative to the bundle."""
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{max(int(self.duration), 1)}"]
        init = self.segments[0].init
        if init is not None:
            lines.append(_key_line(init.keys, self.segments[0].sequence))
            lines.append(f'#EXT-X-MAP:URI="{_name(init.uri)}"')
        for segment in self.segments:
            lines += ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
            lines.append(_key_line(segment.keys, segment.sequence))
            lines += [f"#EXTINF:{segment.duration},", _name(segment.uri)]
        return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def decode_findings(
    bundle: Path,
    streams: Iterable[tuple[StoredStream, MediaPlaylist | None]],
    stored: Collection[str],
    ffmpeg: Ffmpeg,
) -> list[Finding]:
    """Decode every stream that can be decoded here, one after the other (ffmpeg uses all cores by itself).

    Args:
        bundle: its folder.
        streams: each with its local playlist, None when that could not be read (which is told elsewhere).
        stored: paths of the objects that are there as plain files of their size; segments without one of those that
            they need are left out.
        ffmpeg: the one to use.
    """
    findings: list[Finding] = []
    decoded: set[str] = set()
    for stream, playlist in streams:
        # A manifest of somebody else may name one playlist as thousands of streams.
        if playlist is not None and not stream.protected and stream.playlist not in decoded:
            decoded.add(stream.playlist)
            findings += asyncio.run(_decode_stream(bundle, stream, playlist, stored, ffmpeg))
    return findings


def pieces_of(stream: StoredStream, playlist: MediaPlaylist, stored: Collection[str]) -> tuple[Piece, ...]:
    """The parts that ffmpeg can decode one at a time; gaps and what is not stored are left out."""
    segments = [one for one in playlist.segments if not one.gap and all(map(stored.__contains__, _needed(one)))]
    if stream.kind in _FRAME_BY_FRAME:
        return tuple(Piece(segments=(one,)) for one in segments)
    runs = groupby(segments, key=lambda one: one.init and (one.init.uri, one.init.keys))
    return tuple(Piece(segments=tuple(run)) for _, run in runs)


def tolerance(segments: Iterable[Segment]) -> float:
    """How many seconds the decoded duration may differ from the sum of these EXTINF values."""
    return EDGE_TOLERANCE + sum(EXACT_TOLERANCE if "." in str(one.duration) else ROUNDED_TOLERANCE for one in segments)


async def _decode_stream(
    bundle: Path, stream: StoredStream, playlist: MediaPlaylist, stored: Collection[str], ffmpeg: Ffmpeg
) -> list[Finding]:
    pieces = pieces_of(stream, playlist, stored)
    try:
        with TemporaryDirectory(prefix="hlsdl-verify-") as scratch:
            reports = [await _decode_piece(bundle, stream, piece, Path(scratch), ffmpeg) for piece in pieces]
    except IntegrityError as problem:
        return [error(Code.UNDECODABLE, stream.playlist, problem.message)]
    if stream.kind in _FRAME_BY_FRAME:
        return list(_frame_findings(stream, reports))
    findings = list(_judge(stream, pieces, reports))
    return [_doubtful(one) for one in findings] if _is_sample_encrypted(playlist) else findings


async def _decode_piece(
    bundle: Path, stream: StoredStream, piece: Piece, scratch: Path, ffmpeg: Ffmpeg
) -> DecodedReport:
    if stream.kind == "images":
        return await decode(bundle / local_path(piece.segments[0].uri), ffmpeg=ffmpeg, frames=1)
    file = scratch / "piece.m3u8"
    file.write_text(piece.playlist(), encoding="utf-8")
    frames = 1 if stream.kind == "iframes" else None
    return await decode(file, ffmpeg=ffmpeg, folder=bundle, frames=frames)


def _frame_findings(stream: StoredStream, reports: list[DecodedReport]) -> Iterator[Finding]:
    """Trick play: each object gives a picture. The last words of a range that ends inside `mdat` are no matter."""
    without = sum(report.frames == 0 for report in reports)
    if without:
        message = f"{without} of {len(reports)} pictures cannot be decoded by themselves"
        yield warning(Code.DECODE_ERRORS, stream.playlist, message)


def _judge(stream: StoredStream, pieces: tuple[Piece, ...], reports: list[DecodedReport]) -> Iterator[Finding]:
    complaints = [complaint for report in reports for complaint in report.complaints]
    count = sum(report.complaint_count for report in reports)
    first = f": {complaints[0].message}" if complaints else ""
    is_text = stream.kind == "subtitles"  # a forced track may have no cue at all
    streams, frames = (sum(len(report.streams) for report in reports), sum(report.frames for report in reports))
    if pieces and not (streams if is_text else frames):
        if is_text or _has_no_decoder(complaints):
            yield warning(Code.DECODE_ERRORS, stream.playlist, f"this ffmpeg cannot decode the {stream.kind}{first}")
        else:
            yield error(Code.UNDECODABLE, stream.playlist, f"ffmpeg decodes nothing of the {stream.kind}{first}")
        return
    if count:
        times = "once" if count == 1 else f"{count} times"
        yield warning(Code.DECODE_ERRORS, stream.playlist, f"ffmpeg complains {times} about the {stream.kind}{first}")
    if not is_text:
        yield from _duration_findings(stream, pieces, sum(report.duration for report in reports))


def _is_sample_encrypted(playlist: MediaPlaylist) -> bool:
    return any(key.method.startswith("SAMPLE-AES") for key in playlist.keys)


def _doubtful(finding: Finding) -> Finding:
    """ffmpeg undoes sample encryption for some codecs in some containers: its failure proves nothing."""
    return warning(finding.code, finding.path, f"{finding.message}; ffmpeg cannot undo every kind of sample encryption")


def _has_no_decoder(complaints: list[Complaint]) -> bool:
    return any(_NO_DECODER.search(complaint.message) for complaint in complaints)


def _duration_findings(stream: StoredStream, pieces: tuple[Piece, ...], decoded: float) -> Iterator[Finding]:
    segments = [segment for piece in pieces for segment in piece.segments]
    expected, allowed = float(sum(segment.duration for segment in segments)), tolerance(segments)
    if abs(decoded - expected) <= allowed:
        return
    message = f"{decoded:.2f} s of {stream.kind} decode, the playlist says {expected:.2f} s (tolerance {allowed:.2f} s)"
    # A whole segment that gives nothing is damage; less than one is a matter of cutting and rounding.
    longest = max((float(segment.duration) for segment in segments), default=0.0)
    if expected - decoded >= max(allowed, longest - EDGE_TOLERANCE):
        yield error(Code.UNDECODABLE, stream.playlist, message)
    else:
        yield warning(Code.DURATION_MISMATCH, stream.playlist, message)


def _needed(segment: Segment) -> Iterator[str]:
    """Paths of the files that ffmpeg opens for a segment: its own, its init section, their keys."""
    yield local_path(segment.uri)
    both = segment.keys
    if segment.init is not None:
        yield local_path(segment.init.uri)
        both += segment.init.keys
    for key in both:
        if key.keyformat == "identity" and key.uri and not _is_data(key.uri):
            yield local_path(key.uri)


def _name(uri: str) -> str:
    """`file:` makes ffmpeg look beside its working directory and not beside the playlist."""
    return f"file:{local_path(uri)}"


def _is_data(uri: str) -> bool:
    return uri[:5].lower() == "data:"


def _key_line(keys: tuple[Key, ...], sequence: int) -> str:
    """The identity key, the one ffmpeg can use, or NONE.

    Its IV is written out: a piece counts its segments anew, and default IVs count from the start of the playlist.
    """
    key = next((key for key in keys if key.keyformat == "identity"), None)
    if key is None:
        return "#EXT-X-KEY:METHOD=NONE"
    uri = key.uri or ""
    shown = uri if _is_data(uri) else _name(uri)
    return f'#EXT-X-KEY:METHOD={key.method},URI="{shown}",IV={key.iv or f"0x{sequence:032x}"}'
