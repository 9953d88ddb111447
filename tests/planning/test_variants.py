"""The numbered rules of variant selection."""

from __future__ import annotations

import pytest
from ladders import ladder, master, stream_inf

from hlsdl.errors import SelectionError
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.variants import choose_variants

PLAIN = "#EXTM3U\n" + "".join(
    stream_inf(rate, f"{rate}.m3u8", RESOLUTION=size)
    for rate, size in ((800_000, "640x360"), (2_400_000, "1280x720"), (4_800_000, "1920x1080"))
)


def chosen(text: str, **wishes: object) -> str:
    """The URI of the one variant chosen, without its folder."""
    result = choose_variants(master(text), Preferences(**wishes))  # type: ignore[arg-type]
    assert len(result.variants) == 1
    return result.variants[0].uri.rpartition("/")[2]


@pytest.mark.parametrize(
    ("wishes", "uri"),
    [
        pytest.param({}, "4800000.m3u8", id="nothing given: the largest"),
        pytest.param({"min_bitrate": 2_000_000}, "2400000.m3u8", id="floor: the lowest at or above"),
        pytest.param({"min_bitrate": 2_400_000}, "2400000.m3u8", id="floor met exactly"),
        pytest.param({"min_bitrate": 2_400_001}, "4800000.m3u8", id="one bit above it: the next"),
        pytest.param({"min_bitrate": 99_000_000}, "4800000.m3u8", id="floor nobody reaches: the highest, no error"),
        pytest.param({"min_size": (1000, 500)}, "2400000.m3u8", id="size floor: the smallest with both sides"),
        pytest.param({"min_size": (1280, 721)}, "4800000.m3u8", id="one side too small does not count"),
        pytest.param({"min_size": (9000, 9000)}, "4800000.m3u8", id="size nobody reaches: the largest"),
        pytest.param({"max_bitrate": 3_000_000}, "2400000.m3u8", id="ceiling"),
        pytest.param({"max_size": (1280, 720)}, "2400000.m3u8", id="size ceiling, inclusive"),
        pytest.param({"min_bitrate": 1, "min_size": (1280, 720)}, "2400000.m3u8", id="both floors: least of both"),
        pytest.param(
            {"min_bitrate": 700_000, "min_size": (9000, 9000)}, "800000.m3u8", id="both impossible: size is relaxed"
        ),
        pytest.param({"variant": "0", "min_bitrate": 9_000_000}, "800000.m3u8", id="a named one is taken as it is"),
    ],
)
def test_floors_and_ceilings_choose_as_the_contract_says(wishes: dict[str, object], uri: str) -> None:
    assert chosen(PLAIN, **wishes) == uri


@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param({"max_bitrate": 799_999}, id="ceiling below all"),
        pytest.param({"max_size": (639, 360)}, id="size ceiling below all"),
        pytest.param({"codecs": ("av01",)}, id="codec that is not there"),
        pytest.param({"variant": "3"}, id="index past the end"),
        pytest.param({"variant": "no-such-id"}, id="unknown id"),
    ],
)
def test_a_filter_that_leaves_nothing_is_a_selection_error(wishes: dict[str, object]) -> None:
    with pytest.raises(SelectionError) as caught:
        chosen(PLAIN, **wishes)
    assert caught.value.code == 6
    assert caught.value.hint


def test_average_basis_compares_average_bandwidth() -> None:
    text = "#EXTM3U\n" + stream_inf(3_000_000, "a.m3u8", AVERAGE_BANDWIDTH="1000000") + stream_inf(4_000_000, "b.m3u8")
    assert chosen(text, min_bitrate=2_000_000) == "a.m3u8"
    assert chosen(text, min_bitrate=2_000_000, bitrate_basis="average") == "b.m3u8"


def test_hdr_is_preferred_and_can_be_declined() -> None:
    assert chosen(ladder()) == "pq-2160.m3u8"
    assert chosen(ladder(), hdr=False) == "sdr-1080.m3u8"
    assert chosen(ladder(), min_bitrate=1_000_000) == "hlg-1080.m3u8"


def test_hdr_comes_before_the_floor_because_it_narrows_the_candidates_first() -> None:
    """The lowest bitrate above 1 Mbit/s is SDR; HDR was preferred, so the lowest HDR one wins."""
    result = choose_variants(master(ladder()), Preferences(min_bitrate=1_000_000))
    assert result.variants[0].video_range == "HLG"


def test_the_primary_choice_is_lossy_stereo() -> None:
    result = choose_variants(master(ladder()), Preferences())
    assert result.variants[0].audio == "aac"


def test_lossless_changes_the_audio_class_only() -> None:
    result = choose_variants(master(ladder()), Preferences(lossless=True))
    assert (result.variants[0].audio, result.variants[0].video_range) == ("lossless", "PQ")


def test_multichannel_is_primary_when_nothing_else_is_there() -> None:
    text = ladder(groups=(("surround", "ac-3", 384_000), ("atmos", "ec-3", 768_000)))
    assert choose_variants(master(text), Preferences()).variants[0].audio in ("surround", "atmos")


def test_lossless_stereo_comes_before_lossy_multichannel() -> None:
    text = ladder(groups=(("surround", "ac-3", 384_000), ("lossless", "alac", 900_000)))
    assert choose_variants(master(text), Preferences()).variants[0].audio == "lossless"


def test_codec_filter_names_the_four_characters() -> None:
    assert chosen(ladder(), codecs=("avc1",)) == "sdr-1080.m3u8"
    assert chosen(ladder(), codecs=("hvc1",), min_bitrate=1) == "hlg-1080.m3u8"


def test_redundant_copies_count_as_one_variant_with_several_sources() -> None:
    text = (
        "#EXTM3U\n"
        + stream_inf(800_000, "https://one.test/v.m3u8", RESOLUTION="640x360")
        + stream_inf(800_000, "https://two.test/v.m3u8", RESOLUTION="640x360")
    )
    result = choose_variants(master(text), Preferences(variants="all"))
    assert [one.uri for one in result.variants] == ["https://one.test/v.m3u8"]
    assert [one.uri for one in result.copies[0]] == ["https://two.test/v.m3u8"]


def test_the_steered_pathway_is_the_one_that_stays() -> None:
    text = (
        '#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI="https://s.test/x",PATHWAY-ID="B"\n'
        + stream_inf(800_000, "a/v.m3u8", PATHWAY_ID='"A"')
        + stream_inf(800_000, "b/v.m3u8", PATHWAY_ID='"B"')
    )
    assert choose_variants(master(text), Preferences()).variants[0].pathway == "B"


def test_two_streams_of_one_host_with_equal_attributes_are_not_copies() -> None:
    text = "#EXTM3U\n" + stream_inf(1, "left.m3u8") + stream_inf(1, "right.m3u8")
    assert len(choose_variants(master(text), Preferences(variants="all")).variants) == 2


def test_ties_are_broken_by_score_then_frame_rate_then_order() -> None:
    score = "#EXTM3U\n" + stream_inf(1, "a.m3u8", SCORE="1.0") + stream_inf(1, "b.m3u8", SCORE="2.0")
    rate = "#EXTM3U\n" + stream_inf(1, "a.m3u8", FRAME_RATE="25.000") + stream_inf(1, "b.m3u8", FRAME_RATE="50.000")
    order = "#EXTM3U\n" + stream_inf(1, "a.m3u8") + stream_inf(1, "b.m3u8")
    assert [chosen(text) for text in (score, rate, order)] == ["b.m3u8", "b.m3u8", "a.m3u8"]


def test_an_audio_only_fallback_is_not_taken_for_the_film() -> None:
    text = "#EXTM3U\n" + stream_inf(64_000, "a.m3u8", CODECS='"mp4a.40.2"') + PLAIN.removeprefix("#EXTM3U\n")
    assert chosen(text, min_bitrate=50_000) == "800000.m3u8"
    assert chosen(text, max_bitrate=100_000) == "a.m3u8"


def test_every_rejected_variant_has_a_reason() -> None:
    result = choose_variants(master(ladder()), Preferences(min_bitrate=2_000_000))
    assert len(result.choice.rejected) == len(master(ladder()).variants) - 1
    assert all(one.because for one in result.choice.rejected)
    assert "lowest bitrate at or above 2.0 Mbit/s" in result.choice.because
