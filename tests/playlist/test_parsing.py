"""`parse_playlist`: any bytes give a value, a PlaylistError or a LimitError, at a cost that grows with their length."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist import MediaPlaylist, MultivariantPlaylist, PlaylistText, parse_playlist

URL = "https://h/p/list.m3u8?token=secret"

SEEDS = (
    """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-DEFINE:NAME="v",VALUE="1"
#EXT-X-KEY:METHOD=AES-128,URI="k?x={$v}",IV=0x0f
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://k",KEYFORMAT="fp"
#EXT-X-MAP:URI="i.mp4",BYTERANGE="700@0"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXTINF:6.006,title
#EXT-X-BYTERANGE:1000@700
a.mp4
#EXT-X-DISCONTINUITY
#EXT-X-BITRATE:800
#EXTINF:6,
#EXT-X-GAP
#EXT-X-BYTERANGE:50
a.mp4
#EXT-X-DATERANGE:ID="x",START-DATE="2026-01-01T00:00:00Z",DURATION=1.5,X-ASSET-URI="ad.m3u8"
#EXT-X-ENDLIST
""",
    """#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-DEFINE:QUERYPARAM="token"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,CHANNELS="2",URI="en.m3u8?t={$token}"
#EXT-X-SESSION-DATA:DATA-ID="t",VALUE="x"
#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="skd://k",KEYFORMAT="fp"
#EXT-X-CONTENT-STEERING:SERVER-URI="/s",PATHWAY-ID="P"
#EXT-X-STREAM-INF:BANDWIDTH=800000,AVERAGE-BANDWIDTH=700000,CODECS="avc1,mp4a",RESOLUTION=640x360,FRAME-RATE=25,AUDIO="a"
v.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9000,URI="i.m3u8",RESOLUTION=640x360
#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=900,URI="t.m3u8"
""",
)


def outcome(data: bytes) -> MediaPlaylist | MultivariantPlaylist | None:
    """The value, or None when it is refused; any other exception is the caller's failure."""
    try:
        return parse_playlist(data, URL)
    except (PlaylistError, LimitError):
        return None


@pytest.mark.parametrize("seed", SEEDS, ids=["media", "multivariant"])
def test_the_seeds_themselves_are_playlists_without_warnings(seed: str) -> None:
    found = outcome(seed.encode())
    assert found is not None
    assert found.warnings == ()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_that_keeps_them_or_our_error(data: bytes) -> None:
    found = outcome(data)
    assert found is None or found.text.encode() == data


tags = st.sampled_from(sorted({line.partition(":")[0] for seed in SEEDS for line in seed.splitlines()}))
attribute = st.tuples(
    st.sampled_from(
        ["URI", "METHOD", "BANDWIDTH", "RESOLUTION", "BYTERANGE", "NAME", "VALUE", "IV", "TYPE", "GROUP-ID", ""]
    ),
    st.sampled_from(["=", "", "=="]),
    st.one_of(
        st.text(max_size=12), st.sampled_from(['"', '"a"', "1", "-1", "1e309", "nan", "0x1", "1x1", "{$v}", "NONE"])
    ),
).map("".join)
made_lines = st.one_of(
    st.text(max_size=30),
    st.tuples(tags, st.sampled_from([":", "", " ", ": "]), st.lists(attribute, max_size=4).map(",".join)).map("".join),
)


@settings(deadline=None)
@given(st.lists(made_lines, max_size=12))
def test_any_mixture_of_known_tags_is_a_value_that_keeps_its_lines_or_our_error(lines: list[str]) -> None:
    found = outcome("\n".join(("#EXTM3U", *lines)).encode("utf-8", "surrogatepass"))
    assert found is None or found.text.lines[0].rstrip("\n") == "#EXTM3U"


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)).encode())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(8, len(data)))
        end = draw(st.integers(start, min(len(data), start + 12)))
        data[start:end] = draw(
            st.one_of(st.binary(max_size=6), st.sampled_from([b"\n", b'"', b",", b"=", b"#", b"{$v}"]))
        )
    return bytes(data)


@settings(deadline=None)
@given(mutants())
def test_a_damaged_playlist_is_a_value_or_our_error_and_keeps_its_lines(data: bytes) -> None:
    found = outcome(data)
    if found is not None and b"{$" not in data:
        assert found.text.encode() == data


@settings(deadline=None)
@given(mutants())
def test_a_value_points_at_lines_that_are_what_it_says(data: bytes) -> None:
    found = outcome(data)
    if isinstance(found, MediaPlaylist):
        assert all(not found.text.lines[segment.line].strip().startswith("#") for segment in found.segments)
        assert [segment.sequence - found.media_sequence for segment in found.segments] == list(
            range(len(found.segments))
        )
    elif found is not None:
        assert all("#EXT-X-STREAM-INF" in found.text.lines[variant.line] for variant in found.variants)


def test_errors_carry_the_redacted_url() -> None:
    for data in (b"<html>", b"#EXTM3U\n#EXTINF:99999999,\na"):
        with pytest.raises((PlaylistError, LimitError)) as caught:
            parse_playlist(data, URL)
        assert caught.value.url == "https://h/p/list.m3u8?token=…"
        assert "secret" not in str(caught.value)


def test_endlist_may_stand_anywhere() -> None:
    found = parse_playlist(b"#EXTM3U\n#EXT-X-ENDLIST\n#EXTINF:1,\na\n", URL)
    assert isinstance(found, MediaPlaylist)
    assert (found.ended, len(found.segments)) == (True, 1)


def test_a_lenient_reader_is_not_needed_for_crlf_and_blanks() -> None:
    data = b"\xef\xbb\xbf#EXTM3U\r\n #EXTINF:6,\t\r\n a.ts \r\n\r\n#EXT-X-ENDLIST"
    found = parse_playlist(data, URL)
    assert isinstance(found, MediaPlaylist)
    assert found.segments[0].uri == "https://h/p/a.ts"


def test_variables_come_from_the_requested_url_and_the_multivariant_playlist() -> None:
    data = (
        b'#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM="q"\n#EXT-X-DEFINE:IMPORT="i"\n#EXTINF:1,\n{$i}/{$q}.ts\n#EXT-X-ENDLIST\n'
    )
    found = parse_playlist(data, "https://cdn/x/p", requested_url="https://h/p?q=1%2F2", imported={"i": "a"})
    assert isinstance(found, MediaPlaylist)
    assert found.segments[0].uri == "https://cdn/x/a/1/2.ts"
    assert found.text == PlaylistText.decode(data.replace(b"{$i}/{$q}", b"a/1/2"))


def rotating(count: int) -> bytes:
    lines = (f'#EXT-X-KEY:METHOD=AES-128,URI="k/{number}"\n#EXTINF:6.006,\n{number}.ts\n' for number in range(count))
    return "".join(("#EXTM3U\n#EXT-X-TARGETDURATION:6\n", *lines, "#EXT-X-ENDLIST\n")).encode()


def test_a_different_key_for_each_segment_costs_no_more_than_proportionally() -> None:
    """Eight times the segments take about eight times as long; anything quadratic would take sixty-four times."""
    times = []
    for count in (2_000, 16_000):
        data, started = rotating(count), time.process_time()
        parse_playlist(data, URL)
        times.append(time.process_time() - started)
    assert times[1] < 24 * times[0]


def test_segments_need_less_than_two_kilobytes_each() -> None:
    data = rotating(2_000)
    parse_playlist(data, URL)
    tracemalloc.start()
    try:
        parse_playlist(data, URL)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000 * 2_000


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("#EXT-X-KEY:" + "A" * 60_000, id="letters"),
        pytest.param("#EXT-X-KEY:" + " " * 60_000 + "A", id="blanks"),
        pytest.param('#EXT-X-KEY:A="' + "," * 60_000, id="commas-in-an-unclosed-quote"),
        pytest.param("#EXT-X-KEY:" + 'A="' * 20_000, id="quotes"),
        pytest.param("#EXT-X-KEY:" + "A=" * 30_000, id="equal-signs"),
        pytest.param("#EXT-X-VENDOR:" + '"' * 60_000, id="quotes-in-an-unknown-tag"),
        pytest.param("#EXTINF:" + "1" * 60_000, id="digits"),
        pytest.param("#EXT-X-PROGRAM-DATE-TIME:" + "1" * 60_000, id="date"),
        pytest.param("#EXT-X-DEFINE:NAME=" + "{$" * 30_000, id="references"),
        pytest.param("a/" + "../" * 20_000, id="dots"),
    ],
)
def test_hostile_lines_cost_no_more_than_proportionally(line: str) -> None:
    data = f"#EXTM3U\n#EXTINF:1,\n{line}\n{line}\n{line}\n{line}\n".encode()
    started = time.process_time()
    outcome(data)
    assert time.process_time() - started < 1
