"""Media playlists: each tag gives the value that the RFC says it has, at the place where it stands."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from m3u8.parser import parse as m3u8_alone

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist import ByteRange, DateRange, MediaPlaylist, PlaylistLimits, Segment, parse_playlist
from hlsdl.playlist.lines import DEFAULT_LIMITS

URL = "https://h/p/list.m3u8"
KEY = '#EXT-X-KEY:METHOD=AES-128,URI="k1"'
IV = ",IV=0x1"
IV_KEY = KEY + IV


def media(*lines: str, limits: PlaylistLimits = DEFAULT_LIMITS) -> MediaPlaylist:
    text = "\n".join(("#EXTM3U", "#EXT-X-TARGETDURATION:6", *lines, "#EXT-X-ENDLIST", ""))
    found = parse_playlist(text.encode(), URL, limits=limits)
    assert isinstance(found, MediaPlaylist)
    return found


def segments(*lines: str) -> tuple[Segment, ...]:
    return media(*lines).segments


A, B, C = ("#EXTINF:6,", "a.ts"), ("#EXTINF:6,", "b.ts"), ("#EXTINF:6,", "c.ts")


def test_a_whole_playlist_is_read() -> None:
    found = media(
        "#EXT-X-VERSION:7", "#EXT-X-MEDIA-SEQUENCE:100", "#EXT-X-DISCONTINUITY-SEQUENCE:5", "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXTINF:6.006,title", "a.ts?t=1", "#EXT-X-DISCONTINUITY", "#EXTINF:4,", "b.ts",
    )  # fmt: skip
    assert (found.url, found.version, found.target_duration, found.playlist_type) == (URL, 7, 6, "VOD")
    assert (found.media_sequence, found.discontinuity_sequence, found.ended, found.is_live) == (100, 5, True, False)
    assert found.segments == (
        Segment(uri="https://h/p/a.ts?t=1", duration=Decimal("6.006"), sequence=100, discontinuity_sequence=5, line=7),
        Segment(
            uri="https://h/p/b.ts",
            duration=Decimal(4),
            sequence=101,
            discontinuity_sequence=6,
            discontinuity=True,
            line=10,
        ),
    )
    assert found.duration == Decimal("10.006")
    assert found.warnings == ()


BETWEEN = st.lists(
    st.sampled_from(
        ["#EXT-X-DISCONTINUITY", "#EXT-X-GAP", "#EXTINF:9,", "# a comment", "#URI", "", "#EXT-X-VENDOR:x", IV_KEY]
    ),
    max_size=2,
)
BLOCKS = st.lists(
    st.tuples(BETWEEN, BETWEEN, st.sampled_from(["a.ts", "b.ts?t=1&u=2", "#", "c d.ts"])), min_size=1, max_size=6
)


@given(BLOCKS, BETWEEN)
def test_what_the_hook_takes_is_what_m3u8_alone_would_say(
    blocks: list[tuple[list[str], list[str], str]], tail: list[str]
) -> None:
    """Plain segments never reach m3u8, and each is as if it had: its URI, its duration, and what was said of it."""
    lines = [line for before, between, uri in blocks for line in (*before, "#EXTINF:4,", *between, uri)]
    lines += [*(["#EXTINF:5,", "z.ts"] if lines[-1] == "#" else []), *tail]
    alone = m3u8_alone("\n".join(("#EXTM3U", *lines)))["segments"]
    said = [
        (f"https://h/p/{one['uri'].replace(' ', '%20')}", one["duration"], one["discontinuity"], bool(one["gap_tag"]))
        for one in alone
        if "uri" in one
    ]
    assert [(one.uri, float(one.duration), one.discontinuity, one.gap) for one in segments(*lines)] == said


def test_a_segment_that_was_read_is_whole_and_frozen() -> None:
    """Segments are written field by field and become segments at the end: none is forgotten, and none stays open."""
    (segment,) = media(*A).segments
    assert type(segment) is Segment
    assert replace(segment) == segment
    assert hash(replace(segment)) == hash(segment)
    with pytest.raises(FrozenInstanceError):
        segment.gap = True  # type: ignore[misc]


def test_line_numbers_point_at_the_source_lines() -> None:
    found = media("", "# comment", KEY + IV, '#EXT-X-MAP:URI="i"', "#EXTINF:6,", "#EXT-X-VENDOR", " a.ts ")
    lines = found.text.lines
    assert lines[found.segments[0].line] == " a.ts \n"
    assert lines[found.keys[0].line].startswith("#EXT-X-KEY")
    assert lines[found.inits[0].line].startswith("#EXT-X-MAP")


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        pytest.param("#EXT-X-I-FRAMES-ONLY", "iframes_only", True, id="i-frames"),
        pytest.param("#EXT-X-IMAGES-ONLY", "images_only", True, id="images"),
        pytest.param("#EXT-X-PLAYLIST-TYPE:EVENT", "playlist_type", "EVENT", id="event"),
        pytest.param("#EXT-X-PLAYLIST-TYPE: vod", "playlist_type", "VOD", id="type-spelt-oddly"),
        pytest.param("#EXT-X-VERSION: 4", "version", 4, id="version-with-a-space"),
        pytest.param("#EXT-X-FOO:1", "version", 1, id="no-version"),
        pytest.param("#EXT-X-MEDIA-SEQUENCE:9223372036854775807", "media_sequence", 2**63 - 1, id="big-sequence"),
    ],
)
def test_playlist_tags_give_their_values(line: str, field: str, value: object) -> None:
    found = media(line, *A)
    assert getattr(found, field) == value
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        pytest.param("#EXT-X-TARGETDURATION:6.5", "target_duration", 7, id="fractional-target"),
        pytest.param("#EXT-X-TARGETDURATION:NaN", "target_duration", 6, id="target-no-number"),
        pytest.param("#EXT-X-TARGETDURATION:-10", "target_duration", 6, id="negative-target"),
        pytest.param("#EXT-X-TARGETDURATION:", "target_duration", 6, id="empty-target"),
        pytest.param("#EXT-X-VERSION:7.1", "version", 7, id="fractional-version"),
        pytest.param("#EXT-X-VERSION:new", "version", 1, id="version-no-number"),
        pytest.param("#EXT-X-VERSION:99", "version", 99, id="version-of-the-future"),
        pytest.param("#EXT-X-PLAYLIST-TYPE:LIVE", "playlist_type", None, id="unknown-type"),
        pytest.param("#EXT-X-BITRATE:fast", "ended", True, id="bitrate-no-number"),
        pytest.param("#EXT-X-PROGRAM-DATE-TIME:2026-01-01 10:00", "ended", True, id="odd-date"),
        pytest.param("#EXTINF:3,", "duration", 6, id="extinf-twice"),
        pytest.param("#EXT-X-DATERANGE:CLASS=x", "ended", True, id="date-range-without-id"),
    ],
)
def test_oddities_that_change_no_bytes_are_tolerated_with_one_warning(line: str, field: str, value: object) -> None:
    found = media(line, *A)
    assert getattr(found, field) == value
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("line 3")


def test_an_extinf_at_the_end_is_no_segment() -> None:
    found = media(*A, "#EXTINF:6,")
    assert (len(found.segments), len(found.warnings)) == (1, 1)


def test_a_finished_playlist_without_its_end_is_a_warning() -> None:
    found = parse_playlist(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:1,\na\n", URL)
    assert isinstance(found, MediaPlaylist)
    assert (found.ended, found.is_live) == (False, False)
    assert [one for one in found.warnings if "cut" in one] == list(found.warnings) != []


def test_a_missing_target_duration_is_a_warning() -> None:
    found = parse_playlist(b"#EXTM3U\n#EXTINF:1,\na\n", URL)
    assert isinstance(found, MediaPlaylist)
    assert (found.target_duration, found.ended, found.is_live) == (None, False, True)
    assert found.warnings == ("`EXT-X-TARGETDURATION` is missing",)


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        pytest.param((), None, "no segments", id="no-segments"),
        pytest.param(("a.ts",), 3, "no `EXTINF`", id="uri-without-extinf"),
        pytest.param((*A, "b.ts"), 5, "no `EXTINF`", id="second-uri-without-extinf"),
        pytest.param(("#EXT-X-BYTERANGE:5@0", "b.ts"), 4, "no `EXTINF`", id="byte-range-is-no-extinf"),
        pytest.param(("#EXTINF:nan,", "a"), 3, "not a decimal number", id="nan"),
        pytest.param(("#EXTINF:,", "a"), 3, "not a decimal number", id="no-duration"),
        pytest.param(("#EXTINF:-5,", "a"), 3, "negative", id="negative"),
        pytest.param(("#EXT-X-MEDIA-SEQUENCE:-1", *A), 3, "not a decimal integer", id="negative-sequence"),
        pytest.param(("#EXT-X-MEDIA-SEQUENCE:", *A), 3, "not a decimal integer", id="empty-sequence"),
        pytest.param((*A, "#EXT-X-MEDIA-SEQUENCE:1"), 5, "after the first segment", id="late-sequence"),
        pytest.param((*A, "#EXT-X-DISCONTINUITY-SEQUENCE:1"), 5, "after the first segment", id="late-discontinuity"),
        pytest.param(("#EXT-X-MEDIA-SEQUENCE:1", "#EXT-X-MEDIA-SEQUENCE:2", *A), 4, "twice", id="two-sequences"),
        pytest.param(("#EXT-X-DISCONTINUITY-SEQUENCE:x", *A), 3, "not a decimal integer", id="discontinuity-no-number"),
        pytest.param(("#EXT-X-KEY:URI=k", *A), 3, "no `METHOD`", id="key-without-method"),
        pytest.param(("#EXT-X-KEY", *A), 3, "no `METHOD`", id="key-without-anything"),
        pytest.param(("#EXT-X-MAP:BYTERANGE=5@0", *A), 3, "no `URI`", id="map-without-uri"),
        pytest.param(('#EXT-X-MAP:URI="i",BYTERANGE="5"', *A), 3, "no offset", id="map-range-without-offset"),
        pytest.param((KEY, '#EXT-X-MAP:URI="i"', *A), 4, "needs a key with an `IV`", id="encrypted-map-without-iv"),
        pytest.param(("#EXT-X-BYTERANGE:x", *A), 3, "not `length@offset`", id="byte-range-no-number"),
        pytest.param(("#EXT-X-SKIP:SKIPPED-SEGMENTS=2", *A), 3, "delta update", id="delta-update"),
        pytest.param(("#EXTINF:1,", "a\x00.ts"), 4, "control character", id="nul-in-a-uri"),
        pytest.param(("#EXTINF:1,", "a\rb.ts"), 4, "control character", id="cr-in-a-uri"),
        pytest.param(('#EXT-X-KEY:METHOD=AES-128,URI="\x1b[0m"', *A), 3, "control character", id="escape-in-a-key"),
        pytest.param(('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="b"', *A), 3, "multivariant", id="mixed"),
        pytest.param(("#EXT-X-STREAM-INF:BANDWIDTH=1", "v.m3u8", *A), 3, "multivariant", id="mixed-variants"),
    ],
)
def test_what_could_change_bytes_is_refused_with_its_line(
    lines: tuple[str, ...], line: int | None, reason: str
) -> None:
    with pytest.raises(PlaylistError) as caught:
        media(*lines)
    assert reason in caught.value.reason
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("name", "limit", "at", "past"),
    [
        pytest.param("max_segments", 2, (*A, *B), (*A, *B, *C), id="segments"),
        pytest.param("max_duration", 9, ("#EXTINF:9,", "a"), ("#EXTINF:9.01,", "a"), id="duration"),
        pytest.param("max_total_duration", 12, (*A, *B), (*A, *B, "#EXTINF:.1,", "c"), id="total-duration"),
        pytest.param("max_url", 20, ("#EXTINF:1,", "12345.ts"), ("#EXTINF:1,", "123456.ts"), id="url"),
        pytest.param("max_integer", 9, ("#EXT-X-MEDIA-SEQUENCE:9", *A), ("#EXT-X-MEDIA-SEQUENCE:10", *A), id="integer"),
        pytest.param(
            "max_integer", 9, ("#EXT-X-BYTERANGE:5@4", *A), ("#EXT-X-BYTERANGE:5@5", *A), id="end-of-a-byte-range"
        ),
        pytest.param(
            "max_integer", 9, ("#EXT-X-BYTERANGE:5@0", *A, "#EXT-X-BYTERANGE:4", *A),
            ("#EXT-X-BYTERANGE:5@0", *A, "#EXT-X-BYTERANGE:5", *A), id="end-of-an-implicit-byte-range",
        ),
    ],
)  # fmt: skip
def test_each_limit_holds_at_its_value_and_not_one_past(
    name: str, limit: int, at: tuple[str, ...], past: tuple[str, ...]
) -> None:
    limits = PlaylistLimits(**{name: limit})
    media(*at, limits=limits)
    with pytest.raises(LimitError, match=f"`{name}` of {limit}"):
        media(*past, limits=limits)


def test_a_byte_range_without_an_offset_goes_on_where_the_one_before_ended() -> None:
    found = segments(
        "#EXT-X-BYTERANGE:10@5", *A, "#EXTINF:1,", "#EXT-X-BYTERANGE:20", "a.ts", "#EXT-X-BYTERANGE:30", *A,
        "#EXT-X-BYTERANGE:7@0", *B, "#EXT-X-BYTERANGE:1", *B,
    )  # fmt: skip
    assert [segment.byte_range for segment in found] == [
        ByteRange(offset=5, length=10),
        ByteRange(offset=15, length=20),
        ByteRange(offset=35, length=30),
        ByteRange(offset=0, length=7),
        ByteRange(offset=7, length=1),
    ]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param((), id="first"),
        pytest.param(A, id="after-the-whole-resource"),
        pytest.param(("#EXT-X-BYTERANGE:5@0", *B), id="after-another-resource"),
        pytest.param(("#EXT-X-BYTERANGE:5@0", *A, *B), id="not-right-after"),
        pytest.param(("#EXT-X-BYTERANGE:5@0", "#EXTINF:6,", "a.ts?x"), id="only-the-query-differs"),
    ],
)
def test_a_byte_range_without_an_offset_needs_one_of_the_same_resource_before(before: tuple[str, ...]) -> None:
    with pytest.raises(PlaylistError) as caught:
        media(*before, "#EXT-X-BYTERANGE:5", *A)
    assert caught.value.line == 3 + len(before)


def test_a_second_byte_range_for_one_segment_replaces_the_first() -> None:
    found = media("#EXT-X-BYTERANGE:5@0", "#EXT-X-BYTERANGE:7@1", *A)
    assert found.segments[0].byte_range == ByteRange(offset=1, length=7)
    assert len(found.warnings) == 1


def keys_of(segment: Segment) -> list[str]:
    return [f"{key.keyformat}:{key.uri}" for key in segment.keys]


def test_keys_of_several_formats_apply_together_until_none() -> None:
    fairplay = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://1",KEYFORMAT="fp"'
    found = segments(*A, KEY, fairplay, *B, '#EXT-X-KEY:METHOD=AES-128,URI="k2"', *C, "#EXT-X-KEY:METHOD=NONE", *A)
    assert [keys_of(segment) for segment in found] == [
        [],
        ["identity:https://h/p/k1", "fp:skd://1"],
        ["identity:https://h/p/k2", "fp:skd://1"],
        [],
    ]


def test_a_key_between_extinf_and_uri_applies_to_that_segment() -> None:
    found = segments("#EXTINF:6,", KEY, "a.ts", *B)
    assert keys_of(found[0]) == keys_of(found[1]) == ["identity:https://h/p/k1"]


def test_every_key_tag_is_listed_and_equal_ones_are_shared() -> None:
    found = media(KEY, *A, KEY, *B, "#EXT-X-KEY:METHOD=NONE", *C, KEY)
    assert [key.line for key in found.keys] == [2, 5, 11]
    assert found.segments[0].keys is found.segments[1].keys


def test_the_keys_of_an_init_section_are_those_before_it() -> None:
    found = media(
        '#EXT-X-MAP:URI="clear"', KEY + IV, *A, '#EXT-X-MAP:URI="encrypted",BYTERANGE=5@2', *B, "#EXT-X-MAP:URI=end"
    )
    clear, encrypted, unused = found.inits
    assert (clear.keys, clear.uri) == ((), "https://h/p/clear")
    assert (encrypted.keys, encrypted.byte_range) == (found.segments[0].keys, ByteRange(offset=2, length=5))
    assert [segment.init for segment in found.segments] == [clear, encrypted]
    assert unused.uri == "https://h/p/end"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"', id="sample-aes"),
        pytest.param('#EXT-X-KEY:METHOD=AES-128,URI="skd://1",KEYFORMAT="drm"', id="drm"),
        pytest.param("#EXT-X-KEY:METHOD=NONE", id="clear"),
    ],
)
def test_an_init_section_needs_no_iv_unless_it_is_aes_128(key: str) -> None:
    assert len(media(key, '#EXT-X-MAP:URI="i"', *A).inits) == 1


def test_a_repeated_init_section_is_kept() -> None:
    found = media('#EXT-X-MAP:URI="i"', *A, "#EXT-X-DISCONTINUITY", '#EXT-X-MAP:URI="i"', *B)
    assert [init.line for init in found.inits] == [2, 6]
    assert found.segments[1].init == found.inits[1]


def test_every_discontinuity_counts_and_each_segment_knows_its_own() -> None:
    found = segments("#EXT-X-DISCONTINUITY", *A, "#EXT-X-DISCONTINUITY", "#EXT-X-DISCONTINUITY", *B, *C)
    assert [(s.discontinuity, s.discontinuity_sequence) for s in found] == [(True, 1), (True, 3), (False, 3)]


def test_a_gap_belongs_to_one_segment() -> None:
    assert [s.gap for s in segments(*A, "#EXT-X-GAP", *B, "#EXTINF:1,", "#EXT-X-GAP", "c", *A)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_bitrate_is_sticky_and_not_for_byte_ranges() -> None:
    found = segments(*A, "#EXT-X-BITRATE:800", *B, "#EXT-X-BYTERANGE:5@0", *C, *A, "#EXT-X-BITRATE:0", *B)
    assert [segment.bitrate for segment in found] == [None, 800_000, None, 800_000, 0]


def test_dates_are_kept_as_written_and_belong_to_one_segment() -> None:
    found = segments("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T10:00:00.123456789+0530", *A, *B)
    assert [segment.program_date_time for segment in found] == ["2026-01-01T10:00:00.123456789+0530", None]


def test_date_ranges_are_listed_also_after_the_last_segment() -> None:
    found = media(
        '#EXT-X-DATERANGE:ID="a",CLASS="c",START-DATE="s",END-DATE="e",DURATION=1.50,X-ASSET-URI="ad.m3u8",X-COM-X="y"',
        *A, '#EXT-X-DATERANGE:ID="b",X-ASSET-LIST="https://ads/list?x",DURATION=long',
    )  # fmt: skip
    assert found.date_ranges == (
        DateRange(
            id="a", group="c", start="s", end="e", duration=Decimal("1.50"), asset_uri="https://h/p/ad.m3u8", line=2
        ),
        DateRange(id="b", asset_list="https://ads/list?x", line=5),
    )
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    "tag",
    [
        "#EXT-X-GAPLESS:1",
        "#EXT-X-DISCONTINUITY-FOO",
        "#EXT-X-KEYFOO:x",
        "#EXT-X-MAPPING:URI=x",
        "#EXT-X-PARTNER:x",
        "#EXT-X-BITRATES:5",
        "#EXTINFO:5,",
        "#EXT-X-SKIPPED:1",
        "#EXT-X-MEDIA-TIME-OFFSET:5",
        "#EXT-X-CUE-OUT:30",
        "#EXT-X-CUE-OUT-CONT:5/30",
        "#EXT-OATCLS-SCTE35:x",
        "#EXT-X-ASSET:CAID=1",
        "#EXT-X-START:TIME-OFFSET=x,NEW=1,",
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,NEW=1,",
        "#EXT-X-PART-INF:PART-TARGET=x",
        '#EXT-X-PART:DURATION=x,URI="p"',
        "#EXT-X-PRELOAD-HINT:TYPE=PART,NEW=1",
        "#EXT-X-RENDITION-REPORT:URI=x",
        "#EXT-X-TILES:RESOLUTION=1x1,LAYOUT=1x1,NEW=1",
        "#EXT-X-ALLOW-CACHE:MAYBE",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT",
        "# comment",
        "#\u2028a.ts",
    ],
)
def test_tags_that_say_nothing_to_us_change_nothing_wherever_they_stand(tag: str) -> None:
    plain = [(s.uri, s.duration, s.gap, s.discontinuity, s.keys, s.init, s.bitrate) for s in segments(*A, *B)]
    found = media(tag, "#EXTINF:6,", tag, "a.ts", tag, *B, tag)
    assert [(s.uri, s.duration, s.gap, s.discontinuity, s.keys, s.init, s.bitrate) for s in found.segments] == plain
    assert f"{tag}\n" in found.text.lines


def test_a_title_with_other_line_separators_loses_no_uri() -> None:
    found = segments("#EXTINF:6,a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg", "a.ts", *B)
    assert [segment.uri for segment in found] == ["https://h/p/a.ts", "https://h/p/b.ts"]


def test_the_same_segment_listed_again_is_another_segment() -> None:
    assert [segment.sequence for segment in segments(*A, *A, *A)] == [0, 1, 2]
