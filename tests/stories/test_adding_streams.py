"""More for a bundle that is there: what is named comes, what is stored is not fetched again, the picture stays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commands import hlsdl

import hlsdl as library
import hlsdl.sync as blocking
from hlsdl.errors import HttpError, IntegrityError, LockedError, SelectionError, UsageError
from hlsdl.testing import Answer, Behaviour, Hold, Request, ScriptedOrigin, Serve, Status


@pytest.fixture
def origin(film: Path) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        server.add_folder(film, at="/film")
        yield server


async def fetched(origin: ScriptedOrigin, folder: Path, **flags: object) -> library.Bundle:
    wanted = {"hdr": False, "multichannel": False, "max_size": (320, 180), **flags}
    bundle = await library.fetch(origin.url("/film/master.m3u8"), output=folder, **wanted)
    origin.clear_requests()
    return bundle


def asked(origin: ScriptedOrigin) -> set[str]:
    """The folders of the origin that were asked for."""
    return {request.path.split("/")[2] for request in origin.requests}


def held(bundle: library.Bundle) -> list[str]:
    return [one.source_url.split("/film/")[-1].partition("/")[0] for one in bundle.streams]


async def test_adding_french_fetches_only_french(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in bundle.path.rglob("0*.m4s")}
    added = await library.add(bundle, audio="fr")
    assert asked(origin) == {"aac-fr"}
    assert held(added) == ["sdr-180", "aac-en", "subs-en-forced", "aac-fr"]
    assert added.is_playable_offline
    assert added.verify().ok
    assert {path: path.stat().st_mtime_ns for path in before} == before


async def test_the_picture_stays_though_the_limits_of_the_first_time_are_not_said_again(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    bundle = await fetched(origin, tmp_path)
    await library.add(bundle, subs="fr")
    added = await library.add(bundle.path, iframes=True)
    assert {one.split("/")[0] for one in held(added)} == {"sdr-180", "aac-en", "subs-en-forced", "subs-fr"}
    assert [one.kind for one in added.streams].count("video") == 1
    assert [one.resolution for one in added.streams if one.kind == "iframes"] == [(320, 180)]


async def test_a_named_limit_adds_a_better_picture_with_all_the_languages(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    bundle = await fetched(origin, tmp_path)
    await library.add(bundle, audio="de")
    origin.clear_requests()
    added = await library.add(bundle, min_size=(640, 360))
    assert asked(origin) == {"sdr-360"}
    index = (added.path / "index.m3u8").read_text()
    assert index.count("#EXT-X-STREAM-INF") == 2
    assert index.count("TYPE=AUDIO") == 2
    assert added.verify().ok


async def test_an_expression_adds_another_variant(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    added = await library.add(bundle, where="height > 300", hdr=True)
    assert asked(origin) == {"pq-360"}
    assert added.is_playable_offline


async def test_what_is_there_already_needs_no_origin(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    origin.always("*", Status(500))
    added = await library.add(bundle, audio="en")
    assert origin.requests == []
    assert held(added) == held(bundle)
    assert added.is_playable_offline


async def test_a_language_that_is_not_there_leaves_the_bundle_as_it_was(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    before = (bundle.path / "manifest.json").read_bytes()
    with pytest.raises(SelectionError):
        await library.add(bundle, audio="ja")
    assert (bundle.path / "manifest.json").read_bytes() == before


async def test_something_must_be_named(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    with pytest.raises(UsageError, match="nothing to add"):
        await library.add(bundle)
    with pytest.raises(UsageError, match="`output`"):
        await library.add(bundle, audio="fr", output=tmp_path)
    with pytest.raises(UsageError, match="nothing is there"):
        await library.add(tmp_path / "none.movpkg", audio="fr")


async def test_one_stream_as_the_source_has_nothing_to_add(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await library.fetch(origin.url("/film/sdr-180/index.m3u8"), output=tmp_path)
    with pytest.raises(SelectionError, match="one stream"):
        await library.add(bundle, audio="fr")


async def test_a_title_and_a_picture_may_be_added(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    added = await library.add(bundle, title="Another name", artwork=str(picture))
    assert origin.requests == []
    assert added.title == library.open(bundle.path).title == "Another name"
    assert (bundle.path / "Data" / "artwork.png").read_bytes() == picture.read_bytes()
    assert added.verify().ok
    other = await library.add(bundle, artwork=b"GIF89a" + bytes(20))
    assert [file.name for file in (bundle.path / "Data").glob("artwork.*")] == ["artwork.gif"]
    assert other.verify().ok


class Expiring:
    """Addresses carry the token of now, in the playlists and in what is asked."""

    def __init__(self) -> None:
        self.token = 1

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.path == "/film/master.m3u8":
            text = answer.body.decode().replace("index.m3u8", f"index.m3u8?token={self.token}")
            return replace(answer, body=text.encode())
        if request.path.endswith("index.m3u8") and request.target.rpartition("=")[2] != str(self.token):
            return Status(403).apply(request, answer)
        return answer


async def test_addresses_that_expired_since_are_read_again_from_the_source(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    rule = Expiring()
    origin.always("*", rule)
    bundle = await fetched(origin, tmp_path)
    rule.token = 2
    added = await library.add(bundle, audio="fr", subs="fr")
    assert asked(origin) == {"aac-fr", "subs-fr", "master.m3u8"}
    assert origin.count("/film/master.m3u8") == 1
    assert added.verify().ok
    origin.clear_requests()
    rule.token = 3
    again = await library.add(bundle, audio="de")
    assert asked(origin) == {"aac-de", "master.m3u8"}
    assert again.verify().ok


async def test_a_source_that_offers_other_streams_now_is_not_mixed_in(origin: ScriptedOrigin, tmp_path: Path) -> None:
    rule = Expiring()
    origin.always("*", rule)
    bundle = await fetched(origin, tmp_path)

    class Changed(Expiring):
        def apply(self, request: Request, answer: Answer) -> Answer:
            answer = super().apply(request, answer)
            if request.path == "/film/master.m3u8":
                return replace(answer, body=answer.body.replace(b"Fran\xc3\xa7ais", b"Francais"))
            return answer

    changed = Changed()
    changed.token = 2
    origin.always("*", changed)
    with pytest.raises(IntegrityError, match="has changed"):
        await library.add(bundle, audio="fr")
    assert library.open(bundle.path).is_playable_offline


def test_the_command_adds_and_says_where(origin: ScriptedOrigin, tmp_path: Path) -> None:
    url = origin.url("/film/master.m3u8")
    bundle = hlsdl("fetch", url, "--no-hdr", "--no-multichannel", "--max-size", "320x180", "-P", tmp_path).out.strip()
    origin.clear_requests()
    done = hlsdl("add", bundle, "--audio", "fr", "--subs", "none", "--json", HLSDL_MAX_SIZE="640x360")
    assert done.code == 0, done.err
    assert asked(origin) == {"aac-fr"}
    document = done.document
    assert document["schema"] == "hlsdl.bundle/1"
    assert document["fetched"]["segments"] == 5
    assert hlsdl("add", bundle, "--audio", "de").out.strip() == bundle
    assert hlsdl("add", bundle, "--audio", "ja").code == 6
    assert hlsdl("add", bundle).code == 2
    assert hlsdl("add", tmp_path, "--audio", "fr").code == 2


def test_scripts_without_async_add_too(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = blocking.fetch(origin.url("/film/master.m3u8"), hdr=False, output=tmp_path)
    assert ("audio", "fr") in [(one.kind, one.language) for one in blocking.add(bundle, audio="fr").streams]


async def test_an_addition_that_was_interrupted_goes_on_with_either_command(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    bundle = await fetched(origin, tmp_path)
    origin.always("/film/aac-fr/3.m4s", Status(404))
    with pytest.raises(HttpError):
        await library.add(bundle, audio="fr", connections=1)
    assert library.open(bundle.path).state == "partial"
    origin.always("/film/aac-fr/3.m4s", Serve())
    again = await fetched(origin, tmp_path)
    assert held(again) == ["sdr-180", "aac-en", "subs-en-forced", "aac-fr"]
    assert again.verify().ok


@pytest.mark.parametrize("change", ["add", "drop"])
async def test_who_planned_before_somebody_else_changed_the_bundle_undoes_nothing(
    origin: ScriptedOrigin, tmp_path: Path, change: str
) -> None:
    bundle = await fetched(origin, tmp_path, audio=["en", "de"])
    gate = threading.Event()
    origin.always("/film/aac-fr/index.m3u8", Hold(gate))
    adding = asyncio.create_task(library.add(bundle, audio="fr"))
    await asyncio.to_thread(origin.wait_for, "/film/aac-fr/index.m3u8")
    if change == "add":
        await library.add(bundle, subs="fr")
    else:
        await library.drop(bundle, next(one.id for one in bundle.streams if one.language == "de"))
    changed = library.open(bundle.path)
    gate.set()
    with pytest.raises(LockedError, match="another run has changed"):
        await adding
    now = library.open(bundle.path)
    assert now.is_playable_offline
    assert held(now) == held(changed) != held(bundle)
    assert now.verify().ok
    added = await library.add(bundle, audio="fr")
    assert set(held(added)) == {*held(changed), "aac-fr"}


async def test_who_was_second_at_a_new_place_undoes_nothing(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Two programs name the same new bundle; the first is done while the second reads the playlists."""
    gate = threading.Event()
    origin.always("/film/aac-de/index.m3u8", Hold(gate))
    second = asyncio.create_task(fetched(origin, tmp_path / "x.movpkg", audio="de"))
    await asyncio.to_thread(origin.wait_for, "/film/aac-de/index.m3u8")
    first = await fetched(origin, tmp_path / "x.movpkg", audio="en")
    gate.set()
    with pytest.raises(LockedError, match="another run has changed"):
        await second
    assert held(library.open(first.path)) == held(first)
    assert held(await fetched(origin, tmp_path / "x.movpkg", audio="de"))[-1] == "aac-de"


async def test_who_starts_over_what_another_run_has_finished_meanwhile_is_told(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    place, lost = tmp_path / "x.movpkg", "/film/aac-en/1.m4s"
    origin.always(lost, Status(404))
    with pytest.raises(HttpError):
        await fetched(origin, place)
    origin.always(lost)
    gate = threading.Event()
    origin.script("/film/master.m3u8", Hold(gate))
    again = asyncio.create_task(fetched(origin, place, resume=False))
    await asyncio.to_thread(origin.wait_for, "/film/master.m3u8", 2)
    origin.clear_requests()
    bundle = await fetched(origin, place)
    gate.set()
    with pytest.raises(LockedError, match="another run has finished"):
        await again
    assert library.open(bundle.path).is_playable_offline


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("answer", [Status(404), Serve()], ids=["gone", "other bytes"])
async def test_what_is_damaged_for_good_keeps_nothing_from_being_added(
    origin: ScriptedOrigin, tmp_path: Path, answer: Behaviour
) -> None:
    """A film with a flaw is more than half a film: it stays one, and gets its French."""
    bundle = await fetched(origin, tmp_path)
    victim = min(bundle.path.glob("0-*/000000002.m4s"))
    flip(victim)
    if isinstance(answer, Serve):
        origin.add("/film/sdr-180/2.m4s", victim.read_bytes() + b"x")
    else:
        origin.always("/film/sdr-180/2.m4s", answer)
    assert hlsdl("repair", bundle.path, "--retries", "1").code in (4, 8)
    heard: list[str] = []
    added = await library.add(
        bundle.path, audio="fr", retries=1, emit=lambda event: heard.append(getattr(event, "message", ""))
    )
    assert (added.state, held(added)[-1]) == ("complete", "aac-fr")
    assert any("is damaged, and did not come again" in one for one in heard)
    assert [one.path for one in added.verify().findings] == [victim.relative_to(bundle.path).as_posix()]
    assert victim.is_file()


def serve_encrypted(origin: ScriptedOrigin, *encrypted: str) -> str:
    """A picture with English and French, a segment each; of these names with a key of its own."""
    for name in ("v", "en", "fr"):
        tag = f'#EXT-X-KEY:METHOD=AES-128,URI="{name}.key"\n' if name in encrypted else ""
        origin.add(f"/{name}.key", name[:1].encode() * 16)
        origin.add(f"/{name}.ts", bytes(32) if tag else b"G" + bytes(187))
        head = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{tag}"
        origin.add(f"/{name}.m3u8", f"{head}#EXTINF:4,\n{name}.ts\n#EXT-X-ENDLIST\n".encode())
    media = "".join(
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="{one}",LANGUAGE="{one}",DEFAULT={yes},URI="{one}.m3u8"\n'
        for one, yes in (("en", "YES"), ("fr", "NO"))
    )
    origin.add("/m.m3u8", f'#EXTM3U\n{media}#EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO="a"\nv.m3u8\n'.encode())
    return origin.url("/m.m3u8")


async def test_a_damaged_key_keeps_nothing_from_being_added(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        bundle = await library.fetch(serve_encrypted(origin, "v"), output=tmp_path)
        flip(next(bundle.path.glob("keys/*")))
        origin.always("/v.key", Status(410))
        added = await library.add(bundle.path, audio="fr", retries=1)
        assert (added.state, len(added.streams)) == ("complete", 3)
        assert [one.path.partition("/")[0] for one in added.verify().findings] == ["keys"]
        origin.always("/v.key")
        assert hlsdl("repair", bundle.path).code == 0


async def test_an_addition_that_fails_leaves_what_was_there_playable(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    origin.always("/film/aac-fr/3.m4s", Status(404))
    with pytest.raises(HttpError):
        await library.add(bundle, audio="fr", retries=1)
    now = library.open(bundle.path)
    assert (now.state, now.is_playable_offline) == ("partial", True)
    french = next(one.id for one in now.streams if one.language == "fr")
    assert hlsdl("info", bundle.path).out.count("yes, as before the rest was asked for") == 1
    min(bundle.path.glob("0-*/000000001.m4s")).rename(tmp_path / "away")
    assert not library.open(bundle.path).is_playable_offline
    (tmp_path / "away").rename(next(bundle.path.glob("0-*")) / "000000001.m4s")
    dropped = await library.drop(bundle.path, french)
    assert (dropped.state, dropped.is_playable_offline, dropped.verify().ok) == ("complete", True, True)


async def test_an_addition_that_failed_goes_on_and_the_whole_is_sealed(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = await fetched(origin, tmp_path)
    origin.always("/film/aac-fr/3.m4s", Status(404))
    with pytest.raises(HttpError):
        await library.add(bundle, audio="fr", retries=1)
    origin.always("/film/aac-fr/3.m4s")
    added = await library.add(bundle.path, audio="fr")
    assert (added.state, added.verify().ok, held(added)[-1]) == ("complete", True, "aac-fr")


async def test_what_is_damaged_of_the_new_stream_must_come(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Nothing of it was ever sealed: it has no flaw that may stay."""
    bundle = await fetched(origin, tmp_path)
    origin.always("/film/aac-fr/3.m4s", Status(404))
    with pytest.raises(HttpError):
        await library.add(bundle, audio="fr", retries=1, connections=1)
    french = next(one.id for one in library.open(bundle.path).streams if one.language == "fr")
    victim = bundle.path / french / "000000001.m4s"
    victim.write_bytes(victim.read_bytes()[:-9])
    origin.always("/film/aac-fr/3.m4s")
    origin.always("/film/aac-fr/1.m4s", Status(404))
    with pytest.raises(HttpError):
        await library.add(bundle.path, audio="fr", retries=1)
    assert library.open(bundle.path).is_playable_offline
    origin.always("/film/aac-fr/1.m4s")
    assert (await library.add(bundle.path, audio="fr")).verify().ok


async def test_a_key_of_the_new_stream_that_does_not_come_leaves_the_old_ones_playable(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        bundle = await library.fetch(serve_encrypted(origin, "v", "fr"), output=tmp_path)
        origin.remove("/fr.key")
        with pytest.raises(HttpError):
            await library.add(bundle.path, audio="fr", retries=1)
        now = library.open(bundle.path)
        assert (now.state, now.is_playable_offline) == ("partial", True)
        next(bundle.path.glob("keys/*")).rename(tmp_path / "away")
        assert not library.open(bundle.path).is_playable_offline


async def test_one_more_stream_can_go_while_something_is_added(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """What was sealed still plays without it, and its flaw still keeps nobody from the rest."""
    bundle = await fetched(origin, tmp_path, audio="en,de")
    victim = min(bundle.path.glob("0-*/000000002.m4s"))
    flip(victim)
    origin.always("/film/sdr-180/2.m4s", Status(404))
    assert hlsdl("repair", bundle.path, "--retries", "1").code == 4
    origin.always("/film/aac-fr/3.m4s", Status(404))
    with pytest.raises(HttpError):
        await library.add(bundle.path, audio="fr", retries=1)
    german = next(one.id for one in library.open(bundle.path).streams if one.language == "de")
    dropped = await library.drop(bundle.path, german)
    assert (dropped.state, dropped.is_playable_offline) == ("partial", True)
    origin.always("/film/aac-fr/3.m4s")
    added = await library.add(bundle.path, audio="fr", retries=1)
    assert added.state == "complete"
    assert [one.path for one in added.verify().findings] == [victim.relative_to(bundle.path).as_posix()]
