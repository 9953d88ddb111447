"""Local playlists: the source text with its URIs re-pointed, and nothing else touched."""

from __future__ import annotations

import pytest
from ladders import ladder, master, stream_inf

from hlsdl.planning.local_playlists import (
    local_media_playlist,
    local_multivariant_playlist,
    measured_multivariant_playlist,
)
from hlsdl.planning.plan import StreamPlan, make_plan
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import StreamSource, select
from hlsdl.playlist.models import MediaPlaylist, MultivariantPlaylist
from hlsdl.playlist.parsing import parse_playlist

URL = "https://films.test/v/index.m3u8"


def stream_of(text: str) -> StreamPlan:
    playlist = parse_playlist(text.encode(), URL)
    assert isinstance(playlist, MediaPlaylist)
    return make_plan([(StreamSource(id="0-X-1", kind="video", url=URL), playlist)]).streams[0]


def local(text: str, **how: object) -> str:
    return local_media_playlist(stream_of(text), **how)  # type: ignore[arg-type]


def local_index(text: str, **wishes: object) -> str:
    playlist = master(text)
    streams = select(playlist, Preferences(**wishes)).streams  # type: ignore[arg-type]
    return local_multivariant_playlist(playlist, {one.url: f"{one.id}/index.m3u8" for one in streams}, {})


SOURCE = """\
#EXTM3U\r
#EXT-X-VERSION:6\r
#EXT-X-TARGETDURATION:4\r
## a comment, kept\r
#EXT-X-MEDIA-SEQUENCE:7\r
#EXT-X-VENDOR-THING:x=1,text="see https://example.test/about"\r
#EXT-X-MAP:URI="init.mp4?t=1",BYTERANGE="100@0"\r
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.123456789+0530\r
#EXTINF:4.0000,a title, with a comma\r
#EXT-X-BYTERANGE:50@100\r
movie.mp4?token=1\r
#EXT-X-DISCONTINUITY\r
#EXT-X-GAP\r
#EXTINF:3.5,\r
lost.m4s\r
"""

LOCAL = """\
#EXTM3U\r
#EXT-X-VERSION:6\r
#EXT-X-TARGETDURATION:4\r
#EXT-X-PLAYLIST-TYPE:VOD\r
## a comment, kept\r
#EXT-X-MEDIA-SEQUENCE:7\r
#EXT-X-VENDOR-THING:x=1,text="see https://example.test/about"\r
#EXT-X-MAP:URI="000000007.init.mp4"\r
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.123456789+0530\r
#EXTINF:4.0000,a title, with a comma\r
000000007.m4s\r
#EXT-X-DISCONTINUITY\r
#EXT-X-GAP\r
#EXTINF:3.5,\r
000000008.m4s\r
#EXT-X-ENDLIST\r
"""


def test_every_line_survives_and_only_uris_and_ranges_change() -> None:
    text = SOURCE + "#EXT-X-ENDLIST\r\n"
    assert local(text).replace("000000007.mp4", "000000007.m4s") == LOCAL


def test_nothing_stands_before_the_first_tag() -> None:
    """Players insist on it, whatever blanks the source begins with."""
    assert local("\n \r\n\t" + SOURCE) == local(SOURCE)
    assert local("\n" + SOURCE, absent=["000000007.mp4"]).startswith("#EXTM3U\r\n#EXT-X-VERSION:8\r\n")
    assert local_index("\n\n" + ladder()) == local_index(ladder())


def test_an_event_that_ended_becomes_vod() -> None:
    text = "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"
    assert local(text) == (
        "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n000000000.ts\n#EXT-X-ENDLIST\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES",
        '#EXT-X-PART:DURATION=1,URI="p.mp4"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p.mp4"',
        '#EXT-X-RENDITION-REPORT:URI="other.m3u8",LAST-MSN=1',
        "#EXT-X-PREFETCH:https://live.test/next.ts",
        '#EXT-X-DATERANGE:ID="ad",START-DATE="2026-01-01T00:00:00Z",X-ASSET-URI="https://ads.test/ad.m3u8"',
        '#EXT-X-DATERANGE:ID="ad",START-DATE="2026-01-01T00:00:00Z",X-ASSET-LIST="list.json"',
        '#EXT-X-VENDOR:URI="https://call.home.test/"',
        '#EXT-X-DEFINE:NAME="unused",VALUE="x"',
        "#EXT-X-ALLOW-CACHE:YES",
    ],
)
def test_lines_that_would_call_the_network_go(line: str) -> None:
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{line}\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"
    written = local(text)
    assert line not in written
    assert written.count("\n") == 6


@pytest.mark.parametrize(
    "line",
    [
        '#EXT-X-DATERANGE:ID="s",START-DATE="2026-01-01T00:00:00Z",SCTE35-OUT=0xFC00,X-NOTE="https://x.test"',
        "#EXT-X-CUE-OUT:30",
        "#EXT-X-BITRATE:800",
        "#EXT-X-START:TIME-OFFSET=1",
        '#EXT-X-VENDOR:URI="data:text/plain,hello"',
        "#a comment with https://x.test/",
    ],
)
def test_lines_that_only_mention_addresses_stay(line: str) -> None:
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{line}\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"
    assert line + "\n" in local(text)


def test_identity_keys_point_to_the_stored_key_and_the_others_stay_verbatim() -> None:
    drm = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://a",KEYFORMAT="com.apple.streamingkeydelivery",KEYFORMATVERSIONS="1"'
    text = (
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
        f'#EXT-X-KEY:METHOD=AES-128,URI="https://k.test/1?t=2",IV=0x1\n{drm}\n#EXTINF:4,\na.ts\n'
        "#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\nb.ts\n#EXT-X-ENDLIST\n"
    )
    stream = stream_of(text)
    key = make_plan([(stream.source, stream.playlist)]).keys[0].path
    written = local_media_playlist(stream)
    assert f'#EXT-X-KEY:METHOD=AES-128,URI="../{key}",IV=0x1\n' in written
    assert drm + "\n" in written
    assert "#EXT-X-KEY:METHOD=NONE\n" in written


def test_a_segment_the_origin_lost_becomes_a_gap_and_the_version_allows_it() -> None:
    text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXTINF:4,\nb.ts\n#EXT-X-ENDLIST\n"
    written = local(text, absent={"000000001.ts"})
    assert "#EXTINF:4,\n#EXT-X-GAP\n000000001.ts\n" in written
    assert "#EXT-X-VERSION:8\n" in written
    assert "#EXT-X-VERSION:3\n" not in written


def test_a_local_media_playlist_parses_to_the_same_segments() -> None:
    text = SOURCE + "#EXT-X-ENDLIST\r\n"
    before = stream_of(text).playlist
    after = parse_playlist(local(text).encode(), "file:///b/0-X-1/index.m3u8")
    assert isinstance(after, MediaPlaylist)
    assert [(one.duration, one.sequence, one.gap, one.discontinuity) for one in after.segments] == [
        (one.duration, one.sequence, one.gap, one.discontinuity) for one in before.segments
    ]


def test_the_index_holds_only_what_is_stored_and_each_pairing_the_source_makes() -> None:
    index = local_index(ladder())
    assert index.count("#EXT-X-STREAM-INF") == 2
    assert index.count('AUDIO="aac"') == 1
    assert index.count('AUDIO="surround"') == 1
    assert "lossless" not in index
    assert "sdr-" not in index
    assert "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS" in index


def test_no_wish_for_subtitles_leaves_no_reference_to_their_group() -> None:
    index = local_index(ladder(), subtitles=("none",))
    assert "SUBTITLES" not in index


def test_no_wish_for_audio_keeps_the_video_without_its_group() -> None:
    index = local_index(ladder(), audio=("none",))
    assert index.count("#EXT-X-STREAM-INF") == 1
    assert "AUDIO=" not in index.replace("TYPE=AUDIO", "")


def test_the_default_moves_to_a_stored_rendition_when_the_sources_own_is_not_stored() -> None:
    index = local_index(ladder(groups=(("aac", "mp4a", 1),)), audio=("fr",), multichannel=False)
    line = next(line for line in index.splitlines() if 'LANGUAGE="fr"' in line and "AUDIO" in line)
    assert "DEFAULT=YES" in line
    assert line.count("AUTOSELECT=YES") == 1


def test_steering_and_session_data_that_is_not_stored_go_from_the_index() -> None:
    text = (
        '#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI="https://s.test/"\n'
        '#EXT-X-SESSION-DATA:DATA-ID="a.b",URI="x.json"\n#EXT-X-SESSION-DATA:DATA-ID="a.title",VALUE="A film"\n'
        + stream_inf(1, "v.m3u8")
    )
    index = local_index(text)
    assert "STEERING" not in index
    assert "x.json" not in index
    assert 'VALUE="A film"' in index


def test_stored_session_data_is_pointed_to() -> None:
    text = '#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID="a.b",URI="x.json"\n' + stream_inf(1, "v.m3u8")
    playlist = master(text)
    video = playlist.variants[0].uri
    data = playlist.session_data[0].uri
    index = local_multivariant_playlist(playlist, {video: "0-X-1/index.m3u8"}, {str(data): "Data/X.json"})
    assert 'URI="Data/X.json"' in index


def test_a_local_index_parses_and_every_group_it_names_exists() -> None:
    for wishes in ({}, {"variants": "all"}, {"audio": ("all",), "subtitles": ("all",)}, {"lossless": True}):
        playlist = parse_playlist(local_index(ladder(), **wishes).encode(), "file:///b/index.m3u8")
        assert isinstance(playlist, MultivariantPlaylist)
        for one in playlist.variants:
            for kind, group in (("AUDIO", one.audio), ("SUBTITLES", one.subtitles)):
                assert group is None or playlist.group(kind, group)


def test_the_index_around_a_media_playlist_has_measured_bitrates() -> None:
    text = measured_multivariant_playlist("0-X-0/index.m3u8", peak=900_000, average=700_000)
    assert text == "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=700000\n0-X-0/index.m3u8\n"
