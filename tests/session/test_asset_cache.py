"""What of an asset plays offline: the options that are stored whole, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import hlsdl as library
from hlsdl.errors import IntegrityError
from hlsdl.testing import ScriptedOrigin, Status


@pytest.fixture
def origin(film: Path) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        server.add_folder(film, at="/film")
        yield server


async def fetched(origin: ScriptedOrigin, folder: Path, **flags: object) -> library.Bundle:
    wanted = {"hdr": False, "audio": ["fr"], "subs": ["en"], **flags}
    return await library.fetch(origin.url("/film/master.m3u8"), output=folder, **wanted)


async def test_only_stored_options_are_there_offline(origin: ScriptedOrigin, tmp_path: Path) -> None:
    cache = (await fetched(origin, tmp_path)).cache
    assert cache.is_playable_offline
    audible, legible = cache.media_selection_groups
    assert len(audible.options) > 3
    here = cache.media_selection_options(audible)
    assert [one.name for one in here] == ["Français"]
    assert here[0] in audible.options
    assert [one.name for one in cache.media_selection_options(legible)] == ["English", "English (forced)"]
    assert cache.media_selection_options("visual") == ()
    assert cache.media_presentation_languages(audible) == ("fr",)
    assert cache.media_presentation_languages("legible") == ("en",)


async def test_what_is_added_and_dropped_is_seen(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    added = await library.add(bundle, audio="de")
    assert added.cache.media_presentation_languages("audible") == ("fr", "de")
    (french,) = (one.id for one in bundle.streams if one.language == "fr")
    dropped = await library.drop(bundle, french)
    assert dropped.cache.media_presentation_languages("audible") == ("de",)


async def test_a_damaged_stream_is_not_there_and_the_others_are(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path, audio=["en", "fr"])
    (french,) = (one for one in bundle.streams if one.language == "fr")
    next(iter((bundle.path / french.id).glob("*.m4s"))).write_bytes(b"short")
    assert not bundle.cache.is_playable_offline
    assert bundle.cache.media_presentation_languages("audible") == ("en",)


async def test_an_unfinished_stream_is_not_there(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    origin.always("/film/aac-de/3.m4s", Status(404))
    with pytest.raises(library.HttpError):
        await library.add(bundle, audio="de", retries=1)
    cache = library.open(bundle.path).cache
    assert cache.is_playable_offline  # with what was there before
    assert cache.media_presentation_languages("audible") == ("fr",)


async def test_captions_inside_a_stored_picture_are_there(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/v.ts", bytes(188))
        origin.add("/v.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nv.ts\n#EXT-X-ENDLIST\n")
        captions = '#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC",LANGUAGE="en",INSTREAM-ID="CC1"'
        variant = '#EXT-X-STREAM-INF:BANDWIDTH=1000,CLOSED-CAPTIONS="cc"\nv.m3u8'
        origin.add("/master.m3u8", f"#EXTM3U\n{captions}\n{variant}\n".encode())
        bundle = await library.fetch(origin.url("/master.m3u8"), output=tmp_path)
    assert bundle.cache.media_presentation_languages("legible") == ("en",)


async def test_without_its_keys_an_encrypted_stream_is_not_there(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/k", bytes(16))
        origin.add("/a.ts", bytes(32))
        key = '#EXT-X-KEY:METHOD=AES-128,URI="k"'
        origin.add("/a.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{key}\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n".encode())
        media = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="E",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="a.m3u8"'
        origin.add("/master.m3u8", f'#EXTM3U\n{media}\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\na.m3u8\n'.encode())
        bundle = await library.fetch(origin.url("/master.m3u8"), output=tmp_path)
    assert bundle.cache.media_presentation_languages("audible") == ("en",)
    next(iter((bundle.path / "keys").iterdir())).unlink()
    assert bundle.cache.media_presentation_languages("audible") == ()


async def test_one_stream_as_the_source_has_no_groups(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await library.fetch(origin.url("/film/sdr-180/index.m3u8"), output=tmp_path)
    assert bundle.cache.media_selection_groups == ()
    assert bundle.cache.media_selection_options("audible") == ()


async def test_a_damaged_source_playlist_is_said(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    (bundle.path / "Data" / "master.m3u8").write_text("#EXTM3U\n")
    with pytest.raises(IntegrityError, match="missing or damaged"):
        bundle.cache.media_selection_options("audible")
