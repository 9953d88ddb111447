"""Groups, options and selections: what a person may choose, what is chosen without one, and its stored form."""

from __future__ import annotations

import json
import pickle

import pytest
from ladders import ladder, master

from hlsdl import MediaSelection, MediaSelectionCriteria, MediaSelectionGroup, select_automatically
from hlsdl.errors import UsageError
from hlsdl.planning.media_selection import FORCED_ONLY, media_selection_groups, resolved_selection
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import select

GROUPS = media_selection_groups(master(ladder()))
AUDIBLE, LEGIBLE = GROUPS

SAME = """\
#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English",LANGUAGE="en",AUTOSELECT=YES,CHANNELS="2",URI="a.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="ec3",NAME="English",LANGUAGE="en",DEFAULT=YES,CHANNELS="16/JOC",URI="b.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English",LANGUAGE="en",CHARACTERISTICS="public.accessibility.describes-video",URI="c.m3u8"
#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="v",NAME="Side/back",DEFAULT=YES,URI="d.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="aac",VIDEO="v"
v.m3u8
"""


def group(*lines: str) -> MediaSelectionGroup:
    text = "#EXTM3U\n" + "".join(f"#EXT-X-MEDIA:{line}\n" for line in lines) + "#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n"
    return media_selection_groups(master(text))[0]


def named(selection: MediaSelection) -> list[str]:
    return [one.name for one in selection.options]


def test_a_stream_has_a_group_for_each_kind_that_it_offers() -> None:
    assert [one.kind for one in GROUPS] == ["audible", "legible"]
    assert [one.name for one in AUDIBLE.options][:3] == ["English", "Français", "Commentary"]
    assert [one.media_type for one in LEGIBLE.options] == ["SUBTITLES"] * 4 + ["CLOSED-CAPTIONS"]
    assert media_selection_groups(master("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n")) == ()


def test_one_option_stands_for_the_same_rendition_in_every_group() -> None:
    audible, visual = media_selection_groups(master(SAME))
    english, described = audible.options
    assert (english.groups, english.channels, english.default, english.autoselect) == (("aac", "ec3"), 16, True, True)
    assert described.characteristics == ("public.accessibility.describes-video",)
    assert english.id == "en/English"
    assert visual.options[0].id == "und/Side%2Fback"
    assert len({one.id for one in (*audible.options, *visual.options)}) == 3


def test_forced_subtitles_have_their_characteristic() -> None:
    forced = [one.name for one in LEGIBLE.options_with_characteristics([FORCED_ONLY])]
    assert forced == ["English forced", "Français forcé"]
    rest = [one.name for one in LEGIBLE.options_without_characteristics([FORCED_ONLY, "nothing"])]
    assert rest == ["English", "Deutsch", "CC1"]
    assert [one.name for one in LEGIBLE.options_with_characteristics(FORCED_ONLY)] == forced
    assert [one.name for one in LEGIBLE.options_without_characteristics(FORCED_ONLY)] == rest


def test_options_are_filtered_and_sorted_by_preferred_languages() -> None:
    assert [one.language for one in LEGIBLE.options_for_languages(["de-CH", "fr"])] == ["de", "fr"]
    canada = group(
        'TYPE=AUDIO,GROUP-ID="a",NAME="1",LANGUAGE="fr",URI="1"',
        'TYPE=AUDIO,GROUP-ID="a",NAME="2",LANGUAGE="fr-CA",URI="2"',
        'TYPE=AUDIO,GROUP-ID="a",NAME="3",LANGUAGE="fr-FR",URI="3"',
    )
    assert [one.name for one in canada.options_for_languages(["fr-CA"])] == ["2", "1"]
    assert canada.options_for_languages([]) == ()
    assert canada.options_for_languages("fr-CA") == canada.options_for_languages(["fr-CA"])
    assert canada.playable_options == canada.options


def test_the_default_option_is_the_one_that_says_so() -> None:
    assert AUDIBLE.default_option == AUDIBLE.options[0]
    assert LEGIBLE.default_option is None


def test_only_subtitles_may_be_left_out() -> None:
    assert (AUDIBLE.allows_empty_selection, LEGIBLE.allows_empty_selection) == (False, True)
    selection = select_automatically(GROUPS)
    assert selection.with_option(LEGIBLE, None).option(LEGIBLE) is None
    with pytest.raises(UsageError, match="must be chosen"):
        selection.with_option(AUDIBLE, None)


def test_with_option_gives_another_selection_and_leaves_the_first_alone() -> None:
    first = select_automatically(GROUPS)
    second = first.with_option("audible", AUDIBLE.options[1]).with_option(LEGIBLE, "de/Deutsch")
    assert named(first) == ["English", "English forced"]
    assert named(second) == ["Français", "Deutsch"]
    assert second.option(AUDIBLE) == AUDIBLE.options[1]


@pytest.mark.parametrize(("kind", "option"), [("audible", "en/Nothing"), ("audible", "de/Deutsch"), ("visual", "x")])
def test_what_the_asset_does_not_have_cannot_be_selected(kind: str, option: str) -> None:
    with pytest.raises(UsageError) as caught:
        select_automatically(GROUPS).with_option(kind, option)
    assert caught.value.hint


def test_a_selection_comes_back_from_its_plain_values_with_or_without_the_asset() -> None:
    selection = select_automatically(GROUPS)
    stored = json.loads(json.dumps(selection.encode()))
    assert MediaSelection.decode(stored, GROUPS) == selection
    bare = MediaSelection.decode(stored)
    assert bare == selection
    assert hash(bare) == hash(selection)
    assert bare.options == ()
    assert named(pickle.loads(pickle.dumps(selection))) == named(selection)
    with pytest.raises(UsageError, match="no option"):
        MediaSelection.decode([("audible", "xx/Gone")], GROUPS)
    with pytest.raises(UsageError, match="twice"):
        MediaSelection.decode([("legible", None), ("legible", None)])


def test_without_criteria_the_default_is_chosen_then_autoselect_then_the_first() -> None:
    line = 'TYPE=AUDIO,GROUP-ID="a",NAME="{0}",{1}URI="{0}"'
    plain, auto, default = line.format("p", ""), line.format("a", "AUTOSELECT=YES,"), line.format("d", "DEFAULT=YES,")
    assert named(select_automatically((group(plain, auto, default),))) == ["d"]
    assert named(select_automatically((group(plain, auto),))) == ["a"]
    assert named(select_automatically((group(plain),))) == ["p"]


def test_subtitles_are_the_default_ones_or_the_forced_ones_of_the_audio_language() -> None:
    assert named(select_automatically(GROUPS)) == ["English", "English forced"]
    french = {"audible": MediaSelectionCriteria(preferred_languages=["fr"])}
    assert named(select_automatically(GROUPS, french)) == ["Français", "Français forcé"]
    text = ladder().replace('LANGUAGE="de",', 'LANGUAGE="de",DEFAULT=YES,')
    assert named(select_automatically(media_selection_groups(master(text)))) == ["English", "Deutsch"]


@pytest.mark.parametrize(
    ("criteria", "names"),
    [
        pytest.param({"languages": ["ja", "fr-FR", "en"]}, "Français", id="the first language that is there"),
        pytest.param({"languages": ["ja"]}, "English", id="no language is there: the default"),
        pytest.param({"languages": ["en"]}, "English", id="of one language the plain one"),
        pytest.param({"principal": ["public.easy-to-read"]}, "Commentary", id="what is needed"),
        pytest.param({"principal": ["nothing"]}, "English", id="what is needed is not there: the default"),
        pytest.param({"preferred": ["public.easy-to-read"]}, "Commentary", id="what is liked"),
        pytest.param(
            {"languages": ["fr"], "preferred": ["public.easy-to-read"]}, "Français", id="language comes first"
        ),
        pytest.param({"languages": "fr"}, "Français", id="one text stands for a list of one"),
        pytest.param({}, "English", id="empty criteria are none"),
    ],
)
def test_criteria_choose_by_need_then_language_then_liking(criteria: dict[str, list[str]], names: str) -> None:
    wanted = MediaSelectionCriteria(
        preferred_languages=criteria.get("languages", ()),
        preferred_characteristics=criteria.get("preferred", ()),
        principal_characteristics=criteria.get("principal", ()),
    )
    assert select_automatically(GROUPS, {"audible": wanted}).option("audible") == next(
        one for one in AUDIBLE.options if one.name == names
    )


def test_subtitles_are_chosen_by_criteria_only_when_something_was_named() -> None:
    def text(**wanted: list[str]) -> str | None:
        found = select_automatically((LEGIBLE,), {"legible": MediaSelectionCriteria(**wanted)}).option("legible")
        return found.name if found else None

    assert text(preferred_languages=["de", "en"]) == "Deutsch"
    assert text(preferred_languages=["en"]) == "English", "the forced ones alone are no help to who reads"
    assert text(preferred_languages=["en"], principal_characteristics=[FORCED_ONLY]) == "English forced"
    assert text(preferred_languages=["ja"]) is None
    assert text() is None


def test_of_several_criteria_the_first_that_fits_counts_for_each_group() -> None:
    criteria = [MediaSelectionCriteria(principal_characteristics=["none"]), MediaSelectionCriteria(preferred_languages=["fr"])]  # fmt: skip
    assert named(select_automatically(GROUPS, criteria))[0] == "Français"


def test_what_a_download_resolved_is_a_media_selection() -> None:
    playlist = master(ladder(only=("sdr-1080",)))
    groups = media_selection_groups(playlist)
    assert named(resolved_selection(groups, select(playlist, Preferences()))) == ["English", "English forced"]
    silent = resolved_selection(groups, select(playlist, Preferences(audio=("none",), subtitles=("none",))))
    assert silent.encode() == (("legible", None),)


def test_a_group_in_which_nothing_was_chosen_is_automatic_and_one_without_a_choice_is_not() -> None:
    selection = MediaSelection(groups=GROUPS).with_option(LEGIBLE, None)
    assert selection.is_automatic(AUDIBLE)
    assert not selection.is_automatic("legible")
