"""Several wishes at once: each chosen by itself, each stream stored once, and earlier ones never chosen anew."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from ladders import cinema, master
from pydantic import TypeAdapter

import hlsdl
from hlsdl.errors import LimitError
from hlsdl.planning.media_selection import media_selection_groups, select_automatically
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import Selection
from hlsdl.session import presentation
from hlsdl.session.configuration import FetchOptions, options_from
from hlsdl.session.presentation import Document, Root, choose, plan_streams

MASTER = master(cinema())
ROOT = Root(document=Document(data=b"", url=MASTER.url, final_url=MASTER.url), playlist=MASTER)
STEREO = Preferences(hdr=False, multichannel=False)
MULTICHANNEL = Preferences(where=("channels > 2",), shares_video=True, multichannel=False)


def stored(selection: Selection) -> list[str]:
    return [one.url.rpartition("/")[2].removesuffix(".m3u8") for one in selection.streams]


def test_a_primary_and_an_auxiliary_wish_store_one_video() -> None:
    options = FetchOptions(preferences=STEREO, auxiliary=(MULTICHANNEL,))
    assert options.wishes == (STEREO, MULTICHANNEL)
    selection = choose(ROOT, options.wishes)
    assert stored(selection) == ["sdr-1080", "aac-en", "sub-enf", "atmos-en"]
    assert [one.audio for one in selection.variants] == ["aac", "atmos"]


def test_the_multichannel_flag_stores_what_it_always_did() -> None:
    assert stored(choose(ROOT, (Preferences(hdr=False),))) == ["sdr-1080", "aac-en", "atmos-en", "sub-enf"]


def test_auxiliary_wishes_share_one_another_s_video_too() -> None:
    small = Preferences(where=("height == 360",), shares_video=True, multichannel=False)
    smaller = Preferences(max_size=(640, 360), shares_video=True, multichannel=False, subtitles=("none",))
    assert stored(choose(ROOT, (STEREO, small, smaller))) == ["sdr-1080", "aac-en", "sub-enf", "sdr-360"]


def test_a_later_wish_changes_nothing_of_the_earlier_ones() -> None:
    """Otherwise a bundle that was asked for more could lose what it has."""
    before = choose(ROOT, (STEREO, MULTICHANNEL))
    later = (Preferences(where=("video_range == 'PQ'",)), Preferences(where=("height == 720",), shares_video=True))
    after = choose(ROOT, (STEREO, MULTICHANNEL, *later))
    assert after.streams[: len(before.streams)] == before.streams


def test_selections_and_qualifiers_of_several_wishes_are_united() -> None:
    english = select_automatically(media_selection_groups(MASTER))
    french = english.with_option("audible", "fr/Français")
    wishes = (
        Preferences(multichannel=False, media_selections=(english.encode(), french.encode())),
        Preferences(
            multichannel=False, media_selections=(french.encode(),), shares_video=True, where=("channels > 2",)
        ),
    )
    assert stored(choose(ROOT, wishes)) == ["dv-2160", "aac-en", "aac-fr", "sub-enf", "ac3-fr"]


@pytest.mark.parametrize(
    "wish",
    [
        Preferences(),
        Preferences(where=("width > 1", "=max:height"), shares_video=True),
        Preferences(media_selections=((("audible", "en/English"), ("legible", None)), ())),
    ],
)
def test_a_wish_survives_the_manifest(wish: Preferences) -> None:
    stored_wish = json.loads(json.dumps(asdict(wish)))
    assert TypeAdapter(Preferences).validate_python(stored_wish) == wish


def test_a_manifest_from_before_has_the_defaults_of_the_newer_fields() -> None:
    old: dict[str, Any] = asdict(Preferences(audio=("fr",)))
    for name in ("where", "media_selections", "shares_video"):
        del old[name]
    assert TypeAdapter(Preferences).validate_python(old) == Preferences(audio=("fr",))


def test_the_keyword_where_takes_expressions_predicates_and_qualifiers() -> None:
    assert options_from(where="width>1").preferences.where == ("width > 1",)
    several = options_from(where=[hlsdl.binaural, hlsdl.VariantQualifier.maximum(hlsdl.width)])
    assert several.preferences.where == ("binaural", "=max:width")
    with pytest.raises(hlsdl.UsageError):
        options_from(where="import os")


def test_a_job_may_have_so_many_segments_and_not_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all chosen streams together."""
    streams = tuple(choose(ROOT, (STEREO,)).streams)[:2]
    selection = Selection(streams=streams, choices=())
    media = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXTINF:4,\nb.ts\n#EXT-X-ENDLIST\n"
    texts = [Document(data=media, url=one.url, final_url=one.url) for one in streams]
    monkeypatch.setattr(presentation, "MOST_SEGMENTS_OF_A_JOB", 4)
    assert plan_streams(ROOT, selection, texts).segments == 4
    monkeypatch.setattr(presentation, "MOST_SEGMENTS_OF_A_JOB", 3)
    with pytest.raises(LimitError, match="more than 3 segments"):
        plan_streams(ROOT, selection, texts)
