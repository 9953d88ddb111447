"""The bandwidth of a variant is that of everything that plays with it: an estimate counts nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ladders import CINEMA_GROUPS, VIDEO, cinema, ladder, master, stream_inf

import hlsdl
from hlsdl.planning.bandwidths import Bandwidths
from hlsdl.planning.plan import make_plan
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import TYPICAL_BANDWIDTH, StreamSource, select
from hlsdl.playlist.models import MediaPlaylist, MultivariantPlaylist
from hlsdl.playlist.parsing import parse_playlist

USUAL = TYPICAL_BANDWIDTH["audio"]
AUDIO = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="{}",URI="{}"\n'


def sources(offered: MultivariantPlaylist, **wishes: object) -> list[StreamSource]:
    return list(select(offered, Preferences(**wishes)).streams)  # type: ignore[arg-type]


def own(offered: MultivariantPlaylist) -> int:
    return Bandwidths.of(offered).own(sources(offered)[0])


def test_picture_and_sound_together_are_what_the_variant_declares() -> None:
    offered = master(ladder())
    bandwidths = Bandwidths.of(offered)
    for name, _, average, *_ in VIDEO:
        video = next(one for one in offered.variants if name in one.uri and one.audio == "aac")
        source = StreamSource(id="0-X-1", kind="video", url=video.uri, bandwidth=1, group="aac")
        sound = StreamSource(id="1-X-0", kind="audio", url="https://films.test/a", group="aac")
        assert bandwidths.own(source) + bandwidths.usual(sound) == video.average_bandwidth
        assert bandwidths.own(source) == average


def test_what_better_sound_takes_is_the_difference_of_its_variants() -> None:
    bandwidths = Bandwidths.of(master(cinema()))
    told = {
        group: bandwidths.usual(StreamSource(id="1-X-0", kind="audio", url="u", group=group))
        for group, *_ in CINEMA_GROUPS
    }
    assert told == {group: bits for group, _, bits in CINEMA_GROUPS}


def test_sound_takes_no_more_than_half_of_a_small_variant() -> None:
    offered = master(AUDIO.format("English", "en.m3u8") + stream_inf(80_000, "v.m3u8", AUDIO='"a"'))
    (video, sound), bandwidths = sources(offered), Bandwidths.of(offered)
    assert (bandwidths.own(video), bandwidths.usual(sound)) == (40_000, 40_000)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n" + stream_inf(800_000, "v.m3u8"),
        AUDIO.replace(',URI="{}"', "").format("English") + stream_inf(800_000, "v.m3u8", AUDIO='"a"'),
        AUDIO.format("English", "v.m3u8") + stream_inf(800_000, "v.m3u8", AUDIO='"a"'),
    ],
    ids=["no group", "the sound is inside", "the variant is the sound"],
)
def test_a_variant_with_its_sound_inside_is_all_that_it_declares(text: str) -> None:
    assert own(master(text)) == 800_000


def test_where_nothing_is_declared_everything_is_a_guess() -> None:
    offered = master(AUDIO.format("English", "en.m3u8") + stream_inf(0, "v.m3u8", AUDIO='"a"'))
    (video, sound), bandwidths = sources(offered), Bandwidths.of(offered)
    assert (bandwidths.own(video), bandwidths.usual(sound)) == (0, USUAL)
    assert Bandwidths.of(None).usual(video) == TYPICAL_BANDWIDTH["video"]


def test_peaks_are_compared_with_peaks_where_an_average_is_missing() -> None:
    offered = master(
        AUDIO.format("English", "en.m3u8")
        + stream_inf(900_000, "v.m3u8", AUDIO='"a"', AVERAGE_BANDWIDTH="500000")
        + stream_inf(800_000, "w.m3u8", AUDIO='"a"')
    )
    bandwidths = Bandwidths.of(offered)
    assert {bandwidths.own(one) for one in sources(offered, variants="all") if one.kind == "video"} == {
        900_000 - USUAL,
        800_000 - USUAL,
    }


class Counted(tuple[Any, ...]):
    """What a playlist lists, which knows how often somebody went through it."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        self.times += 1
        return super().__iter__()


def test_variants_and_renditions_are_gone_through_no_more_often_for_more_streams() -> None:
    media = parse_playlist(
        b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n", "https://films.test/a"
    )
    assert isinstance(media, MediaPlaylist)
    offered = master(cinema())
    every = sources(offered, variants="all", audio="all")

    def looks(streams: list[StreamSource]) -> int:
        variants, renditions = Counted(offered.variants), Counted(offered.renditions)
        listed = replace(offered, variants=variants, renditions=renditions)
        assert make_plan([(one, media) for one in streams], listed).estimate().bytes > 0
        return variants.times + renditions.times

    assert looks(every) == looks(every[:1])


@pytest.mark.parametrize(
    "wishes",
    [{}, {"audio": "all"}, {"audio": "none"}, {"variants": "all"}, {"multichannel": False}, {"lossless": True}],
)
async def test_an_estimate_is_near_what_is_stored(wishes: dict[str, object], film: Path, tmp_path: Path) -> None:
    source = film / "master.m3u8"
    bundle = await hlsdl.fetch(source, output=tmp_path, **wishes)
    planned = await hlsdl.plan(source, **wishes)
    assert planned.bytes == pytest.approx(bundle.bytes, rel=0.15)
    assert planned.bytes == sum(one["bytes"] for one in planned.document()["streams"])
