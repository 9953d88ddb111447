#!/usr/bin/env python3
"""Make the small HLS presentations that the tests, the demo and the measurements run on.

    tools/make_media.py fixtures/media                        # what is kept in the repository
    tools/make_media.py /tmp/big --only film --seconds 600 --sizes 1280x720,1920x1080 --video-kbps 2500 --fast

ffmpeg encodes and cuts; this script writes what ffmpeg cannot: multivariant playlists with measured bit rates,
subtitles, I-frame playlists, encryption, and the oddities of real playlists. Everything is generated (test
pictures with a burnt-in clock and frame counter, sine tones), so nothing here has an owner but the project.
The same ffmpeg version gives the same bytes again.

Needs ffmpeg with libx264 and libx265 (found on PATH or named by --ffmpeg), and `cryptography` for `aes128`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The bit rates of one written media playlist, in bits per second."""

    peak: int
    average: int


# --- running ffmpeg ---------------------------------------------------------------------------------------------


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


# --- reading what ffmpeg wrote ----------------------------------------------------------------------------------


def entries(playlist: Path) -> Iterator[tuple[float, str, tuple[int, int] | None]]:
    """(duration, URI, (length, offset) or None) of each segment of a playlist ffmpeg wrote."""
    duration, span = 0.0, None
    for line in playlist.read_text().splitlines():
        if line.startswith("#EXTINF:"):
            duration = float(line[8:].split(",")[0])
        elif match := re.match(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", line):
            span = (int(match[1]), int(match[2]))
        elif line and not line.startswith("#"):
            yield duration, line, span
            span = None


def measure(playlist: Path) -> Measured:
    sizes = [(d, span[0] if span else (playlist.parent / uri).stat().st_size) for d, uri, span in entries(playlist)]
    peak = max(size * 8 / duration for duration, size in sizes)
    average = sum(size for _, size in sizes) * 8 / sum(duration for duration, _ in sizes)
    return Measured(peak=round(peak), average=round(average))


def avc_codec(init: Path) -> str:
    """The RFC 6381 name from the avcC box: profile, constraints, level."""
    data = init.read_bytes()
    at = data.index(b"avcC") + 5
    return "avc1." + data[at : at + 3].hex().upper()


def avc_codec_in_ts(segment: Path) -> str:
    """The RFC 6381 name from the first sequence parameter set of a clear MPEG-TS segment."""
    data = segment.read_bytes()
    at = data.index(b"\0\0\1\x67") + 4
    return "avc1." + data[at : at + 3].hex().upper()


def hevc_codec(init: Path) -> str:
    """The RFC 6381 name from the hvcC box (ISO/IEC 14496-15 annex E)."""
    data = init.read_bytes()
    at = data.index(b"hvcC") + 5
    profile, compatibility, constraints, level = struct.unpack_from(">BI6sB", data, at)
    reversed_bits = int(f"{compatibility:032b}"[::-1], 2)
    parts = ["hvc1", str(profile & 0x1F), f"{reversed_bits:X}", f"{'H' if profile & 0x20 else 'L'}{level}"]
    return ".".join(parts + [f"{byte:X}" for byte in constraints.rstrip(b"\0")])


def first_frame_end(segment: bytes) -> int:
    """The offset after the first sample of an fMP4 segment: moof, mdat header and the key frame."""
    moof = segment.index(b"moof") - 4
    at = segment.index(b"trun")
    flags, _count, data_offset = struct.unpack_from(">IIi", segment, at + 4)
    fields = at + 16 + (4 if flags & 0x4 else 0)
    size = struct.unpack_from(">I", segment, fields + (4 if flags & 0x100 else 0))[0]
    return int(moof + data_offset + size)


# --- film -------------------------------------------------------------------------------------------------------

AUDIO = (
    # folder, language, name, default, characteristics, frequency
    ("en", "en", "English", True, None, 440),
    ("fr", "fr", "Français", False, None, 550),
    ("de", "de", "Deutsch", False, None, 660),
    ("en-commentary", "en", "English (commentary)", False, "public.accessibility.describes-commentary", 330),
)


def film_video(options: Options, folder: Path) -> list[tuple[str, str, str, str, Measured]]:
    """(URI, size, CODECS, VIDEO-RANGE, rates) of each video of the two ladders."""
    videos = []
    for index, size in enumerate(options.sizes):
        height = size.split("x")[1]
        kbps = options.video_kbps * (index + 1)
        playlist = cut(
            options, folder / f"sdr-{height}", "m4s", [*picture(size, options.seconds), *x264(options, kbps)]
        )
        codec = avc_codec(playlist.parent / "init.mp4")
        videos.append((f"sdr-{height}/index.m3u8", size, codec, "SDR", measure(playlist)))
    for index, size in enumerate(options.sizes):
        height = size.split("x")[1]
        kbps = options.video_kbps * (index + 1)
        coded = [*picture(size, options.seconds), *x265_pq(options, kbps)]
        playlist = cut(options, folder / f"pq-{height}", "m4s", coded)
        codec = hevc_codec(playlist.parent / "init.mp4")
        videos.append((f"pq-{height}/index.m3u8", size, codec, "PQ", measure(playlist)))
    return videos


def film_audio(options: Options, folder: Path) -> tuple[list[str], dict[str, tuple[str, Measured]]]:
    """EXT-X-MEDIA lines, and per group its CODECS name and its greatest rates."""
    lines, groups = [], {}
    rates = []
    for name, language, title, default, characteristics, frequency in AUDIO:
        rates.append(measure(cut(options, folder / f"aac-{name}", "m4s", [*tone(frequency, options.seconds), *aac()])))
        more = f',CHARACTERISTICS="{characteristics}"' if characteristics else ""
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="{title}",LANGUAGE="{language}",'
            f"DEFAULT={'YES' if default else 'NO'},AUTOSELECT={'NO' if characteristics else 'YES'}{more},"
            f'CHANNELS="2",URI="aac-{name}/index.m3u8"'
        )
    groups["aac"] = ("mp4a.40.2", max(rates, key=lambda rate: rate.peak))
    surround = [*tone(440, options.seconds), "-c:a", "ac3", "-b:a", "128k", "-ac", "6"]
    groups["ac3"] = ("ac-3", measure(cut(options, folder / "ac3-en", "m4s", surround)))
    lossless = [
        *tone(440, options.seconds),
        "-c:a",
        "flac",
        "-ac",
        "2",
        "-sample_fmt",
        "s16",
        "-compression_level",
        "8",
    ]
    groups["flac"] = ("fLaC", measure(cut(options, folder / "flac-en", "m4s", lossless)))
    for group, channels in (("ac3", "6"), ("flac", "2")):
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{group}",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="{channels}",URI="{group}-en/index.m3u8"'
        )
    return lines, groups


def clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{thousandths:03d}"


def write_subtitles(options: Options, folder: Path, texts: dict[int, str]) -> None:
    """One WebVTT file per segment duration; `texts` maps a second to the cue that starts there."""
    folder.mkdir(parents=True, exist_ok=True)
    step = options.segment_seconds
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", f"#EXT-X-TARGETDURATION:{step}", "#EXT-X-MEDIA-SEQUENCE:0"]
    lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
    for number, start in enumerate(range(0, options.seconds, step)):
        end = min(start + step, options.seconds)
        cues = [f"{clock(at)} --> {clock(at + 0.9)}\n{text}\n" for at, text in texts.items() if start <= at < end]
        head = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"
        (folder / f"{number}.vtt").write_text("\n".join([head, *cues]), encoding="utf-8")
        lines += [f"#EXTINF:{end - start:.6f},", f"{number}.vtt"]
    (folder / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))


def film_subtitles(options: Options, folder: Path) -> list[str]:
    every_second = range(options.seconds)
    write_subtitles(options, folder / "subs-en", {s: f"Second {s} in English" for s in every_second})
    write_subtitles(options, folder / "subs-fr", {s: f"Seconde {s}, en français" for s in every_second})
    write_subtitles(options, folder / "subs-en-forced", {2: "[a sign in a foreign language]"})
    template = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="{}",LANGUAGE="{}",{}URI="{}/index.m3u8"'
    return [
        template.format("English", "en", "DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,", "subs-en"),
        template.format("Français", "fr", "DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,", "subs-fr"),
        template.format("English (forced)", "en", "DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,", "subs-en-forced"),
    ]


def write_iframes(video: Path) -> Measured:
    """An I-frame playlist of byte ranges into the segments beside it (RFC 8216 §4.3.3.6)."""
    lines = video.read_text().splitlines()
    head = [line for line in lines if line.startswith(("#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGET", "#EXT-X-MEDIA-S"))]
    head += ["#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-I-FRAMES-ONLY", '#EXT-X-MAP:URI="init.mp4"']
    body = []
    for duration, uri, _span in entries(video):
        end = first_frame_end((video.parent / uri).read_bytes())
        body += [f"#EXTINF:{duration:.6f},", f"#EXT-X-BYTERANGE:{end}@0", uri]
    path = video.parent / "iframes.m3u8"
    path.write_text("\n".join([*head, *body, "#EXT-X-ENDLIST", ""]))
    return measure(path)


def make_film(options: Options, folder: Path) -> None:
    """Demuxed fMP4: SDR and PQ ladders, three audio groups, subtitles, I-frames, session data."""
    videos = film_video(options, folder)
    audio_lines, groups = film_audio(options, folder)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", ""]
    lines += ['#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.title",VALUE="A film",LANGUAGE="en"']
    lines += ['#EXT-X-SESSION-DATA:DATA-ID="com.example.credits",URI="credits.json"', ""]
    credits_text = json.dumps({"director": "testsrc2", "music": "sine"}, indent=1) + "\n"
    (folder / "credits.json").write_text(credits_text)
    lines += [*audio_lines, "", *film_subtitles(options, folder), ""]
    for uri, size, codec, video_range, rates in videos:
        for group, (audio_codec, audio_rates) in groups.items():
            lines.append(
                f"#EXT-X-STREAM-INF:BANDWIDTH={rates.peak + audio_rates.peak},"
                f"AVERAGE-BANDWIDTH={rates.average + audio_rates.average},"
                f'CODECS="{codec},{audio_codec}",RESOLUTION={size},FRAME-RATE={FRAME_RATE}.000,'
                f'VIDEO-RANGE={video_range},AUDIO="{group}",SUBTITLES="subs",CLOSED-CAPTIONS=NONE'
            )
            lines.append(uri)
    lines.append("")
    for uri, size, codec, video_range, _rates in videos:
        if video_range == "SDR":
            rates = write_iframes(folder / uri)
            lines.append(
                f"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},"
                f'CODECS="{codec}",RESOLUTION={size},URI="{uri.replace("index", "iframes")}"'
            )
    (folder / "master.m3u8").write_text("\n".join([*lines, ""]), encoding="utf-8")


# --- the smaller ones -------------------------------------------------------------------------------------------


def make_muxed_ts(options: Options, folder: Path) -> None:
    """H.264 and AAC muxed in MPEG-TS, two bit rates."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
    rungs = (("low", options.sizes[0], options.video_kbps), ("high", options.sizes[-1], options.video_kbps * 2))
    for name, size, kbps in rungs:
        coded = [*picture(size, options.seconds), *tone(440, options.seconds), *x264(options, kbps), *aac()]
        playlist = cut(options, folder / name, "ts", coded, "-mpegts_flags", "+initial_discontinuity")
        rates, codec = measure(playlist), avc_codec_in_ts(folder / name / "0.ts")
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},"
            f'CODECS="{codec},mp4a.40.2",RESOLUTION={size},FRAME-RATE={FRAME_RATE}.000'
        )
        lines.append(f"{name}/index.m3u8")
    (folder / "master.m3u8").write_text("\n".join([*lines, ""]))


def make_byteranges(options: Options, folder: Path) -> None:
    """One fMP4 file per stream with byte ranges: every second offset is left out, so it continues the last."""
    coded = [*picture(options.sizes[0], options.seconds), *tone(440, options.seconds)]
    coded += [*x264(options, options.video_kbps), *aac()]
    playlist = cut(options, folder / "video", "m4s", coded, "-hls_flags", "+independent_segments+single_file",
                   "-hls_segment_filename", str(folder / "video" / "media.mp4"))  # fmt: skip
    out, ranges = [], 0
    for line in playlist.read_text().splitlines():
        if line.startswith("#EXT-X-BYTERANGE:"):
            ranges += 1
        implicit = line.startswith("#EXT-X-BYTERANGE:") and ranges % 2 == 0
        out.append(line.split("@")[0] if implicit else line)
    playlist.write_text("\n".join([*out, ""]))
    data = (folder / "video" / "media.mp4").read_bytes()
    codec = "avc1." + data[data.index(b"avcC") + 5 :][:3].hex().upper()
    size = len(data) * 8 // options.seconds
    (folder / "master.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        f'#EXT-X-STREAM-INF:BANDWIDTH={size * 2},AVERAGE-BANDWIDTH={size},CODECS="{codec},mp4a.40.2",'
        f"RESOLUTION={options.sizes[0]},FRAME-RATE={FRAME_RATE}.000\nvideo/index.m3u8\n"
    )


def make_aes128(options: Options, folder: Path) -> None:
    """MPEG-TS under AES-128: two keys, default IVs counted from MEDIA-SEQUENCE 7, and one explicit IV."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    coded = [*picture(options.sizes[0], options.seconds), *tone(440, options.seconds)]
    coded += [*x264(options, options.video_kbps), *aac()]
    playlist = cut(options, folder / "video", "ts", coded, "-start_number", "7")
    keys = {name: hashlib.sha256(f"hlsdl fixture key {name}".encode()).digest()[:16] for name in ("one", "two")}
    (folder / "keys").mkdir()
    for name, key in keys.items():
        (folder / "keys" / f"{name}.key").write_bytes(key)
    explicit = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    segments, codec = list(entries(playlist)), avc_codec_in_ts(folder / "video" / "7.ts")
    changes = {0: ("one", None), len(segments) // 3: ("two", None), len(segments) - 1: ("two", explicit)}
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{options.segment_seconds}"]
    lines += ["#EXT-X-MEDIA-SEQUENCE:7", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for index, (duration, uri, _span) in enumerate(segments):
        if index in changes:
            name, explicit_iv = changes[index]
            more = f",IV=0x{explicit_iv.hex()}" if explicit_iv else ""
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="../keys/{name}.key"{more}')
        iv = explicit_iv or (7 + index).to_bytes(16, "big")
        segment = folder / "video" / uri
        padder = PKCS7(128).padder()
        clear = padder.update(segment.read_bytes()) + padder.finalize()
        encryptor = Cipher(algorithms.AES(keys[name]), modes.CBC(iv)).encryptor()
        segment.write_bytes(encryptor.update(clear) + encryptor.finalize())
        lines += [f"#EXTINF:{duration:.6f},", uri]
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    rates = measure(playlist)
    (folder / "master.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},"
        f'CODECS="{codec},mp4a.40.2",RESOLUTION={options.sizes[0]},FRAME-RATE={FRAME_RATE}.000\nvideo/index.m3u8\n'
    )


def make_odd(options: Options, folder: Path) -> None:
    """What real playlists also hold: see the playlist itself."""
    step = options.segment_seconds
    parts = (("part1", options.sizes[0], "main", 0), ("part2", "256x144", "high", 3 * step))
    for name, size, profile, start in parts:
        coded = [*picture(size, 2 * step, start), *tone(440, 2 * step)]
        cut(options, folder / name, "m4s", [*coded, *x264(options, options.video_kbps, profile), *aac()])
    chapter = '#EXT-X-DATERANGE:ID="chapter-{}",CLASS="com.example.chapter",START-DATE="2024-02-29T23:59:58.123+05:30"'
    lines = [
        "#EXTM3U", "#EXT-X-VERSION:8", '#EXT-X-DEFINE:NAME="folder",VALUE="part"', '#EXT-X-DEFINE:IMPORT="suffix"',
        f"#EXT-X-TARGETDURATION:{step}", "#EXT-X-MEDIA-SEQUENCE:100", "#EXT-X-DISCONTINUITY-SEQUENCE:3",
        "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-START:TIME-OFFSET=0.0,PRECISE=NO", "",
        "# a comment that holds an address nobody fetches: https://example.com/comment",
        '#EXT-X-VENDOR-MARK:ID="a,b",NOTE="https://example.com/kept as text",FLAG',
        "#EXT-X-PROGRAM-DATE-TIME:2024-02-29T23:59:58.123456789+0530",
        f'{chapter.format(1)},DURATION={step}.0,CUE="ONCE",X-TITLE="Chapter one, with a comma"',
        '#EXT-X-MAP:URI="{$folder}1/init.mp4"',
        f'#EXTINF:{step}.000000,a title, with commas, "quotes" and ünïcode', "{$folder}1/0{$suffix}",
        f"#EXTINF:{step}.00000000000000000000,a line separator \u2028 inside", "{$folder}1/1{$suffix}",
        "#EXT-X-GAP", f"#EXTINF:{step},", "{$folder}1/2{$suffix}",
        "#EXT-X-DISCONTINUITY", f"#EXT-X-CUE-OUT:{step}", '#EXT-X-MAP:URI="{$folder}2/init.mp4"',
        f"#EXTINF:{step}.0 ,", "{$folder}2/0{$suffix}", "#EXT-X-CUE-IN", "#EXT-X-BITRATE:90",
        f"#EXTINF:{step}.000,", "#EXT-X-VENDOR-BETWEEN:yes", "{$folder}2/1{$suffix}",
        chapter.format(2),
        "#EXT-X-ENDLIST", "",
    ]  # fmt: skip
    (folder / "index.m3u8").write_bytes("\r\n".join(lines).encode())
    query = [
        "#EXTM3U", "#EXT-X-VERSION:11", '#EXT-X-DEFINE:QUERYPARAM="token"', f"#EXT-X-TARGETDURATION:{step}",
        "#EXT-X-PLAYLIST-TYPE:VOD", '#EXT-X-MAP:URI="part1/init.mp4?token={$token}"',
        f"#EXTINF:{step},", "part1/0.m4s?token={$token}", "#EXT-X-ENDLIST", "",
    ]  # fmt: skip
    (folder / "query.m3u8").write_text("\n".join(query))
    codecs = [avc_codec(folder / name / "init.mp4") for name, *_ in parts]
    rates = [measure(folder / name / "index.m3u8") for name, *_ in parts]
    for name, *_ in parts:
        (folder / name / "index.m3u8").unlink()
    variant = (
        f"#EXT-X-STREAM-INF:BANDWIDTH={max(rate.peak for rate in rates)},"
        f'CODECS="{codecs[0]},{codecs[1]},mp4a.40.2",RESOLUTION={options.sizes[0]},FRAME-RATE={FRAME_RATE}.000,'
        'X-VENDOR="kept"'
    )
    master = ["#EXTM3U", "#EXT-X-VERSION:8", '#EXT-X-DEFINE:NAME="suffix",VALUE=".m4s"', variant, "index.m3u8", ""]
    (folder / "master.m3u8").write_bytes("\r\n".join(master).encode())


# --- door -------------------------------------------------------------------------------------------------------

PRESENTATIONS = {
    # name: (maker, seconds, seconds per segment) of the repository's own fixtures
    "film": (make_film, 10, 2),
    "muxed-ts": (make_muxed_ts, 6, 2),
    "byteranges": (make_byteranges, 6, 1),
    "aes128": (make_aes128, 6, 1),
    "odd": (make_odd, 6, 2),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path, help="folder that gets one folder per presentation")
    parser.add_argument("--only", nargs="+", choices=PRESENTATIONS, default=list(PRESENTATIONS))
    parser.add_argument("--seconds", type=int, help="duration (not of `odd`, whose playlist is fixed)")
    parser.add_argument("--segment-seconds", type=int)
    parser.add_argument("--sizes", default="320x180,640x360", help="WxH,WxH… from small to large")
    parser.add_argument("--video-kbps", type=int, default=50, help="of the smallest; the nth size gets n times as much")
    parser.add_argument("--fast", action="store_true", help="quick presets on all cores, for big ones")
    parser.add_argument("--ffmpeg", default=shutil.which("ffmpeg"))
    given = parser.parse_args()
    if not given.ffmpeg:
        raise SystemExit("no ffmpeg on PATH; name one with --ffmpeg")
    for name in given.only:
        maker, seconds, segment_seconds = PRESENTATIONS[name]
        options = Options(
            ffmpeg=given.ffmpeg,
            seconds=given.seconds or seconds,
            segment_seconds=given.segment_seconds or segment_seconds,
            sizes=tuple(given.sizes.split(",")),
            video_kbps=given.video_kbps,
            fast=given.fast,
        )
        folder = given.out / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        maker(options, folder)
        files = [path for path in folder.rglob("*") if path.is_file()]
        print(f"{folder}: {len(files)} files, {sum(path.stat().st_size for path in files):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
