"""Multivariant playlists: every attribute that selection needs arrives, also those that m3u8's models lose."""

from __future__ import annotations

import pytest

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist import (
    ContentSteering,
    Key,
    MultivariantPlaylist,
    PlaylistLimits,
    Rendition,
    SessionData,
    TrickPlayVariant,
    Variant,
    parse_playlist,
)
from hlsdl.playlist.lines import DEFAULT_LIMITS

URL = "https://h/p/main.m3u8?t=1"
V = ("#EXT-X-STREAM-INF:BANDWIDTH=1", "v.m3u8")


def main(*lines: str, limits: PlaylistLimits = DEFAULT_LIMITS) -> MultivariantPlaylist:
    found = parse_playlist("\n".join(("#EXTM3U", *lines, "")).encode(), URL, limits=limits)
    assert isinstance(found, MultivariantPlaylist)
    return found


def test_a_variant_keeps_every_attribute() -> None:
    found = main(
        '#EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1500000,SCORE=2.5,CODECS="hvc1.2.4, mp4a.40.2",'
        'SUPPLEMENTAL-CODECS="dvh1.08.07/db4h",RESOLUTION=1920x1080,FRAME-RATE=59.940,HDCP-LEVEL=TYPE-0,VIDEO-RANGE=PQ,'
        'REQ-VIDEO-LAYOUT="CH-STEREO",STABLE-VARIANT-ID="s",AUDIO="a",VIDEO="v",SUBTITLES="t",CLOSED-CAPTIONS="c",'
        'PATHWAY-ID="P",NAME="it\'s, fine",PROGRAM-ID=,X-VENDOR=1',
        "../v/1.m3u8?q=1",
    )
    assert found.variants == (
        Variant(
            uri="https://h/v/1.m3u8?q=1", bandwidth=2_000_000, average_bandwidth=1_500_000, score=2.5,
            codecs=("hvc1.2.4", "mp4a.40.2"), supplemental_codecs=("dvh1.08.07/db4h",), resolution=(1920, 1080),
            frame_rate=59.94, video_range="PQ", hdcp_level="TYPE-0", video_layout="CH-STEREO", audio="a", video="v",
            subtitles="t", closed_captions="c", pathway="P", stable_id="s", name="it's, fine", index=0, line=1, uri_line=2,
        ),
    )  # fmt: skip


def test_a_bare_variant_has_defaults() -> None:
    found = main("#EXT-X-STREAM-INF:BANDWIDTH=1,CLOSED-CAPTIONS=NONE", "", "# comment", "v.m3u8", *V)
    assert found.variants[0] == Variant(uri="https://h/p/v.m3u8", bandwidth=1, line=1, uri_line=4)
    assert [(variant.index, variant.line, variant.uri_line) for variant in found.variants] == [(0, 1, 4), (1, 5, 6)]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        pytest.param('CODECS="x"', "bandwidth", 0, id="no-bandwidth"),
        pytest.param("BANDWIDTH=1280000.6", "bandwidth", 1_280_000, id="fractional-bandwidth"),
        pytest.param("BANDWIDTH=fast", "bandwidth", 0, id="bandwidth-no-number"),
        pytest.param("BANDWIDTH=1,RESOLUTION=wide", "resolution", None, id="resolution-no-size"),
        pytest.param("BANDWIDTH=1,FRAME-RATE=nan", "frame_rate", None, id="frame-rate-no-number"),
        pytest.param("BANDWIDTH=1,SCORE=high", "score", None, id="score-no-number"),
        pytest.param("BANDWIDTH=1,AVERAGE-BANDWIDTH=x", "average_bandwidth", None, id="average-no-number"),
        pytest.param('BANDWIDTH=1,AUDIO="nowhere"', "audio", "nowhere", id="undefined-group"),
        pytest.param("BANDWIDTH=1,NAME='x'", "name", "x", id="single-quotes"),
    ],
)
def test_odd_attributes_are_tolerated_with_one_warning(attributes: str, field: str, value: object) -> None:
    found = main(f"#EXT-X-STREAM-INF:{attributes}", "v.m3u8")
    assert getattr(found.variants[0], field) == value
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("line 2: ")


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        pytest.param("RESOLUTION=1920X1080", "resolution", (1920, 1080), id="capital-x"),
        pytest.param('RESOLUTION="240×135"', "resolution", (240, 135), id="times-sign"),
        pytest.param('FRAME-RATE="25"', "frame_rate", 25.0, id="quoted-number"),
        pytest.param("CODECS=avc1", "codecs", ("avc1",), id="unquoted-text"),
        pytest.param('VIDEO-RANGE="HLG"', "video_range", "HLG", id="quoted-enumeration"),
        pytest.param("AVERAGE_BANDWIDTH=5,average-bandwidth=x", "average_bandwidth", None, id="other-names"),
        pytest.param(' , NAME = "a\u2028b" ,', "name", "a b", id="line-separator-and-blanks"),
    ],
)
def test_attributes_written_differently_are_understood(attributes: str, field: str, value: object) -> None:
    found = main(f"#EXT-X-STREAM-INF:BANDWIDTH=1,{attributes}", "v.m3u8")
    assert getattr(found.variants[0], field) == value
    assert found.warnings == ()


def test_a_rendition_keeps_every_attribute() -> None:
    found = main(
        *V,
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="English, main",URI="a en.m3u8",LANGUAGE="en",ASSOC-LANGUAGE="de",'
        'DEFAULT=YES,AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS="public.x,public.y",CHANNELS="16/JOC",SAMPLE-RATE=48000,'
        'BIT-DEPTH=24,CODECS="ec-3",PATHWAY-ID="P",STABLE-RENDITION-ID="r"',
        '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC",INSTREAM-ID="SERVICE3"',
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="f",URI="s.vtt",FORCED=YES',
    )
    audio = Rendition(
        type="AUDIO", group="g", name="English, main", uri="https://h/p/a%20en.m3u8", language="en", assoc_language="de",
        default=True, autoselect=True, characteristics=("public.x", "public.y"), channels="16/JOC", sample_rate=48_000,
        bit_depth=24, codecs=("ec-3",), pathway="P", stable_id="r", line=3,
    )  # fmt: skip
    captions = Rendition(type="CLOSED-CAPTIONS", group="cc", name="CC", instream_id="SERVICE3", line=4)
    forced = Rendition(type="SUBTITLES", group="s", name="f", uri="https://h/p/s.vtt", forced=True, line=5)
    assert found.renditions == (audio, captions, forced)
    assert (found.group("AUDIO", "g"), found.group("SUBTITLES", "g")) == ((audio,), ())
    assert found.warnings == ()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g"', id="no-name"),
        pytest.param('#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="g",NAME="n"', id="subtitles-without-uri"),
        pytest.param('#EXT-X-MEDIA:TYPE=SMELL,GROUP-ID="g",NAME="n"', id="unknown-type"),
        pytest.param('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="n",URI=""', id="empty-uri"),
        pytest.param('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="n",SAMPLE-RATE=x', id="sample-rate-no-number"),
        pytest.param('#EXT-X-SESSION-DATA:VALUE="x"', id="session-data-without-id"),
        pytest.param('#EXT-X-SESSION-DATA:DATA-ID="x"', id="session-data-without-content"),
        pytest.param("#EXT-X-SESSION-KEY:METHOD=NONE", id="session-key-none"),
        pytest.param('#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,KEYFORMAT="drm"', id="drm-key-without-uri"),
        pytest.param('#EXT-X-CONTENT-STEERING:PATHWAY-ID="x"', id="steering-without-server"),
    ],
)
def test_odd_entries_are_tolerated_with_one_warning(line: str) -> None:
    assert len(main(line, *V).warnings) == 1


def test_trick_play_is_kept_in_playlist_order() -> None:
    found = main(
        '#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=9,RESOLUTION=320x180,CODECS="jpeg",URI="t.m3u8"',
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=7,AVERAGE-BANDWIDTH=5,CODECS="avc1",RESOLUTION=64x36,VIDEO-RANGE=HLG,'
        'VIDEO="v",LANGUAGE="en",PATHWAY-ID="P",STABLE-VARIANT-ID="s",URI="i.m3u8",SCORE=1,ALLOWED-CPC="x"',
        *V,
    )
    assert found.trick_play == (
        TrickPlayVariant(
            kind="images", uri="https://h/p/t.m3u8", bandwidth=9, resolution=(320, 180), codecs=("jpeg",), line=1
        ),
        TrickPlayVariant(
            kind="iframes", uri="https://h/p/i.m3u8", bandwidth=7, average_bandwidth=5, codecs=("avc1",), resolution=(64, 36),
            video_range="HLG", video="v", language="en", pathway="P", stable_id="s", line=2,
        ),
    )  # fmt: skip


def test_session_data_keys_steering_and_flags_are_read() -> None:
    found = main(
        "#EXT-X-VERSION:12",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-SESSION-DATA:DATA-ID="title",VALUE="",LANGUAGE="en"',
        '#EXT-X-SESSION-DATA:DATA-ID="chapters",URI="c.json",FORMAT=RAW',
        '#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="skd://k",KEYFORMAT="fp",KEYID=0x1',
        '#EXT-X-CONTENT-STEERING:SERVER-URI="/steer?x",PATHWAY-ID="P",NEW=1,',
        *V,
    )
    assert (found.version, found.independent_segments) == (12, True)
    assert found.session_data == (
        SessionData(data_id="title", value="", language="en", line=3),
        SessionData(data_id="chapters", uri="https://h/p/c.json", format="RAW", line=4),
    )
    assert found.session_keys == (Key(method="SAMPLE-AES", uri="skd://k", keyformat="fp", line=5),)
    assert found.steering == ContentSteering(server_uri="https://h/steer?x", pathway="P", line=6)
    assert found.warnings == ()


def test_variables_are_written_into_the_text_and_kept_for_children() -> None:
    found = main('#EXT-X-DEFINE:NAME="h",VALUE="cdn"', V[0], "https://{$h}/v.m3u8")
    assert (found.variants[0].uri, dict(found.variables)) == ("https://cdn/v.m3u8", {"h": "cdn"})
    assert found.text.lines[3] == "https://cdn/v.m3u8\n"
    assert "cdn" not in repr(found)


def test_groups_of_one_name_but_other_types_stay_apart() -> None:
    found = main(
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="a",URI="a"', '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="g",NAME="s",URI="s"',
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="g"', "v.m3u8",
    )  # fmt: skip
    assert (found.variants[0].audio, found.variants[0].subtitles) == ("g", None)


def test_a_playlist_of_trick_play_alone_is_multivariant() -> None:
    found = main('#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=7,URI="i.m3u8"')
    assert (len(found.trick_play), found.variants, len(found.warnings)) == (1, (), 1)


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        pytest.param((V[0], *V), 2, "has no URI line", id="two-stream-infs"),
        pytest.param((*V, V[0]), 4, "has no URI line", id="stream-inf-at-the-end"),
        pytest.param((*V, "x.m3u8"), 4, "no `EXT-X-STREAM-INF`", id="uri-without-stream-inf"),
        pytest.param((V[0], "main.m3u8?t=1#x"), 3, "refers to itself", id="itself"),
        pytest.param(('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="n",URI="?t=1"',), 2, "itself", id="rendition-itself"),
        pytest.param(('#EXT-X-I-FRAME-STREAM-INF:URI="?t=1"',), 2, "itself", id="i-frames-itself"),
        pytest.param(("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1", *V), 2, "has no `URI`", id="i-frames-without-uri"),
        pytest.param(('#EXT-X-IMAGE-STREAM-INF:X-URI="x"', *V), 2, "has no `URI`", id="images-without-uri"),
        pytest.param(('#EXT-X-MEDIA:GROUP-ID="g",NAME="n"', *V), 2, "`TYPE`", id="media-without-type"),
        pytest.param(("#EXT-X-MEDIA:TYPE=AUDIO,NAME=n", *V), 2, "`GROUP-ID`", id="media-without-group"),
        pytest.param(('#EXT-X-SESSION-KEY:URI="k"', *V), 2, "no `METHOD`", id="session-key-without-method"),
        pytest.param(('#EXT-X-SESSION-DATA:DATA-ID="x",VALUE="v"',), None, "neither variants", id="nothing-to-play"),
        pytest.param(("#EXT-X-TARGETDURATION:6", *V), 3, "media playlist", id="mixed"),
        pytest.param((*V, "#EXT-X-ENDLIST"), 4, "media playlist", id="mixed-at-the-end"),
        pytest.param(('#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="a', "v"), 2, "unclosed quote", id="unclosed-quote"),
        pytest.param((V[0], "v\x1b.m3u8"), 3, "control character", id="escape-in-a-uri"),
        pytest.param(('#EXT-X-DEFINE:IMPORT="x"', *V), 2, "not defined by the multivariant", id="import"),
    ],
)
def test_broken_playlists_are_refused_with_their_line(lines: tuple[str, ...], line: int | None, reason: str) -> None:
    with pytest.raises(PlaylistError) as caught:
        main(*lines)
    assert reason in caught.value.reason
    assert caught.value.line == line
    assert caught.value.url == "https://h/p/main.m3u8?t=…"


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(V, id="variants"),
        pytest.param(('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="n"',), id="renditions"),
        pytest.param(('#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i"',), id="trick-play"),
    ],
)
def test_all_entries_together_are_limited(extra: tuple[str, ...]) -> None:
    limits = PlaylistLimits(max_renditions=3)
    main(*V, *V, *extra, limits=limits)
    with pytest.raises(LimitError, match="`max_renditions` of 3"):
        main(*V, *V, *extra, *extra, limits=limits)
