"""Which audio and subtitles go with the chosen video."""

from __future__ import annotations

import pytest
from ladders import ladder, master, stream_inf

from hlsdl.errors import SelectionError
from hlsdl.planning import languages
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import Selection, select


def chosen(text: str | None = None, **wishes: object) -> Selection:
    return select(master(text or ladder(only=("sdr-1080",))), Preferences(**wishes))  # type: ignore[arg-type]


def audio(selection: Selection) -> list[str]:
    return [str(one.uri).rpartition("/")[2] for one in selection.audio]


def subtitles(selection: Selection) -> list[str]:
    return [str(one.uri).rpartition("/")[2] for one in selection.subtitles]


def test_the_default_rendition_is_stored_with_the_best_multichannel_of_its_language_beside_it() -> None:
    assert audio(chosen()) == ["aac-en.m3u8", "ac3-en.m3u8"]


def test_multichannel_can_be_declined() -> None:
    assert audio(chosen(multichannel=False)) == ["aac-en.m3u8"]


def test_the_most_capable_multichannel_group_wins() -> None:
    groups = (("aac", "mp4a", 1), ("surround", "ac-3", 2), ("atmos", "ec-3", 3))
    assert audio(chosen(ladder(groups=groups, only=("sdr-360",)))) == ["aac-en.m3u8", "atmos-en.m3u8"]


def test_multichannel_adds_no_second_video() -> None:
    assert [one.kind for one in chosen().streams].count("video") == 1


def test_multichannel_paired_only_with_another_video_is_not_stored() -> None:
    """The index could never offer it, since the source pairs it with a video that is not here."""
    text = ladder(groups=(("aac", "mp4a", 1),), only=("sdr-1080",)) + stream_inf(
        9_000_000, "pq.m3u8", VIDEO_RANGE="SDR", RESOLUTION="640x360", AUDIO='"surround"'
    )
    assert audio(chosen(text)) == ["aac-en.m3u8"]


def test_languages_replace_the_default_and_bring_their_multichannel() -> None:
    assert audio(chosen(audio=("fr",))) == ["aac-fr.m3u8", "ac3-fr.m3u8"]
    assert audio(chosen(audio=("fr", "en"), multichannel=False)) == ["aac-fr.m3u8", "aac-en.m3u8"]


def test_of_two_renditions_in_one_language_the_plain_one_is_meant() -> None:
    assert "aac-co.m3u8" not in audio(chosen(audio=("en",)))


def test_all_means_every_rendition_of_every_group_the_video_is_paired_with() -> None:
    names = audio(chosen(audio=("all",)))
    assert set(names) == {
        "aac-en.m3u8",
        "aac-fr.m3u8",
        "aac-co.m3u8",
        "ac3-en.m3u8",
        "ac3-fr.m3u8",
        "alac-en.m3u8",
    }


def test_none_stores_no_audio() -> None:
    assert audio(chosen(audio=("none",))) == []


def test_a_group_without_default_gives_its_first_autoselect_then_its_first() -> None:
    head = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="one",URI="one.m3u8"\n'
    second = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="two",{}URI="two.m3u8"\n'
    tail = stream_inf(1, "v.m3u8", AUDIO='"a"')
    assert audio(chosen(head + second.format("AUTOSELECT=YES,") + tail)) == ["two.m3u8"]
    assert audio(chosen(head + second.format("") + tail)) == ["one.m3u8"]


@pytest.mark.parametrize("wishes", [{"audio": ("ja",)}, {"subtitles": ("ja",)}, {"audio": ("en", "ja")}])
def test_a_language_that_is_not_there_is_a_selection_error_that_names_those_that_are(wishes: dict[str, object]) -> None:
    with pytest.raises(SelectionError, match="`ja`") as caught:
        chosen(**wishes)
    assert "en" in str(caught.value.hint)


def test_default_subtitles_are_default_ones_and_forced_ones_of_the_audio_language() -> None:
    assert subtitles(chosen()) == ["sub-enf.m3u8"]
    assert subtitles(chosen(audio=("fr",))) == ["sub-frf.m3u8"]
    text = ladder(only=("sdr-360",)).replace('LANGUAGE="de",', 'LANGUAGE="de",DEFAULT=YES,')
    assert subtitles(chosen(text)) == ["sub-enf.m3u8", "sub-de.m3u8"]


def test_subtitles_by_language_bring_the_forced_ones_of_that_language_too() -> None:
    assert subtitles(chosen(subtitles=("en",))) == ["sub-en.m3u8", "sub-enf.m3u8"]
    assert len(subtitles(chosen(subtitles=("all",)))) == 4
    assert subtitles(chosen(subtitles=("none",))) == []


def test_a_playlist_that_two_groups_share_is_stored_once() -> None:
    line = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{}",NAME="x",LANGUAGE="en",DEFAULT=YES,URI="same.m3u8"\n'
    text = "#EXTM3U\n" + line.format("a") + line.format("b")
    text += stream_inf(1, "one.m3u8", AUDIO='"a"') + stream_inf(2, "two.m3u8", AUDIO='"b"')
    selection = chosen(text, variants="all", audio=("all",))
    assert [one.url.rpartition("/")[2] for one in selection.streams] == ["one.m3u8", "two.m3u8", "same.m3u8"]


@pytest.mark.parametrize(
    ("wanted", "offered", "is_match"),
    [
        ("en", "en", True),
        ("en", "en-US", True),
        ("en-GB", "en", True),
        ("en-US", "eng", True),
        ("en-US", "en-GB", False),
        ("fr-FR", "fr-CA", False),
        ("sr-Cyrl", "sr-Latn", False),
        ("sr", "sr-Latn", True),
        ("zh-TW", "zh-Hans", False),
        ("nb", "no", True),
        ("da", "no", False),
        ("eng", "en", True),
        ("EN", "en", True),
        ("zh-TW", "zh-Hant", True),
        ("fr", "en", False),
        ("en", None, False),
        ("en", "", False),
        ("English", "english", True),
        ("en", "not a tag at all", False),
    ],
)
def test_languages_match_by_bcp_47(wanted: str, offered: str | None, is_match: bool) -> None:
    assert languages.matches(wanted, offered) is is_match


def test_the_nearest_of_several_tags_is_taken() -> None:
    assert languages.nearest("zh-TW", ["zh-Hans", "zh-Hant", None]) == "zh-Hant"
    assert languages.nearest("pt-BR", ["pt-PT", "pt-BR"]) == "pt-BR"
