"""What of an asset is loaded: exact, with gaps when there are gaps, over all the streams that a player needs."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hlsdl.planning.plan import DownloadPlan, make_plan
from hlsdl.planning.selection import StreamSource
from hlsdl.playlist.models import MediaPlaylist
from hlsdl.playlist.parsing import parse_playlist
from hlsdl.tasks.loading import TimeRange, expected_range, is_complete, loaded_ranges, newly_loaded


def playlist(durations: list[str], name: str, gaps: frozenset[int] = frozenset()) -> MediaPlaylist:
    lines = ["#EXTM3U", "#EXT-X-VERSION:8", "#EXT-X-TARGETDURATION:99"]
    for number, duration in enumerate(durations):
        lines += ["#EXT-X-GAP"] if number in gaps else []
        lines += [f"#EXTINF:{duration},", f"{name}{number}.ts"]
    parsed = parse_playlist("\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode(), f"https://films.test/{name}.m3u8")
    assert isinstance(parsed, MediaPlaylist)
    return parsed


def plan(**streams: list[str]) -> DownloadPlan:
    return make_plan(
        [
            (
                StreamSource(id=f"0-{kind.upper()}-1", kind=kind, url=f"https://films.test/{kind}.m3u8"),
                playlist(durations, kind),
            )
            for kind, durations in streams.items()
        ]
    )


def paths(planned: DownloadPlan, kind: str) -> list[str]:
    stream = next(one for one in planned.streams if one.source.kind == kind)
    return [resource.path for resource in stream.resources]


def spans(ranges: tuple[TimeRange, ...]) -> list[tuple[str, str]]:
    return [(str(one.start), str(one.end)) for one in ranges]


def test_nothing_is_loaded_before_anything_is_stored() -> None:
    assert loaded_ranges(plan(video=["4", "4"]), []) == ()


def test_durations_are_exact_decimals() -> None:
    planned = plan(video=["0.1", "0.1", "0.1"])
    assert spans(loaded_ranges(planned, paths(planned, "video"))) == [("0", "0.3")]


def test_a_hole_makes_two_ranges() -> None:
    planned = plan(video=["4", "4", "4"])
    first, _, third = paths(planned, "video")
    assert spans(loaded_ranges(planned, {first, third})) == [("0", "4"), ("8", "12")]


def test_a_moment_is_loaded_when_picture_and_sound_are() -> None:
    planned = plan(video=["4", "4"], audio=["3", "3", "2"])
    stored = {*paths(planned, "video")[:1], *paths(planned, "audio")[:1]}
    assert spans(loaded_ranges(planned, stored)) == [("0", "3")]
    assert spans(loaded_ranges(planned, {*stored, *paths(planned, "video"), paths(planned, "audio")[2]})) == [
        ("0", "3"),
        ("6", "8"),
    ]


def test_a_shorter_stream_does_not_hold_back_what_comes_after_its_end() -> None:
    planned = plan(video=["4", "4"], subtitles=["4"])
    everything = {*paths(planned, "video"), *paths(planned, "subtitles")}
    assert loaded_ranges(planned, everything) == (expected_range(planned),)
    assert spans(loaded_ranges(planned, paths(planned, "video"))) == [("4", "8")]


def test_thumbnails_are_not_waited_for() -> None:
    planned = plan(video=["4"], images=["4"])
    assert spans(loaded_ranges(planned, paths(planned, "video"))) == [("0", "4")]


def test_a_gap_of_the_source_counts_as_loaded() -> None:
    source = StreamSource(id="0-VIDEO-1", kind="video", url="https://films.test/video.m3u8")
    planned = make_plan([(source, playlist(["4", "4"], "video", gaps=frozenset({1})))])
    assert spans(loaded_ranges(planned, paths(planned, "video"))) == [("0", "8")]


def test_one_selection_can_be_loaded_before_the_others() -> None:
    planned = plan(video=["4"], audio=["4"])
    stored = paths(planned, "video")
    video = planned.streams[0].id
    assert spans(loaded_ranges(planned, stored, {video})) == [("0", "4")]
    assert loaded_ranges(planned, stored) == ()
    assert is_complete(planned, stored, {video})
    assert not is_complete(planned, stored, {one.id for one in planned.streams})


MOMENTS = st.lists(st.booleans(), min_size=1, max_size=12)


@given(MOMENTS, MOMENTS)
def test_what_is_new_is_now_without_before(before: list[bool], now: list[bool]) -> None:
    planned = plan(video=["2"] * max(len(before), len(now)))
    names = paths(planned, "video")
    earlier = {name for name, there in zip(names, before, strict=False) if there}
    later = earlier | {name for name, there in zip(names, now, strict=False) if there}
    new = newly_loaded(loaded_ranges(planned, earlier), loaded_ranges(planned, later))
    assert sum((one.duration for one in new), Decimal(0)) == 2 * len(later - earlier)
    assert newly_loaded(loaded_ranges(planned, later), loaded_ranges(planned, later)) == ()
