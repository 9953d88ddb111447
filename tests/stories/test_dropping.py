"""Streams go out of a bundle: the rest stays whole and legal, whatever interrupts it, and nothing comes back unasked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import environment, hlsdl
from oracle import local_playlists

import hlsdl as library
import hlsdl.sync as blocking
from hlsdl.errors import IntegrityError, UsageError
from hlsdl.playlist.models import MultivariantPlaylist
from hlsdl.playlist.parsing import parse_playlist
from hlsdl.testing import ScriptedOrigin, Status


@pytest.fixture
def origin(film: Path) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        server.add_folder(film, at="/film")
        yield server


async def fetched(origin: ScriptedOrigin, folder: Path, **flags: object) -> library.Bundle:
    wanted = {"hdr": False, "multichannel": False, "audio": ["en", "fr"], **flags}
    bundle = await library.fetch(origin.url("/film/master.m3u8"), output=folder, **wanted)
    origin.clear_requests()
    return bundle


def ids(bundle: library.Bundle, *folders: str) -> list[str]:
    return [one.id for one in bundle.streams if one.source_url.split("/film/")[-1].partition("/")[0] in folders]


def held(bundle: library.Bundle) -> set[str]:
    return {one.source_url.split("/film/")[-1].partition("/")[0] for one in bundle.streams}


def index_of(bundle: library.Bundle) -> MultivariantPlaylist:
    playlist = parse_playlist((bundle.path / "index.m3u8").read_bytes(), "file:///b/index.m3u8")
    assert isinstance(playlist, MultivariantPlaylist)
    return playlist


async def test_a_stream_goes_with_everything_of_it_and_the_rest_plays(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    (french,) = ids(bundle, "aac-fr")
    dropped = await library.drop(bundle, french)
    assert held(dropped) == {"sdr-360", "aac-en", "subs-en-forced"}
    assert not (bundle.path / french).exists()
    assert french not in (bundle.path / "boot.xml").read_text()
    assert [one.language for one in index_of(dropped).renditions if one.type == "AUDIO"] == ["en"]
    assert dropped.is_playable_offline
    assert dropped.verify().findings == ()
    assert origin.requests == []


async def test_another_rendition_becomes_the_default_when_that_one_goes(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    dropped = await library.drop(bundle, *ids(bundle, "aac-en"))
    (left,) = (one for one in index_of(dropped).renditions if one.type == "AUDIO")
    assert (left.language, left.default, left.autoselect) == ("fr", True, True)
    assert dropped.verify().ok


async def test_a_group_without_members_is_named_by_nobody(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    dropped = await library.drop(bundle, *ids(bundle, "aac-en", "aac-fr", "subs-en-forced"))
    index = index_of(dropped)
    assert index.renditions == ()
    assert [(one.audio, one.subtitles) for one in index.variants] == [(None, None)]
    assert dropped.verify().ok


async def test_the_sound_plays_when_the_picture_goes(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path, iframes=True)
    gone = [one.id for one in bundle.streams if one.kind in ("video", "iframes")]
    dropped = await library.drop(bundle, *gone)
    index = index_of(dropped)
    (variant,) = index.variants
    assert variant.uri.endswith(ids(bundle, "aac-en")[0] + "/index.m3u8")
    assert (variant.codecs, variant.resolution, variant.audio) == (("mp4a.40.2",), None, "aac")
    audio = next(one for one in dropped.streams if one.language == "en")
    assert variant.bandwidth >= audio.bytes * 8 / audio.duration
    assert dropped.verify().ok
    assert dropped.is_playable_offline


def two_with_keys(origin: ScriptedOrigin) -> str:
    """A picture and a sound of one encrypted segment each."""
    for name in ("v", "a"):
        origin.add(f"/{name}.key", name.encode() * 16)
        origin.add(f"/{name}.ts", bytes(32))
        key = f'#EXT-X-KEY:METHOD=AES-128,URI="{name}.key"\n'
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{key}#EXTINF:4,\n{name}.ts\n#EXT-X-ENDLIST\n"
        origin.add(f"/{name}.m3u8", text.encode())
    media = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="E",DEFAULT=YES,AUTOSELECT=YES,URI="a.m3u8"'
    origin.add("/master.m3u8", f'#EXTM3U\n{media}\n#EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO="a"\nv.m3u8\n'.encode())
    return origin.url("/master.m3u8")


async def test_keys_that_nothing_else_uses_go_too(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        bundle = await library.fetch(two_with_keys(origin), output=tmp_path)
    assert len(list((bundle.path / "keys").iterdir())) == 2
    dropped = await library.drop(bundle, bundle.streams[1].id)
    assert [one.read_bytes() for one in (bundle.path / "keys").iterdir()] == [b"v" * 16]
    assert len(dropped.manifest.keys) == 1
    assert dropped.is_playable_offline


async def test_gaps_that_were_allowed_stay_gaps(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.always("/film/sdr-360/3.m4s", Status(404))
    bundle = await fetched(origin, tmp_path, allow_gaps=True, retries=1)
    dropped = await library.drop(bundle, *ids(bundle, "aac-fr"))
    assert (dropped.streams[0].segments, dropped.streams[0].gaps) == (4, 1)
    assert dropped.verify().ok


async def test_what_is_unknown_or_would_leave_nothing_is_refused(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    before = (bundle.path / "manifest.json").read_bytes()
    with pytest.raises(UsageError, match="`1-NONE`, `2-NONE`"):
        await library.drop(bundle, bundle.streams[0].id, "1-NONE", "2-NONE")
    with pytest.raises(UsageError) as refused:
        await library.drop(bundle, *ids(bundle, "sdr-360", "aac-en", "aac-fr"))
    assert "hlsdl rm" in (refused.value.hint or "")
    with pytest.raises(UsageError, match="no stream was named"):
        await library.drop(bundle)
    with pytest.raises(UsageError, match="nothing is there"):
        await library.drop(tmp_path / "none.movpkg", "1-NONE")
    assert (bundle.path / "manifest.json").read_bytes() == before


async def test_a_bundle_whose_rest_is_damaged_is_left_as_it_is(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    next(iter(bundle.path.glob("0-*/000000002.m4s"))).unlink()
    with pytest.raises(IntegrityError, match="damaged"):
        await library.drop(bundle, *ids(bundle, "aac-fr"))
    assert held(library.open(bundle.path)) == held(bundle)


async def test_a_damaged_stream_can_be_dropped(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    (french,) = ids(bundle, "aac-fr")
    next(iter((bundle.path / french).glob("*.m4s"))).unlink()
    assert (await library.drop(bundle, french)).verify().ok


# --- what was dropped stays away --------------------------------------------------------------------------------


async def test_neither_fetch_nor_repair_bring_it_back(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    await library.drop(bundle, *ids(bundle, "aac-fr"))
    again = await fetched(origin, tmp_path)
    assert "aac-fr" not in held(again)
    next(iter(bundle.path.glob("0-*/000000002.m4s"))).unlink()
    done = hlsdl("repair", bundle.path, "--json")
    assert done.document["ok"], done.err
    assert "aac-fr" not in held(library.open(bundle.path))
    assert [one.path for one in origin.requests] == ["/film/sdr-360/2.m4s"]


async def test_another_language_does_not_bring_it_back(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    await library.drop(bundle, *ids(bundle, "aac-fr", "subs-en-forced"))
    added = await library.add(bundle, audio="de")
    assert held(added) == {"sdr-360", "aac-en", "aac-de"}
    added = await library.add(bundle, subs="fr")
    assert held(added) == {"sdr-360", "aac-en", "aac-de", "subs-fr"}
    assert added.verify().ok


async def test_it_comes_back_when_it_is_asked_for_again(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    for _ in range(2):
        await library.drop(bundle, *ids(bundle, "aac-fr"))
        origin.clear_requests()
        added = await library.add(bundle, audio="fr")
        assert "aac-fr" in held(added)
        assert {request.path.split("/")[2] for request in origin.requests} == {"aac-fr"}
        assert added.verify().ok
    await library.drop(bundle, *ids(bundle, "aac-fr"))
    again = await fetched(origin, tmp_path, audio=["en", "fr", "de"])
    assert held(again) >= {"aac-fr", "aac-de"}


async def test_an_old_manifest_without_drops_loads(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    assert "dropped" not in json.loads((bundle.path / "manifest.json").read_text())["choices"]


async def test_an_unfinished_bundle_goes_on_without_it(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.always("/film/aac-en/3.m4s", Status(403))
    with pytest.raises(library.HttpError):
        await fetched(origin, tmp_path, connections=1)
    path = tmp_path / "master.movpkg"
    path = path if path.exists() else tmp_path / "A film.movpkg"
    bundle = library.open(path)
    dropped = await library.drop(bundle, *ids(bundle, "aac-en"))
    assert dropped.state == "partial"
    again = await fetched(origin, tmp_path)
    assert held(again) == {"sdr-360", "aac-fr", "subs-en-forced"}
    assert again.verify().ok


async def test_an_addition_that_failed_can_be_dropped_and_leaves_the_bundle_whole(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    bundle = await fetched(origin, tmp_path)
    origin.always("/film/aac-de/3.m4s", Status(404))
    with pytest.raises(library.HttpError):
        await library.add(bundle, audio="de", retries=1)
    partial = library.open(bundle.path)
    assert partial.state == "partial"
    whole = await library.drop(partial, *ids(partial, "aac-de"))
    assert whole.state == "complete"
    assert whole.verify().ok


# --- killed at every step ---------------------------------------------------------------------------------------

PROGRAM = """
import os, sys
from pathlib import Path
from hlsdl.bundle import durable, ledger
from hlsdl.session.dropping import drop

left = int(sys.argv[1])

def counted(place, name):
    original = getattr(place, name)
    def step(*arguments, **named):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return original(*arguments, **named)
    setattr(place, name, step)

for place, name in (
    (durable.Folder, "unlink"), (durable.Folder, "rename"), (durable.Folder, "remove_child"),
    (durable, "replace_durably"), (ledger, "write_all"), (ledger, "replace_durably"),
):
    counted(place, name)
drop(Path(sys.argv[2]), sys.argv[3:])
"""


async def test_killed_between_any_two_steps_it_is_finished_by_the_next_run(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        bundle = await library.fetch(two_with_keys(origin), output=tmp_path / "first", title="A film")
    picture, sound = bundle.streams
    outcomes: set[str] = set()
    for step in range(100):
        path = tmp_path / f"{step}" / "A film.movpkg"
        shutil.copytree(bundle.path, path)
        program = [sys.executable, "-c", PROGRAM, str(step), str(path), sound.id]
        done = subprocess.run(program, check=False, env=environment(), capture_output=True, text=True)
        killed = library.open(path)
        assert all(playlist.is_file() for playlist in local_playlists(path)), step
        if killed.verify().ok:
            outcomes.add("before" if len(killed.streams) == 2 else "after")
        else:
            # The origin is gone: whichever run is next, it needs nothing but what is stored.
            outcomes.add("between")
            whole = await library.drop(path, sound.id) if step % 2 else None
            assert whole or hlsdl("repair", path).code == 0
            assert [one.id for one in library.open(path).streams] == [picture.id]
            assert library.open(path).verify().findings == (), step
            assert not (path / sound.id).exists()
        shutil.rmtree(path)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
    assert outcomes == {"before", "between", "after"}


def test_the_command_shows_what_is_left(origin: ScriptedOrigin, tmp_path: Path) -> None:
    url = origin.url("/film/master.m3u8")
    bundle = blocking.fetch(url, hdr=False, multichannel=False, audio=["en", "fr"], output=tmp_path)
    (french,) = ids(bundle, "aac-fr")
    assert hlsdl("drop", bundle.path, "1-NOTHING").code == 2
    shown = hlsdl("drop", bundle.path, french[:10])
    assert shown.code == 0, shown.err
    assert french[:10] not in shown.out
    document = hlsdl("drop", bundle.path, *ids(bundle, "subs-en-forced"), "--json").document
    assert document["schema"] == "hlsdl.bundle/1"
    assert document["playable_offline"]
    assert [one["kind"] for one in document["streams"]] == ["video", "audio"]
    last = hlsdl("drop", bundle.path, *[one["id"] for one in document["streams"]])
    assert last.code == 2
    assert "hlsdl rm" in last.err
    assert blocking.drop(bundle.path, *ids(bundle, "aac-en")).is_playable_offline
