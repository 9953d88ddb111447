"""A multivariant playlist without any of its variants: renditions stand in for them."""

from __future__ import annotations

from ladders import ladder, master

from hlsdl.planning.local_playlists import local_multivariant_playlist
from hlsdl.planning.stand_ins import stand_ins
from hlsdl.playlist.models import MultivariantPlaylist

LADDER = master(ladder(only=("sdr-360", "sdr-720")))
BASE = "https://films.test/a/"


def local(source: MultivariantPlaylist, *names: str, rates: dict[str, tuple[int, int]] | None = None) -> str:
    playlists = {f"{BASE}{name}.m3u8": f"{name}/index.m3u8" for name in names}
    return local_multivariant_playlist(source, playlists, {}, rates)


def test_one_line_for_each_group_that_has_sound_says_nothing_of_the_picture() -> None:
    index = master(local(LADDER, "aac-en", "aac-fr", "ac3-fr"))
    assert [(one.uri.removeprefix(BASE), one.audio, one.codecs) for one in index.variants] == [
        ("aac-en/index.m3u8", "aac", ("mp4a.40.2",)),
        ("ac3-fr/index.m3u8", "surround", ("ac-3",)),
    ]
    for one in index.variants:
        assert (one.resolution, one.frame_rate, one.video_range, one.closed_captions) == (None, None, "SDR", None)
        assert one.average_bandwidth is None
        assert one.subtitles is None
    assert [one.name for one in index.renditions if one.default] == ["English", "Français 5.1"]


def test_subtitles_stay_with_the_sound() -> None:
    index = master(local(LADDER, "aac-en", "sub-de"))
    assert [one.subtitles for one in index.variants] == ["subs"]


def test_the_measured_bitrate_counts_where_there_is_one() -> None:
    text = local(LADDER, "aac-en", rates={f"{BASE}aac-en.m3u8": (130_000, 128_000)})
    assert "#EXT-X-STREAM-INF:BANDWIDTH=130000,CODECS=" in text


def test_a_stored_angle_stands_in_with_its_picture() -> None:
    angles = master(
        "#EXTM3U\n"
        '#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="v",NAME="Main",DEFAULT=YES,AUTOSELECT=YES\n'
        '#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="v",NAME="Side",AUTOSELECT=YES,URI="side.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,CODECS="avc1.64001e,mp4a.40.2",VIDEO="v"\nmain.m3u8\n'
    )
    (variant,) = master(local(angles, "side")).variants
    assert (variant.uri, variant.resolution) == (f"{BASE}side/index.m3u8", (640, 360))
    assert len(variant.codecs) == 2


def test_nothing_stands_in_while_a_variant_is_stored() -> None:
    index = master(local(LADDER, "sdr-360", "ac3-en"))
    assert {one.uri for one in index.variants} == {f"{BASE}sdr-360/index.m3u8"}
    assert stand_ins(LADDER, []) == {}
