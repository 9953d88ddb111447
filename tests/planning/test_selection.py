"""The whole choice, on a ladder with every range, several codecs, and stereo, 5.1, Atmos and lossless sound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ladders import cinema, ladder, master, stream_inf

import hlsdl
from hlsdl import VariantQualifier
from hlsdl.errors import SelectionError, UsageError
from hlsdl.planning.asset_variant import asset_variants
from hlsdl.planning.media_selection import media_selection_groups, select_automatically
from hlsdl.planning.naming import place_of
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.qualifiers import where_texts
from hlsdl.planning.selection import Selection, select
from hlsdl.playlist.models import MultivariantPlaylist
from hlsdl.playlist.parsing import parse_playlist

CINEMA = master(cinema())


def stored(selection: Selection, kind: str) -> list[str]:
    return [one.url.rpartition("/")[2].removesuffix(".m3u8") for one in selection.streams if one.kind == kind]


def summary(selection: Selection) -> tuple[list[str], list[str]]:
    """The video and the audio that is stored."""
    return stored(selection, "video"), stored(selection, "audio")


def chosen(text: str | None = None, **wishes: object) -> Selection:
    where = where_texts(wishes.pop("where", ()))  # type: ignore[arg-type]
    return select(CINEMA if text is None else master(text), Preferences(where=where, **wishes))  # type: ignore[arg-type]


def reason(selection: Selection) -> str:
    return selection.choices[0].because


RULES = [
    pytest.param({}, "dv-2160", ["aac-en", "atmos-en"], id="nothing given: highest, HDR, stereo and the best multichannel"),
    pytest.param({"min_bitrate": 5_000_000}, "hlg-1080", ["aac-en", "atmos-en"], id="the lowest at or above, of HDR"),
    pytest.param({"min_bitrate": 16_128_000}, "pq-2160", ["aac-en", "atmos-en"], id="met exactly"),
    pytest.param({"min_bitrate": 16_128_001}, "dv-2160", ["aac-en", "atmos-en"], id="one bit more"),
    pytest.param({"min_bitrate": 10**9}, "dv-2160", ["aac-en", "atmos-en"], id="nobody reaches it: the highest"),
    pytest.param({"min_bitrate": 12_128_000, "bitrate_basis": "average"}, "pq-2160", ["aac-en", "atmos-en"], id="average"),
    pytest.param({"min_bitrate": 700_000, "hdr": False}, "sdr-360", ["aac-en", "atmos-en"], id="the lowest SDR one"),
    pytest.param({"min_size": (1920, 1080)}, "hlg-1080", ["aac-en", "atmos-en"], id="the smallest with both sides"),
    pytest.param({"min_size": (1920, 1081)}, "dv-2160", ["aac-en", "atmos-en"], id="one side is not enough"),
    pytest.param({"min_size": (9000, 9000)}, "dv-2160", ["aac-en", "atmos-en"], id="size nobody has: the largest"),
    pytest.param({"min_size": (1280, 720), "min_bitrate": 4_000_000, "hdr": False}, "sdr-1080", ["aac-en", "atmos-en"], id="both floors"),
    pytest.param({"min_size": (9000, 9000), "min_bitrate": 1_000_000, "hdr": False}, "sdr-720", ["aac-en", "atmos-en"], id="both impossible: size is relaxed"),
    pytest.param({"hdr": False}, "sdr-1080", ["aac-en", "atmos-en"], id="SDR"),
    pytest.param({"multichannel": False}, "dv-2160", ["aac-en"], id="stereo alone"),
    pytest.param({"lossless": True}, "dv-2160", ["alac-en", "atmos-en"], id="lossless instead of lossy"),
    pytest.param({"lossless": True, "multichannel": False}, "dv-2160", ["alac-en"], id="lossless alone"),
    pytest.param({"max_bitrate": 3_000_000}, "sdr-720", ["aac-en", "atmos-en"], id="a ceiling"),
    pytest.param({"where": "peak_bit_rate > 265_000"}, "dv-2160", ["aac-en", "atmos-en"], id="Apple's sample keeps all: the best of them"),
    pytest.param({"where": "peak_bit_rate >= 5_000_000"}, "dv-2160", ["aac-en", "atmos-en"], id=">= alone is no nearest"),
    pytest.param({"where": "peak_bit_rate >= 5_000_000", "min_bitrate": 5_000_000}, "hlg-1080", ["aac-en", "atmos-en"], id=">= and the floor are"),
    pytest.param({"where": "peak_bit_rate < 5_000_000"}, "sdr-1080", ["aac-en", "atmos-en"], id="a predicate as a ceiling"),
    pytest.param({"where": hlsdl.video_range == "HLG"}, "hlg-1080", ["aac-en", "atmos-en"], id="a range"),
    pytest.param({"where": hlsdl.video_range == "SDR"}, "sdr-1080", ["aac-en", "atmos-en"], id="SDR although HDR is preferred"),
    pytest.param({"where": hlsdl.codecs.contains("av01")}, "av1-1080", ["aac-en", "atmos-en"], id="a codec"),
    pytest.param({"where": "'hvc1' in codecs"}, "pq-2160", ["aac-en", "atmos-en"], id="the best of a codec"),
    pytest.param({"where": "'alac' in codecs", "multichannel": False}, "dv-2160", ["alac-en"], id="lossless by format (WWDC21)"),
    pytest.param({"where": hlsdl.channels > 2}, "dv-2160", ["atmos-en"], id="multichannel as the primary choice"),
    pytest.param({"where": "channels == 6"}, "dv-2160", ["ac3-en"], id="5.1 and not Atmos"),
    pytest.param({"where": "channels >= 16"}, "dv-2160", ["atmos-en"], id="Atmos"),
    pytest.param({"where": ["height == 4320", "height == 720", "height == 360"]}, "sdr-720", ["aac-en", "atmos-en"], id="the first that matches"),
    pytest.param({"where": ["height == 4320", "sample_rate > 1"]}, "dv-2160", ["aac-en", "atmos-en"], id="none matches: automatic"),
    pytest.param({"where": VariantQualifier.minimum("presentation_size")}, "sdr-360", ["aac-en", "atmos-en"], id="a minimum"),
    pytest.param({"where": VariantQualifier.maximum(hlsdl.peak_bit_rate)}, "dv-2160", ["alac-en", "atmos-en"], id="a maximum, lossless with it"),
    pytest.param({"where": ["height == 4320", VariantQualifier.of_variant(asset_variants(CINEMA)[1])], "max_size": (1, 1), "codecs": ("xxxx",)}, "sdr-360", ["ac3-en"], id="an explicit variant is taken as it is"),
    pytest.param({"where": ["height == 720", VariantQualifier.of_variant(asset_variants(CINEMA)[1])]}, "sdr-720", ["aac-en", "atmos-en"], id="but only when its turn comes"),
    pytest.param({"where": "height == 4320", "variant": "1"}, "sdr-360", ["ac3-en"], id="a named one asks no qualifier"),
]  # fmt: skip


@pytest.mark.parametrize(("wishes", "video", "audio"), RULES)
def test_the_ladder_is_climbed_by_the_rules(wishes: dict[str, object], video: str, audio: list[str]) -> None:
    assert summary(chosen(**wishes)) == ([video], audio)


def test_the_reason_tells_which_qualifier_decided_or_that_none_did() -> None:
    told = reason(chosen(where=["height == 4320", "height <= 720"]))
    assert told.startswith("it satisfies `height <= 720`, and no variant satisfies `height == 4320`; ")
    none = reason(chosen(where=["height == 4320"]))
    assert none.startswith("no variant satisfies `height == 4320`, so the choice is automatic; ")
    explicit = chosen(where=VariantQualifier.of_variant(asset_variants(CINEMA)[1]))
    assert reason(explicit) == "it is #1, which a qualifier names"
    assert len(explicit.choices[0].rejected) == len(CINEMA.variants) - 1
    refused = {one.because for one in chosen(where="height <= 720").choices[0].rejected}
    assert "it does not satisfy `height <= 720`" in refused


def test_all_variants_are_those_that_the_qualifier_keeps() -> None:
    selection = chosen(where="height == 1080 and channels == 2 and not 'alac' in codecs", variants="all")
    assert stored(selection, "video") == ["sdr-1080", "hlg-1080", "av1-1080"]
    assert "it satisfies" in reason(selection)


def test_filters_after_a_qualifier_do_fail() -> None:
    with pytest.raises(SelectionError):
        chosen(where="height >= 1080", max_bitrate=1_000_000)


def test_a_text_that_is_no_qualifier_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        select(CINEMA, Preferences(where=("os.system('true')",)))


def beside(primary: Preferences, auxiliary: Preferences, text: str | None = None) -> Selection:
    """What the auxiliary wish takes when the primary one is chosen first."""
    playlist = CINEMA if text is None else master(text)
    videos = {one.uri for one in select(playlist, primary).variants}
    return select(playlist, auxiliary, videos=videos)


def test_an_auxiliary_wish_shares_the_video_that_is_there() -> None:
    primary = Preferences(hdr=False, multichannel=False)
    multichannel = Preferences(where=("channels > 2",), shares_video=True, multichannel=False)
    assert summary(beside(primary, multichannel)) == (["sdr-1080"], ["atmos-en"])
    assert summary(beside(primary, replace(multichannel, shares_video=False))) == (["dv-2160"], ["atmos-en"])


def test_a_qualifier_can_force_a_second_video() -> None:
    primary = Preferences(hdr=False)
    assert stored(beside(primary, Preferences(where=("height == 360",), shares_video=True)), "video") == ["sdr-360"]


def test_what_the_shared_video_is_not_paired_with_needs_another_one() -> None:
    text = ladder(groups=(("aac", "mp4a", 1),), only=("sdr-1080",)) + stream_inf(
        900_000, "small.m3u8", RESOLUTION="640x360", AUDIO='"surround"'
    )
    multichannel = Preferences(where=("channels > 2",), shares_video=True, multichannel=False)
    assert summary(beside(Preferences(), multichannel, text)) == (["small"], ["ac3-en"])


def test_without_multichannel_sound_the_auxiliary_wish_adds_nothing() -> None:
    text = ladder(groups=(("aac", "mp4a", 1),))
    primary = Preferences(hdr=False, multichannel=False)
    multichannel = Preferences(where=("channels > 2",), shares_video=True, multichannel=False)
    assert beside(primary, multichannel, text).streams == select(master(text), primary).streams


def test_the_copy_that_is_stored_already_is_the_one_that_is_shared() -> None:
    text = "#EXTM3U\n" + "".join(
        stream_inf(800_000, f"https://{host}.test/v.m3u8", RESOLUTION="64x36") for host in "ab"
    )
    auxiliary = select(master(text), Preferences(shares_video=True), videos=["https://b.test/v.m3u8"])
    assert [one.url for one in auxiliary.streams] == ["https://b.test/v.m3u8"]


GROUPS = media_selection_groups(CINEMA)
ENGLISH = select_automatically(GROUPS)
FRENCH = ENGLISH.with_option("audible", "fr/Français").with_option("legible", "de/Deutsch")


def test_several_media_selections_share_one_variant_and_its_video() -> None:
    both = Preferences(multichannel=False, media_selections=(ENGLISH.encode(), FRENCH.encode()))
    selection = select(CINEMA, both)
    assert summary(selection) == (["dv-2160"], ["aac-en", "aac-fr"])
    assert stored(selection, "subtitles") == ["sub-enf", "sub-de"]
    assert len(selection.variants) == 1
    audio = [one for one in selection.choices if one.what == "audio"]
    assert len(audio) == 2
    assert not {"aac/English", "aac/Français"} & {refused.id for one in audio for refused in one.rejected}


def test_one_media_selection_of_several_can_be_asked_for_alone() -> None:
    both = Preferences(multichannel=False, media_selections=(ENGLISH.encode(), FRENCH.encode()))
    parts = [select(CINEMA, both, only=one.encode()) for one in (ENGLISH, FRENCH)]
    assert [stored(one, "audio") for one in parts] == [["aac-en"], ["aac-fr"]]
    assert [stored(one, "subtitles") for one in parts] == [["sub-enf"], ["sub-de"]]
    united = {stream.id for stream in select(CINEMA, both).streams}
    assert {stream.id for part in parts for stream in part.streams} == united


def test_a_selection_alone_keeps_the_variant_of_all_of_them() -> None:
    """English exists lossless, French does not: with both the variant is lossy, and so is the English that is stored."""
    line = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{0}",NAME="{1}",LANGUAGE="{1}",URI="{0}-{1}.m3u8"\n'
    media = line.format("aac", "en") + line.format("aac", "fr") + line.format("alac", "en")
    rows = (stream_inf(n, "v.m3u8", AUDIO=f'"{g}"', CODECS=f'"avc1,{g}"') for n, g in ((1, "aac"), (2, "alac")))
    playlist = master("#EXTM3U\n" + media + "".join(rows))
    english = select_automatically(media_selection_groups(playlist))
    french = english.with_option("audible", "fr/fr")
    wish = Preferences(lossless=True, media_selections=(english.encode(), french.encode()))
    assert stored(select(playlist, wish), "audio") == ["aac-en", "aac-fr"]
    assert stored(select(playlist, wish, only=english.encode()), "audio") == ["aac-en"]
    assert stored(select(playlist, replace(wish, media_selections=(english.encode(),))), "audio") == ["alac-en"]


def test_multichannel_comes_beside_what_was_selected() -> None:
    selection = select(CINEMA, Preferences(media_selections=(FRENCH.encode(),)))
    assert stored(selection, "audio") == ["aac-fr", "ac3-fr"]


def test_what_a_selection_leaves_out_is_automatic_and_nothing_is_nothing() -> None:
    assert stored(select(CINEMA, Preferences(media_selections=((),))), "subtitles") == ["sub-enf"]
    none = ENGLISH.with_option("legible", None)
    assert stored(select(CINEMA, Preferences(media_selections=(none.encode(),))), "subtitles") == []
    captions = ENGLISH.with_option("legible", "en/CC1/in=CC1")
    assert stored(select(CINEMA, Preferences(media_selections=(captions.encode(),))), "subtitles") == []


def test_the_variant_is_one_that_has_what_was_selected() -> None:
    """Atmos is an option of its own here, and only the group `atmos` has it."""
    atmos = ENGLISH.with_option("audible", "en/English Atmos")
    selection = select(CINEMA, Preferences(media_selections=(atmos.encode(),)))
    assert selection.variants[0].audio == "atmos"
    assert summary(selection) == (["dv-2160"], ["atmos-en"])


def test_options_of_two_groups_are_found_beside_one_video() -> None:
    atmos = ENGLISH.with_option("audible", "en/English Atmos")
    both = Preferences(multichannel=False, media_selections=(ENGLISH.encode(), atmos.encode()))
    assert summary(select(CINEMA, both)) == (["dv-2160"], ["aac-en", "atmos-en"])


def test_the_auxiliary_multichannel_takes_the_same_language_where_names_differ() -> None:
    primary = Preferences(multichannel=False, media_selections=(FRENCH.encode(),))
    auxiliary = replace(primary, where=("channels == 6",), shares_video=True)
    assert summary(beside(primary, auxiliary)) == (["dv-2160"], ["ac3-fr"])


def test_the_auxiliary_wish_takes_a_group_that_has_the_language() -> None:
    """Atmos has more channels, and no French."""
    for primary in (Preferences(media_selections=(FRENCH.encode(),)), Preferences(audio=("fr",))):
        auxiliary = replace(primary, where=("channels > 2",), shares_video=True, multichannel=False)
        assert summary(beside(primary, auxiliary)) == (["dv-2160"], ["ac3-fr"])


def test_an_option_that_is_not_there_is_a_selection_error_that_names_those_that_are() -> None:
    gone = Preferences(media_selections=((("audible", "ja/日本語"),),))
    with pytest.raises(SelectionError, match="`ja/日本語`") as caught:
        select(CINEMA, gone)
    assert "`en/English`" in str(caught.value.hint)


def test_another_angle_is_stored_when_it_is_selected() -> None:
    media = "".join(
        f'#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="v",NAME="{name}",DEFAULT={default},URI="{name}.m3u8"\n'
        for name, default in (("front", "YES"), ("back", "NO"))
    )
    playlist = master("#EXTM3U\n" + media + stream_inf(1, "v.m3u8", VIDEO='"v"'))
    selection = select_automatically(media_selection_groups(playlist)).with_option("visual", "und/back")
    assert stored(select(playlist, Preferences()), "video") == ["v", "front"]
    assert stored(select(playlist, Preferences(media_selections=(selection.encode(),))), "video") == ["v", "back"]


def test_what_cannot_be_read_is_no_defect_of_ours() -> None:
    """A rendition at no address, of more channels than anybody can count."""
    text = (
        "#EXTM3U\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="http://[1:/a.m3u8",CHANNELS="2"\n'
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="http://[2:/b.m3u8",CHANNELS="{"9" * 5000}"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nhttp://[3:/v.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nhttp://[4:/v.m3u8\n'
    )
    read = parse_playlist(text.encode(), "http://h.test/m.m3u8")
    assert isinstance(read, MultivariantPlaylist)
    assert [one.channel_count for one in read.renditions] == [2, None]
    assert len(select(read, Preferences(audio=("all",))).streams) >= 2
    with pytest.raises(SelectionError):
        select(read, Preferences(variant="9" * 5000))


def test_the_place_of_a_url_that_cannot_be_read_is_all_of_it() -> None:
    assert place_of("https://h.test:8/a/b.ts?c") == ("h.test:8", "/a/b.ts")
    assert place_of("http://[1:/a") == ("http://[1:/a", "")
