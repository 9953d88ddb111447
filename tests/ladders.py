"""The ladders that the selection tests choose from, as a packager would write them."""

from __future__ import annotations

from hlsdl.playlist.models import MultivariantPlaylist
from hlsdl.playlist.parsing import parse_playlist

URL = "https://films.test/a/master.m3u8"

RENDITIONS = """\
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="aac-en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="Français",LANGUAGE="fr",AUTOSELECT=YES,CHANNELS="2",URI="aac-fr.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="Commentary",LANGUAGE="en",CHARACTERISTICS="public.easy-to-read",CHANNELS="2",URI="aac-co.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="surround",NAME="English 5.1",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="6",URI="ac3-en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="surround",NAME="Français 5.1",LANGUAGE="fr",AUTOSELECT=YES,CHANNELS="6",URI="ac3-fr.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="atmos",NAME="English Atmos",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="16/JOC",URI="atmos-en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="lossless",NAME="English lossless",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="alac-en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en",AUTOSELECT=YES,URI="sub-en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English forced",LANGUAGE="en",AUTOSELECT=YES,FORCED=YES,URI="sub-enf.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="Français forcé",LANGUAGE="fr",AUTOSELECT=YES,FORCED=YES,URI="sub-frf.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="Deutsch",LANGUAGE="de",AUTOSELECT=YES,URI="sub-de.m3u8"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC1",LANGUAGE="en",INSTREAM-ID="CC1"
"""

VIDEO = (
    # (name, bandwidth, average, size, range, codec)
    ("sdr-360", 800_000, 600_000, "640x360", "SDR", "avc1.64001e"),
    ("sdr-720", 2_400_000, 2_000_000, "1280x720", "SDR", "avc1.640020"),
    ("sdr-1080", 4_800_000, 4_000_000, "1920x1080", "SDR", "avc1.640028"),
    ("hlg-1080", 5_200_000, 4_300_000, "1920x1080", "HLG", "hvc1.2.4.L123.B0"),
    ("pq-2160", 16_000_000, 12_000_000, "3840x2160", "PQ", "hvc1.2.4.L153.B0"),
)
GROUPS = (("aac", "mp4a.40.2", 128_000), ("surround", "ac-3", 384_000), ("lossless", "alac", 900_000))

CINEMA_VIDEO = (
    *VIDEO,
    ("av1-1080", 3_600_000, 3_000_000, "1920x1080", "SDR", "av01.0.08M.08"),
    ("dv-2160", 18_000_000, 14_000_000, "3840x2160", "PQ", "dvh1.05.06"),
)
CINEMA_GROUPS = (GROUPS[0], GROUPS[1], ("atmos", "ec-3", 768_000), GROUPS[2])


def stream_inf(bandwidth: int, uri: str, **attributes: str) -> str:
    """One EXT-X-STREAM-INF with its URI line; underscores in names become hyphens."""
    rest = "".join(f",{name.replace('_', '-')}={value}" for name, value in attributes.items())
    return f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}{rest}\n{uri}\n"


def cinema() -> str:
    """SDR, HLG and PQ in avc1, hvc1, av01 and dvh1, each with stereo, 5.1, Atmos and lossless sound."""
    return ladder(video=CINEMA_VIDEO, groups=CINEMA_GROUPS)


def ladder(
    *,
    groups: tuple[tuple[str, str, int], ...] = GROUPS,
    only: tuple[str, ...] = (),
    video: tuple[tuple[str, int, int, str, str, str], ...] = VIDEO,
) -> str:
    """SDR, HLG and PQ variants, each paired with each audio group."""
    lines = [
        stream_inf(
            bandwidth + extra,
            f"{name}.m3u8",
            AVERAGE_BANDWIDTH=str(average + extra),
            RESOLUTION=size,
            VIDEO_RANGE=video_range,
            CODECS=f'"{codec},{audio_codec}"',
            AUDIO=f'"{group}"',
            SUBTITLES='"subs"',
            CLOSED_CAPTIONS='"cc"',
        )
        for name, bandwidth, average, size, video_range, codec in video
        if not only or name in only
        for group, audio_codec, extra in groups
    ]
    return "#EXTM3U\n" + RENDITIONS + "".join(lines)


def master(text: str, url: str = URL) -> MultivariantPlaylist:
    """The parsed multivariant playlist."""
    playlist = parse_playlist(text.encode(), url)
    assert isinstance(playlist, MultivariantPlaylist)
    return playlist
