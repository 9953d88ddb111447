"""ffmpeg: test pictures and tones, encoded and cut into segments with a playlist beside them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

FRAME_RATE = 25
SAMPLE_RATE = 48_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How big the presentations are; the defaults are those of the repository's own fixtures."""

    ffmpeg: str
    seconds: int
    segment_seconds: int
    sizes: tuple[str, ...]
    video_kbps: int
    fast: bool
    """Quick presets on all cores; else slow ones on one, which gives the same bytes again."""


def run(options: Options, *arguments: str) -> None:
    command = [options.ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"ffmpeg failed: {' '.join(command)}\n{done.stderr}")


def picture(size: str, seconds: float, start: int = 0) -> list[str]:
    """testsrc2 burns in the time and the frame number; `start` moves it on, so that parts differ."""
    source = f"testsrc2=size={size}:rate={FRAME_RATE}:duration={seconds + start}"
    return ["-f", "lavfi", "-ss", str(start), "-i", source] if start else ["-f", "lavfi", "-i", source]


def tone(frequency: int, seconds: float) -> list[str]:
    """A tenth of a second shorter than the picture: a last audio frame over the edge would be a segment of its own."""
    source = f"sine=frequency={frequency}:beep_factor=4:sample_rate={SAMPLE_RATE}:duration={seconds - 0.1}"
    return ["-f", "lavfi", "-i", source]


def every_key_frame(options: Options) -> list[str]:
    return ["-g", str(FRAME_RATE * options.segment_seconds), "-bf", "0"]


def x264(options: Options, kbps: int, profile: str = "main") -> list[str]:
    interval = FRAME_RATE * options.segment_seconds
    return [
        "-c:v", "libx264", "-profile:v", profile, "-preset", "ultrafast" if options.fast else "veryslow",
        "-pix_fmt", "yuv420p",
        "-b:v", f"{kbps}k", "-maxrate", f"{kbps * 2}k", "-bufsize", f"{kbps * 2}k",
        "-x264-params", f"keyint={interval}:min-keyint={interval}:scenecut=0:open-gop=0",
        *every_key_frame(options),
    ]  # fmt: skip


def x265_pq(options: Options, kbps: int) -> list[str]:
    interval = FRAME_RATE * options.segment_seconds
    tags = (
        "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1:range=limited:max-cll=1000,400:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    )
    quiet = "log-level=error:info=0" + ("" if options.fast else ":pools=1:frame-threads=1")
    return [
        "-c:v", "libx265", "-profile:v", "main10", "-preset", "ultrafast" if options.fast else "slow",
        "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1",
        "-b:v", f"{kbps}k", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc",
        "-x265-params",
        f"{quiet}:keyint={interval}:min-keyint={interval}:scenecut=0:open-gop=0:bframes=0:{tags}",
        *every_key_frame(options),
    ]  # fmt: skip


def aac(kbps: int = 32) -> list[str]:
    return ["-c:a", "aac", "-b:a", f"{kbps}k", "-ac", "2"]


def cut(options: Options, folder: Path, kind: str, coded: list[str], *more: str) -> Path:
    """Encode what `coded` says into `folder` as `kind` (`ts` or `m4s`) segments with an `index.m3u8`."""
    folder.mkdir(parents=True, exist_ok=True)
    playlist = folder / "index.m3u8"
    shape = (
        ["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"]
        if kind == "m4s"
        else ["-hls_segment_type", "mpegts"]
    )
    run(
        options, *coded,
        "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1",
        "-threads", "0" if options.fast else "1", "-strict", "experimental",
        "-f", "hls", "-hls_time", str(options.segment_seconds), "-hls_list_size", "0", "-hls_playlist_type", "vod",
        "-hls_flags", "+independent_segments", *shape, "-hls_segment_filename", str(folder / f"%d.{kind}"),
        *more, str(playlist),
    )  # fmt: skip
    return playlist
