"""Choosing by expression, on the command line and in programs: what comes is what was meant, and why is told."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import hlsdl
from stories.test_playlist_corpus import URL, playlists

import hlsdl as library
from hlsdl.errors import LimitError, PlaylistError, SelectionError
from hlsdl.planning.asset_variant import asset_variants
from hlsdl.planning.media_selection import media_selection_groups, resolved_selection, select_automatically
from hlsdl.planning.predicates import ATTRIBUTES
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import select
from hlsdl.playlist import MultivariantPlaylist, parse_playlist
from hlsdl.session import front
from hlsdl.session.configuration import FetchOptions
from hlsdl.testing import ScriptedOrigin

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def origin(film: Path) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        server.add_folder(film, at="/film")
        yield server


def test_where_chooses_the_variant_and_the_plan_says_so(origin: ScriptedOrigin) -> None:
    url = origin.url("/film/master.m3u8")
    planned = hlsdl("plan", url, "--json", "--where", "height > 4000", "--where", "height==180 and 'avc1' in codecs")
    assert planned.code == 0, planned.err
    assert planned.document["streams"][0]["resolution"] == [320, 180]
    because = planned.document["choices"][0]["because"]
    assert because.startswith(
        "it satisfies `height == 180 and 'avc1' in codecs`, and no variant satisfies `height > 4000`"
    )


def test_where_that_nothing_satisfies_is_no_error(origin: ScriptedOrigin) -> None:
    planned = hlsdl("plan", origin.url("/film/master.m3u8"), "--json", "--where", "channels > 99")
    assert planned.code == 0
    assert (
        "no variant satisfies `channels > 99`, so the choice is automatic" in planned.document["choices"][0]["because"]
    )


@pytest.mark.parametrize("expression", ["", "hight > 3", "__import__('os')", "width > 1 +", "=max:width", "9" * 1001])
def test_what_is_no_expression_is_a_usage_error_before_anything_is_asked(
    origin: ScriptedOrigin, expression: str, tmp_path: Path
) -> None:
    url = origin.url("/film/master.m3u8")
    done = hlsdl("fetch", url, "--where", "width > 1", "--where", expression, cwd=tmp_path)
    assert done.code == 2
    assert "`--where`" in done.err
    assert "hint:" in done.err
    assert origin.requests == []


def test_a_variable_holds_one_expression_on_each_line(origin: ScriptedOrigin) -> None:
    url = origin.url("/film/master.m3u8")
    by_variable = hlsdl("plan", url, "--json", HLSDL_WHERE="height > 4000\nheight == 180")
    assert by_variable.document["streams"][0]["resolution"] == [320, 180]


async def test_an_auxiliary_wish_brings_sound_and_no_second_video(origin: ScriptedOrigin, tmp_path: Path) -> None:
    options = FetchOptions(
        preferences=Preferences(hdr=False, multichannel=False),
        auxiliary=(Preferences(where=("channels > 2",), shares_video=True, multichannel=False),),
        directory=tmp_path,
    )
    bundle = (await front.fetch(origin.url("/film/master.m3u8"), options)).bundle
    sounds = [one.channels for one in bundle.streams if one.kind == "audio"]
    assert sounds == ["2", "6"]
    assert [one.kind for one in bundle.streams].count("video") == 1
    assert bundle.is_playable_offline
    origin.clear_requests()
    again = await front.fetch(origin.url("/film/master.m3u8"), options)
    assert origin.requests == []
    assert again.bundle.path == bundle.path


async def test_several_media_selections_come_with_one_video(origin: ScriptedOrigin, film: Path, tmp_path: Path) -> None:
    playlist = parse_playlist((film / "master.m3u8").read_bytes(), URL)
    assert isinstance(playlist, MultivariantPlaylist)
    english = select_automatically(media_selection_groups(playlist))
    selections = [english.with_option("audible", one).encode() for one in ("en/English", "fr/Français", "de/Deutsch")]
    wish = Preferences(hdr=False, multichannel=False, media_selections=tuple(selections))
    options = FetchOptions(preferences=wish, directory=tmp_path)
    bundle = (await front.fetch(origin.url("/film/master.m3u8"), options)).bundle
    assert [one.language for one in bundle.streams if one.kind == "audio"] == ["en", "fr", "de"]
    video = [request.path for request in origin.requests if "/sdr-360/" in request.path]
    assert len(video) == len(set(video))
    assert [one.kind for one in bundle.streams].count("video") == 1


async def test_a_predicate_is_a_keyword_of_fetch(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await library.fetch(
        origin.url("/film/master.m3u8"), where=(library.height == 180) & (library.video_range == "PQ"), output=tmp_path
    )
    assert bundle.streams[0].resolution == (320, 180)
    assert bundle.streams[0].video_range == "PQ"


def test_the_examples_of_the_page_are_true(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "qualifiers.md").read_text()
    for name in ATTRIBUTES:
        assert f"`{name}`" in page.split("## Grammar")[0], name
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(code, "qualifiers.md", "exec"), {})
    assert capsys.readouterr().out.strip() == re.findall(r"print\(sharp\)  # (.*)", code)[0]


WISHES = [
    Preferences(),
    Preferences(where=("channels > 2",), shares_video=True),
    Preferences(where=("height >= 720 and 'avc1' in codecs", "not video_range == 'PQ'", "=min:presentation_size")),
    Preferences(where=("=max:average_bit_rate",), lossless=True, hdr=False, variants="all"),
]


def test_every_playlist_of_the_corpus_is_chosen_from(corpus: Path) -> None:
    """Broken ladders included: an error is ours and has a reason, and a qualifier is never it."""
    masters = 0
    for path, data in playlists(corpus):
        try:
            found = parse_playlist(data, URL)
        except (PlaylistError, LimitError):
            continue
        if not isinstance(found, MultivariantPlaylist) or not found.variants:
            continue
        masters += 1
        groups = media_selection_groups(found)
        automatic = select_automatically(groups)
        for row in asset_variants(found):
            assert {name: row.attribute(name) for name in ATTRIBUTES}, path
            explicit = library.VariantQualifier.of_variant(row)
            assert select(found, Preferences(where=(explicit.text,))).variants[0].bandwidth == row.variant.bandwidth
        for wish in WISHES:
            selection = select(found, wish, videos={found.variants[-1].uri})
            assert selection.variants, path
            assert resolved_selection(groups, selection).groups == groups
        for group in groups:
            for option in group.options:
                wish = Preferences(media_selections=(automatic.with_option(group, option).encode(),))
                with contextlib.suppress(SelectionError):  # an option of groups that no variant names
                    select(found, wish)
    assert masters > 150
