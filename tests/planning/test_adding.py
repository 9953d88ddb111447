"""From the flags that were named to the wishes that bring just that, on a ladder of pictures and sounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ladders import ladder, master

from hlsdl.errors import SelectionError
from hlsdl.planning.adding import added_wishes, asked_again, named_in
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import select

LADDER = master(ladder())
FIRST = Preferences(max_size=(1280, 720), hdr=False, multichannel=False)


def names(*wishes: Preferences) -> set[str]:
    """What the wishes store, by the names of the playlists."""
    return {one.url.rpartition("/")[2].removesuffix(".m3u8") for wish in wishes for one in select(LADDER, wish).streams}


def ids(*found: str) -> frozenset[str]:
    everything = select(LADDER, Preferences(variants="all", audio=("all",), subtitles=("all",))).streams
    by_name = {one.url.rpartition("/")[2].removesuffix(".m3u8"): one.id for one in everything}
    return frozenset(by_name[name] for name in found)


def add(*earlier: Preferences, dropped: frozenset[str] = frozenset(), **named: Any) -> tuple[Preferences, ...]:
    return added_wishes(LADDER, earlier, named, dropped)


def test_a_language_comes_with_the_picture_that_is_there() -> None:
    assert add(FIRST, audio=("fr",)) == (replace(FIRST, audio=("fr",)),)
    assert names(*add(FIRST, audio=("fr",))) == {"sdr-720", "aac-fr", "sub-frf"}


def test_subtitles_leave_the_sound_as_it_was_asked_for() -> None:
    wish = replace(FIRST, audio=("fr",))
    assert names(*add(wish, subtitles=("de",))) == {"sdr-720", "aac-fr", "sub-de"}


def test_another_ceiling_takes_the_place_of_the_old_limits_and_the_preferences_stay() -> None:
    (wish,) = add(FIRST, min_size=(1920, 1080))
    assert wish == Preferences(min_size=(1920, 1080), hdr=False, multichannel=False)
    assert "sdr-1080" in names(wish)


def test_a_preference_keeps_the_limits() -> None:
    (wish,) = add(replace(FIRST, max_size=(1920, 1080)), hdr=True)
    assert "hlg-1080" in names(wish)


def test_a_new_picture_comes_with_everything_that_was_asked_for_in_sound_and_text() -> None:
    wishes = add(FIRST, replace(FIRST, audio=("fr",)), max_size=(640, 360))
    assert names(*wishes) == {"sdr-360", "aac-en", "aac-fr", "sub-enf", "sub-frf"}


def test_but_not_with_sound_that_was_dropped() -> None:
    dropped = ids("aac-fr")
    wishes = add(FIRST, replace(FIRST, audio=("fr",)), max_size=(640, 360), dropped=dropped)
    assert "aac-fr" not in names(*wishes)


def test_a_variant_that_was_named_exactly_does_not_hold_against_another_limit() -> None:
    assert "sdr-360" in names(*add(replace(FIRST, variant="0", max_size=None), max_size=(640, 360)))


def test_lossless_sound_is_that_of_the_same_picture_also_above_the_old_ceiling() -> None:
    tight = Preferences(max_bitrate=2_600_000, hdr=False, multichannel=False)
    assert names(tight) == {"sdr-720", "aac-en", "sub-enf"}
    assert names(*add(tight, lossless=True)) == {"sdr-720", "alac-en", "sub-enf"}


def test_a_language_by_name_replaces_a_media_selection_and_the_picture_stays() -> None:
    selected = replace(FIRST, max_size=None, media_selections=((("audible", "fr/Français 5.1"),),))
    picture = {one for one in names(selected) if one.startswith("sdr")}
    (wish,) = add(selected, audio=("en",))
    assert wish.media_selections == ()
    assert {one for one in names(wish) if one.startswith("sdr")} == picture


def test_the_picture_of_the_last_wish_that_is_still_there_is_the_anchor() -> None:
    better = replace(FIRST, max_size=(1920, 1080))
    assert "sdr-1080" in names(*add(FIRST, better, audio=("fr",)))
    assert "sdr-720" in names(*add(FIRST, better, audio=("fr",), dropped=ids("sdr-1080")))


def test_wishes_that_only_share_a_picture_are_no_anchor() -> None:
    beside = Preferences(shares_video=True, hdr=False)
    assert add(FIRST, beside, audio=("fr",)) == (replace(FIRST, audio=("fr",)),)


def test_what_is_not_there_is_said() -> None:
    (wish,) = add(FIRST, audio=("ja",))
    with pytest.raises(SelectionError):
        select(LADDER, wish)


def test_only_what_is_named_comes_back() -> None:
    dropped = ids("aac-en", "aac-fr", "sub-enf", "sdr-720")
    both = replace(FIRST, audio=("en", "fr"))
    assert asked_again(LADDER, [both], dropped, {"audio"}) == ids("aac-en", "aac-fr")
    assert asked_again(LADDER, [both], dropped, {"subtitles"}) == ids("sub-enf")
    assert asked_again(LADDER, [both], dropped, set()) == frozenset()


def test_a_picture_comes_back_with_its_sound() -> None:
    assert asked_again(LADDER, [FIRST], ids("aac-en", "sdr-720"), {"max_size"}) == ids("aac-en", "sdr-720")
    assert asked_again(LADDER, [FIRST], ids("aac-en"), {"max_size"}) == frozenset()


def test_a_wish_names_what_differs_from_the_defaults() -> None:
    assert named_in(Preferences(audio=("fr",))) == {"audio"}
    assert asked_again(LADDER, [Preferences(audio=("fr",), multichannel=False)], ids("aac-fr"), None) == ids("aac-fr")
    assert asked_again(LADDER, [Preferences()], ids("aac-en"), None) == frozenset()
