"""From playlists to the objects to fetch."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from decimal import Decimal
from posixpath import splitext
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.planning import naming
from hlsdl.planning.plan import LEAST_SEGMENT_LIMIT, MOST_SEGMENT_BYTES, DownloadPlan, Resource, make_plan
from hlsdl.planning.selection import TYPICAL_BANDWIDTH, StreamSource, select_media
from hlsdl.playlist.models import ByteRange, MediaPlaylist
from hlsdl.playlist.parsing import parse_playlist

URL = "https://films.test/v/index.m3u8"


def media(body: str, url: str = URL) -> MediaPlaylist:
    playlist = parse_playlist(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n{body}\n#EXT-X-ENDLIST\n".encode(), url)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def plan_of(body: str, **source: object) -> DownloadPlan:
    playlist = media(body)
    stream = StreamSource(id="0-X-1", kind="video", url=URL, **source)  # type: ignore[arg-type]
    return make_plan([(stream, playlist)])


def test_segments_are_named_by_media_sequence_with_a_true_extension() -> None:
    plan = plan_of("#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\na.ts?x=1\n#EXTINF:4,\nb.php?y=../../etc")
    assert [one.path for one in plan.resources] == ["0-X-1/000000007.ts", "0-X-1/000000008.ts"]


def test_a_planned_segment_is_a_whole_and_frozen_resource() -> None:
    """Resources are written field by field and become resources at the end: none is forgotten, and none stays open."""
    (planned,) = plan_of("#EXTINF:4,\na.ts").resources
    assert type(planned) is Resource
    assert replace(planned) == planned
    with pytest.raises(FrozenInstanceError):
        planned.path = "b"  # type: ignore[misc]


def test_neighbours_with_other_keys_have_blocks_of_their_own() -> None:
    """What is encrypted whole comes in blocks of 16 bytes, and only that, in whatever order the keys change."""
    whole, samples, clear = (f"#EXT-X-KEY:METHOD={key}\n" for key in ('AES-128,URI="k"', 'SAMPLE-AES,URI="k"', "NONE"))
    one = "#EXTINF:4,\n"
    body = f"{one}a.ts\n{whole}{one}b.ts\n{one}c.ts\n{samples}{one}d.ts\n{whole}{one}e.ts\n{clear}{one}f.ts"
    assert [planned.block for planned in plan_of(body).resources] == [1, 16, 16, 1, 16, 1]


def test_an_init_section_is_stored_once_and_named_after_the_first_segment_it_applies_to() -> None:
    plan = plan_of(
        '#EXT-X-MAP:URI="i.mp4"\n#EXTINF:4,\na.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="j.mp4"\n#EXTINF:4,\nb.m4s\n'
        '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="i.mp4"\n#EXTINF:4,\nc.m4s'
    )
    assert [one.path.rpartition("/")[2] for one in plan.resources] == [
        "000000000.init.mp4",
        "000000000.m4s",
        "000000001.init.mp4",
        "000000001.m4s",
        "000000002.m4s",
    ]


def test_a_segment_listed_again_is_stored_once() -> None:
    plan = plan_of("#EXTINF:4,\nbip.ts\n#EXTINF:4,\nbip.ts\n#EXTINF:4,\nbop.ts")
    assert plan.segments == 2
    files = plan.streams[0].files
    assert [files[one.line] for one in plan.streams[0].playlist.segments] == [
        "000000000.ts",
        "000000000.ts",
        "000000002.ts",
    ]


def test_each_byte_range_is_an_object_of_its_own_and_the_estimate_is_exact() -> None:
    plan = plan_of("#EXTINF:4,\n#EXT-X-BYTERANGE:100@50\na.mp4\n#EXTINF:4,\n#EXT-X-BYTERANGE:60\na.mp4")
    assert [one.byte_range for one in plan.resources] == [
        ByteRange(offset=50, length=100),
        ByteRange(offset=150, length=60),
    ]
    assert [one.limit for one in plan.resources] == [100, 60]
    assert (plan.estimate().bytes, plan.estimate().is_exact) == (160, True)


def test_a_gap_is_never_fetched() -> None:
    plan = plan_of("#EXTINF:4,\na.ts\n#EXT-X-GAP\n#EXTINF:4,\nb.ts\n#EXTINF:4,\nc.ts")
    assert [one.sequence for one in plan.resources] == [0, 2]
    assert plan.streams[0].gaps == 1


def test_an_init_section_that_only_gaps_have_is_not_fetched() -> None:
    """It need not be there either."""
    plan = plan_of(
        '#EXTINF:4,\na.ts\n#EXT-X-MAP:URI="i.mp4"\n#EXT-X-GAP\n#EXTINF:4,\nb.m4s\n'
        '#EXT-X-MAP:URI="j.mp4"\n#EXT-X-GAP\n#EXTINF:4,\nc.m4s\n#EXTINF:4,\nd.m4s'
    )
    assert [one.url.rpartition("/")[2] for one in plan.resources] == ["a.ts", "j.mp4", "d.m4s"]


def test_each_distinct_identity_key_is_fetched_once_and_drm_keys_never() -> None:
    plan = plan_of(
        '#EXT-X-KEY:METHOD=AES-128,URI="k1"\n#EXTINF:4,\na.ts\n#EXT-X-KEY:METHOD=AES-128,URI="k2"\n#EXTINF:4,\nb.ts\n'
        '#EXT-X-KEY:METHOD=AES-128,URI="k1"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.x"\n'
        '#EXTINF:4,\nc.ts\n#EXT-X-KEY:METHOD=AES-128,URI="data:text/plain;base64,MTIzNDU2Nzg5MDEyMzQ1Ng=="\n#EXTINF:4,\nd.ts'
    )
    assert [one.url.rpartition("/")[2] for one in plan.keys] == ["k1", "k2"]
    assert len({one.path for one in plan.keys}) == 2
    assert all(one.path.startswith("keys/") and one.limit == 16 for one in plan.keys)


def test_work_is_in_play_order_across_streams() -> None:
    video = media("#EXTINF:4,\nv0.ts\n#EXTINF:4,\nv1.ts\n#EXTINF:4,\nv2.ts")
    audio = media("#EXTINF:6,\na0.aac\n#EXTINF:6,\na1.aac", "https://films.test/a/index.m3u8")
    plan = make_plan(
        [
            (StreamSource(id="V", kind="video", url="v"), video),
            (StreamSource(id="A", kind="audio", url="a"), audio),
        ]
    )
    assert [one.url.rpartition("/")[2] for one in plan.resources] == ["v0.ts", "a0.aac", "v1.ts", "a1.aac", "v2.ts"]


def test_the_size_limit_of_a_segment_follows_the_declared_bitrate_between_a_floor_and_a_ceiling() -> None:
    def limit(bandwidth: int) -> int:
        return plan_of("#EXTINF:4,\na.ts", bandwidth=bandwidth).resources[0].limit

    assert limit(100_000) == LEAST_SEGMENT_LIMIT
    assert limit(16_000_000) == 20 * 16_000_000 * 4 // 8
    assert limit(10**12) == MOST_SEGMENT_BYTES


def test_the_estimate_uses_the_segments_own_bitrates_first() -> None:
    plan = plan_of("#EXT-X-BITRATE:800\n#EXTINF:5,\na.ts\n#EXTINF:5,\nb.ts", bandwidth=9_000_000)
    assert (plan.estimate().bytes, plan.estimate().is_exact) == (1_000_000, False)


def test_the_estimate_says_how_much_of_it_is_a_guess() -> None:
    body = "#EXTINF:4,\na.ts\n#EXT-X-BITRATE:800\n#EXTINF:4,\nb.ts"
    guess = TYPICAL_BANDWIDTH["video"] * 4 // 8
    assert (plan_of(body).estimate().bytes, plan_of(body).estimate().guessed) == (guess + 400_000, guess)
    assert plan_of(body, bandwidth=1_000_000).estimate().guessed == 0
    assert plan_of(body, average_bandwidth=1_000_000).estimate().guessed == 0


def test_the_same_playlist_gives_the_same_plan() -> None:
    """A second run finds what the first one stored."""
    body = '#EXT-X-MAP:URI="i.mp4"\n#EXTINF:4,\na.m4s\n#EXTINF:4.5,\nb.m4s'
    assert plan_of(body) == plan_of(body)
    assert plan_of(body).duration == Decimal("8.5")


def test_a_media_playlist_as_source_is_its_own_stream() -> None:
    selection = select_media(media("#EXTINF:4,\na.ts"), "https://example.com/v.m3u8")
    assert [one.kind for one in selection.streams] == ["video"]
    assert selection.streams[0].id.startswith("0-")


@given(
    st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["http", "https", "file"]),
        st.sampled_from(["a", "a.ts", "[::1]", ""]),
        st.text(alphabet="/.ab:;%TS", max_size=12).map(lambda path: f"/{path}" if path else ""),
        st.text(alphabet="?#/.ts", max_size=6),
    )
)
def test_the_extension_of_a_url_is_what_the_standard_library_finds(url: str) -> None:
    try:
        expected = splitext(urlsplit(url).path)[1][1:].lower()
    except ValueError:
        expected = ""
    assert naming.extension_of(url) == expected
