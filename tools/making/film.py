"""The film: demuxed fMP4, SDR and PQ ladders, three audio groups, subtitles, I-frames, session data."""

from __future__ import annotations

import json
from pathlib import Path

from making.encoding import FRAME_RATE, Options, aac, cut, picture, tone, x264, x265_pq
from making.reading import Measured, avc_codec, entries, first_frame_end, hevc_codec, measure

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
