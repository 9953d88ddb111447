"""ffmpeg: find it, run it, and tell what it decoded.

The one module that knows ffmpeg. `ffmpeg-python` builds argument vectors here, nothing more: the process is ours, so
that it can be cancelled, watched for stalls, and its complaints kept short. Only local files are ever opened (the
protocol whitelist has no network in it); which file to decode, and what a short result means, is the caller's affair.
The environment is not read: a door that honours `$HLSDL_FFMPEG` passes it as `configured`.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from hlsdl.errors import HlsdlError, IntegrityError, UsageError

INSTALL_HINT = 'install ffmpeg with your system\'s packages, or with `pip install "hlsdl[ffmpeg]"`'
STALL_TIMEOUT = 60.0
"""Seconds without a decoded frame or a message after which a decode is given up."""

_ANSWER_TIMEOUT = 20.0
_BLOCK = 64 * 1024
_KEPT_COMPLAINTS = 20
_LONGEST_COMPLAINT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ffmpeg:
    """An ffmpeg that answered."""

    path: Path
    version: str
    """As it calls itself: `5.1.9-0+deb12u1`, `n9.0.2-17-g2a571b6068`."""
    picky: bool = False
    """It has the HLS reader's `extension_picky` option (7.1.1 and later, and distributions' backports)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedStream:
    """What came out of one elementary stream."""

    kind: str
    """`video`, `audio` or `subtitle`."""
    frames: int
    """Decoded pictures or audio frames; packets for subtitles."""
    duration: float
    """Seconds: the sum of the frames' own durations. A hole in the timeline does not count, unless the container's
    reader takes it for one long frame, as with fragmented MP4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One distinct message of ffmpeg, without process addresses, and how often it came."""

    message: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedReport:
    """The outcome of decoding one source to nowhere."""

    streams: tuple[DecodedStream, ...]
    complaints: tuple[Complaint, ...] = ()
    """The first distinct messages; `complaint_count` counts all."""
    complaint_count: int = 0
    exit_code: int = 0

    @property
    def duration(self) -> float:
        """Seconds of the longest stream, 0 when nothing was decoded."""
        return max((stream.duration for stream in self.streams), default=0.0)

    @property
    def frames(self) -> int:
        """Frames over all streams."""
        return sum(stream.frames for stream in self.streams)


# --- finding ----------------------------------------------------------------------------------------------------


def find_ffmpeg(configured: Path | None = None) -> Ffmpeg:
    """Return the ffmpeg to use: `configured`, else the one on PATH, else the `imageio-ffmpeg` wheel's.

    Raises:
        UsageError: `configured` is no working ffmpeg, or none was found.
    """
    if configured is not None:
        found = _ask(configured)
        if found is None:
            raise UsageError(f"`{configured}` is no ffmpeg that runs here", hint=INSTALL_HINT)
        return found
    for path in _candidates():
        found = _ask(path)
        if found is not None:
            return found
    raise UsageError("no ffmpeg was found on this machine", hint=INSTALL_HINT)


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("ffmpeg")
    if on_path is not None:
        yield Path(on_path)
    try:
        import imageio_ffmpeg
    except ImportError:
        return
    try:
        yield Path(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        # The wheel is there without a binary for this machine (a source install): as good as absent.
        return


def _ask(path: Path) -> Ffmpeg | None:
    """Run `path` for its version and options; None when it is no ffmpeg or does not run."""
    try:
        # One run answers both questions: the banner on stderr, the option list on stdout.
        done = subprocess.run(
            [str(path), "-h", "demuxer=hls"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    banner = re.search(rb"^ffmpeg version (\S+)", done.stderr + b"\n" + done.stdout, re.MULTILINE)
    if banner is None:
        return None
    picky = b"-extension_picky" in done.stdout
    return Ffmpeg(path=path, version=banner[1].decode("ascii", "replace"), picky=picky)


# --- decoding ---------------------------------------------------------------------------------------------------


async def decode(
    source: Path,
    *,
    ffmpeg: Ffmpeg,
    folder: Path | None = None,
    frames: int | None = None,
    stall_timeout: float = STALL_TIMEOUT,
    on_progress: Callable[[float], None] | None = None,
) -> DecodedReport:
    """Decode every audio, video and subtitle stream of a local playlist or media file, and keep nothing.

    Args:
        source: the file; a `.m3u8` is read as an HLS playlist whose URIs are local files, keys included.
        folder: the process's working directory, which `file:NAME` URIs of a playlist are relative to; by default
            the folder of `source`, for ordinary relative URIs. (A working directory and not an absolute path,
            because ffmpeg reads `?` and `#` in the path of a playlist as the start of a query or fragment.)
        frames: stop after so many frames of each stream.
        stall_timeout: seconds without any output after which the decode is given up.
        on_progress: told the furthest decoded time in seconds, now and then.

    Raises:
        UsageError: the process could not be started.
        IntegrityError: the decode stalled.
    """
    table = _FrameTable(on_progress)
    complaints = _Complaints()
    directory = folder if folder is not None else source.parent
    name = source if folder is not None else Path(source.name)
    exit_code = await _run(
        decode_arguments(ffmpeg, name, frames=frames), directory, table.feed, complaints.feed, stall_timeout
    )
    return DecodedReport(
        streams=table.streams(),
        complaints=complaints.first(),
        complaint_count=complaints.total,
        exit_code=exit_code,
    )


def decode_arguments(ffmpeg: Ffmpeg, source: Path, *, frames: int | None = None) -> list[str]:
    """Return the argument vector for `decode`.

    `framecrc` on stdout names each decoded frame with its stream, time and duration: exact where `-progress` only
    has one clock for all streams, and progress at the same time. Pictures are cropped (which copies nothing) so that
    the checksum, which nobody reads, costs nothing.
    """
    import ffmpeg as package

    builder: Any = package  # it fills its namespace at run time, which no type checker sees
    options: dict[str, object] = {"protocol_whitelist": "file,crypto,data", "err_detect": "crccheck"}
    if source.suffix == ".m3u8":
        options |= {"f": "hls", "allowed_extensions": "ALL"}
        if ffmpeg.picky:
            options["extension_picky"] = 0
    name = str(source) if source.is_absolute() else f"./{source}"
    outputs: dict[str, object] = {"c:s": "copy", "filter:v": "crop=16:16:0:0"}
    if frames is not None:
        outputs |= {"frames:v": frames, "frames:a": frames}
    media = builder.input(name, **options)
    node = builder.output(media["v?"], media["a?"], media["s?"], "pipe:1", format="framecrc", **outputs)
    built: list[str] = builder.get_args(node)
    return [str(ffmpeg.path), "-nostdin", "-hide_banner", "-v", "error", *built]


async def _run(
    argv: list[str],
    directory: Path,
    on_stdout: Callable[[bytes], None],
    on_stderr: Callable[[bytes], None],
    stall_timeout: float,
) -> int:
    """Run one process to its end and return its exit code; it never outlives this call."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise UsageError(f"`{argv[0]}` could not be started: {error.strerror}", hint=INSTALL_HINT) from error
    assert process.stdout is not None  # noqa: S101 - both pipes were asked for above
    assert process.stderr is not None  # noqa: S101
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(stall_timeout) as patience, asyncio.TaskGroup() as readers:

            async def drain(stream: asyncio.StreamReader, consume: Callable[[bytes], None]) -> None:
                while block := await stream.read(_BLOCK):
                    patience.reschedule(loop.time() + stall_timeout)
                    consume(block)

            readers.create_task(drain(process.stdout, on_stdout))
            readers.create_task(drain(process.stderr, on_stderr))
    except TimeoutError as error:
        raise IntegrityError(f"ffmpeg made no progress for {stall_timeout:.0f} s and was stopped") from error
    finally:
        if process.returncode is None and not (process.stdout.at_eof() and process.stderr.at_eof()):
            process.kill()
        exit_code = await process.wait()
    return exit_code


class _Lines:
    """Splits blocks into lines, with a bound on an unfinished one."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, block: bytes) -> list[bytes]:
        *lines, rest = (self._rest + block).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[:_BLOCK]
        return lines


@dataclass(slots=True)
class _Track:
    kind: str = "data"
    time_base: Fraction = Fraction(1)
    frames: int = 0
    ticks: int = 0


class _FrameTable:
    """Reads `framecrc` text: a few header lines for each stream, then `stream, dts, pts, duration, size, checksum`."""

    def __init__(self, on_progress: Callable[[float], None] | None) -> None:
        self._lines = _Lines()
        self._tracks: dict[int, _Track] = {}
        self._on_progress = on_progress

    def feed(self, block: bytes) -> None:
        furthest: float | None = None
        for line in self._lines.split(block):
            if line.startswith(b"#"):
                self._header(line.decode("ascii", "replace"))
            elif line:
                furthest = self._frame(line)
        if self._on_progress is not None and furthest is not None:
            self._on_progress(furthest)

    def streams(self) -> tuple[DecodedStream, ...]:
        return tuple(
            DecodedStream(kind=track.kind, frames=track.frames, duration=float(track.ticks * track.time_base))
            for _, track in sorted(self._tracks.items())
        )

    def _header(self, line: str) -> None:
        match = re.match(r"#(tb|media_type) (\d+): (\S+)", line)
        if match is None:
            return
        track = self._tracks.setdefault(int(match[2]), _Track())
        if match[1] == "tb":
            track.time_base = Fraction(match[3])
        else:
            track.kind = match[3]

    def _frame(self, line: bytes) -> float:
        try:
            stream, _dts, pts, duration, *_ = (int(number) for number in line.split(b",")[:4])
        except ValueError as error:
            raise HlsdlError("ffmpeg's frame list has a line that is not understood") from error
        track = self._tracks.setdefault(stream, _Track())
        track.frames += 1
        track.ticks += max(duration, 0)
        return float((pts + duration) * track.time_base)


@dataclass(slots=True)
class _Complaints:
    """Counts ffmpeg's messages and keeps the first distinct ones."""

    total: int = 0
    _lines: _Lines = field(default_factory=_Lines)
    _counts: dict[str, int] = field(default_factory=dict)
    _last: str = ""

    def feed(self, block: bytes) -> None:
        for raw in self._lines.split(block):
            line = raw.decode("utf-8", "replace").strip()
            repeated = re.fullmatch(r"Last message repeated (\d+) times?", line)
            if repeated:
                self._add(self._last, int(repeated[1]))
            elif line:
                # "[h264 @ 0x5581…] error while decoding": the address differs between runs and says nothing.
                self._last = re.sub(r" @ 0x[0-9a-f]+\]", "]", line)[:_LONGEST_COMPLAINT].rstrip(".")
                self._add(self._last, 1)

    def first(self) -> tuple[Complaint, ...]:
        return tuple(Complaint(message=message, count=count) for message, count in self._counts.items())

    def _add(self, message: str, count: int) -> None:
        self.total += count
        if message in self._counts or len(self._counts) < _KEPT_COMPLAINTS:
            self._counts[message] = self._counts.get(message, 0) + count
