"""A variant as an app sees it: what is declared, what is not, and nothing that must stay secret."""

from __future__ import annotations

import pytest
from ladders import cinema, master, stream_inf

from hlsdl.planning.asset_variant import AssetVariant, asset_variants
from hlsdl.planning.media_selection import media_selection_groups

MEDIA = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="{}",LANGUAGE="en",CHANNELS="{}",SAMPLE-RATE={},URI="{}.m3u8"\n'


def row(**attributes: str) -> AssetVariant:
    return asset_variants(master("#EXTM3U\n" + stream_inf(1000, "v.m3u8", **attributes)))[0]


def with_sound(*channels: str) -> AssetVariant:
    media = "".join(MEDIA.format(n, one, 48_000 * (n + 1), n) for n, one in enumerate(channels))
    return asset_variants(master("#EXTM3U\n" + media + stream_inf(1, "v.m3u8", AUDIO='"a"')))[0]


def test_a_full_row_says_everything() -> None:
    one = row(
        AVERAGE_BANDWIDTH="900",
        SCORE="1.5",
        CODECS='"hvc1.2.4.L123.B0,mp4a.40.2,stpp.ttml.im1t"',
        SUPPLEMENTAL_CODECS='"dvh1.08.07/db4h"',
        RESOLUTION="1920x1080",
        FRAME_RATE="50.000",
        VIDEO_RANGE="PQ",
        REQ_VIDEO_LAYOUT='"CH-STEREO/PROJ-HEQU,CH-MONO"',
        PATHWAY_ID='"B"',
        STABLE_VARIANT_ID='"x"',
    )
    assert (one.id, one.index, one.peak_bit_rate, one.average_bit_rate) == ("x", 0, 1000, 900)
    video = one.video_attributes
    assert video is not None
    assert (video.video_range, video.codec_types, video.presentation_size) == ("PQ", ("hvc1", "dvh1"), (1920, 1080))
    assert video.nominal_frame_rate == 50
    assert [layout.stereo_view_components for layout in video.video_layout_attributes] == [("left", "right"), ()]
    assert video.video_layout_attributes[0].specifiers == ("CH-STEREO", "PROJ-HEQU")
    assert one.audio_attributes is not None
    assert one.audio_attributes.format_ids == ("mp4a",)
    assert one.attribute("video_layout") == ("CH-STEREO", "PROJ-HEQU", "CH-MONO")
    assert (one.attribute("pathway"), one.attribute("score"), one.attribute("stable_id")) == ("B", 1.5, "x")


def test_a_bare_row_declares_next_to_nothing() -> None:
    one = row()
    assert (one.average_bit_rate, one.video_attributes, one.audio_attributes) == (None, None, None)
    undeclared = ("average_bit_rate", "width", "height", "frame_rate", "score", "stable_id", "channels", "sample_rate")
    assert [one.attribute(name) for name in undeclared] == [None] * len(undeclared)
    assert [one.attribute(name) for name in ("binaural", "immersive", "downmix")] == [False] * 3
    assert (one.attribute("codecs"), one.attribute("language")) == ((), ())
    assert (one.attribute("pathway"), one.attribute("video_range")) == (".", "SDR")
    assert one.attribute("video_layout") == ("CH-MONO", "PROJ-RECT")


def test_video_without_a_range_or_a_size_has_the_values_that_apple_gives_it() -> None:
    video = row(CODECS='"avc1.64001e"').video_attributes
    assert video is not None
    assert (video.video_range, video.presentation_size, video.nominal_frame_rate) == ("SDR", (0, 0), None)
    assert video.video_layout_attributes == ()


def test_a_row_of_sound_alone_has_no_range_and_no_layout() -> None:
    one = row(CODECS='"mp4a.40.2"')
    assert one.video_attributes is None
    assert (one.attribute("video_range"), one.attribute("video_layout")) == (None, ())


@pytest.mark.parametrize(
    ("channels", "count", "words"),
    [
        ("2", 2, []),
        ("6", 6, []),
        ("16/JOC", 16, []),
        ("2/-/BINAURAL", 2, ["binaural"]),
        ("2/-/BINAURAL,IMMERSIVE", 2, ["binaural", "immersive"]),
        ("2/-/DOWNMIX", 2, ["downmix"]),
        ("x", None, []),
    ],
)
def test_channels_say_how_many_and_of_which_kind(channels: str, count: int | None, words: list[str]) -> None:
    one = with_sound(channels)
    assert one.attribute("channels") == count
    assert [name for name in ("binaural", "immersive", "downmix") if one.attribute(name)] == words


def test_the_group_counts_by_its_best_and_an_option_by_itself() -> None:
    one = with_sound("2/-/BINAURAL", "6")
    assert (one.attribute("channels"), one.attribute("sample_rate"), one.attribute("binaural")) == (6, 96_000, True)
    assert one.attribute("channels", "en/0") == 2
    assert (one.attribute("sample_rate", "en/1"), one.attribute("binaural", "en/1")) == (96_000, False)
    assert (one.attribute("channels", "fr/0"), one.attribute("binaural", "fr/0")) == (None, False)


def test_attributes_of_an_option_are_those_of_its_rendition_in_this_variant_s_group() -> None:
    playlist = master(cinema())
    english = media_selection_groups(playlist)[0].options[0]
    stereo, surround = asset_variants(playlist)[:2]
    assert stereo.audio_attributes is not None
    assert surround.audio_attributes is not None
    found = stereo.audio_attributes.rendition_specific_attributes(english)
    assert found is not None
    assert (found.channel_count, found.sample_rate, found.is_downmix) == (2, None, False)
    assert surround.audio_attributes.rendition_specific_attributes(english) is None


def test_rows_keep_the_playlist_s_order_and_tell_no_address() -> None:
    rows = asset_variants(master(cinema(), url="https://films.test/a/master.m3u8?token=secret"))
    assert [one.index for one in rows] == list(range(len(rows)))
    assert "films.test" not in repr(rows)
    assert "1920x1080" in repr(rows)
