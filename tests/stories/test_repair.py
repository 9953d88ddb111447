"""Repair mends also what came broken from its origin, where the hash says that it is as it came.

Where it can mend nothing, the bundle is what it was: a film with a flaw is more than half a film.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import hlsdl, start

from hlsdl.testing import ScriptedOrigin, Status


def test_a_segment_that_was_cut_on_disk_must_come_back_as_it_was(film: Path, tmp_path: Path) -> None:
    """It is malformed as well, but its hash says what it should be, and the origin has something else by now."""
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        whole = (film / "aac-en" / "3.m4s").read_bytes()
        [stored] = [path for path in bundle.glob("0-*/*.m4s") if path.read_bytes() == whole]
        stored.write_bytes(whole[:-700])
        origin.add("/v/3.m4s", whole[:-1] + b"x")
        refused = hlsdl("repair", bundle)
        assert (refused.code, "has other bytes now" in refused.err) == (8, True)
        assert stored.read_bytes() == whole[:-700]
        origin.add("/v/3.m4s", whole)
        assert hlsdl("repair", bundle).code == 0
    assert stored.read_bytes() == whole


def test_a_segment_that_came_cut_with_a_fitting_length_is_replaced_by_the_whole_one(film: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        whole = (film / "aac-en" / "3.m4s").read_bytes()
        origin.add("/v/3.m4s", whole[:-700])
        fetched = hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle)
        assert fetched.code == 0, fetched.err
        assert hlsdl("verify", bundle).code == 8
        assert hlsdl("repair", bundle).code == 8  # it is still served like this
        origin.add("/v/3.m4s", whole)
        before = [request.path for request in origin.requests]
        repaired = hlsdl("repair", bundle)
        assert repaired.code == 0, repaired.err
        again = [request.path for request in origin.requests[len(before) :] if request.path.endswith(".m4s")]
    assert again == ["/v/3.m4s"]
    assert whole in [path.read_bytes() for path in bundle.glob("0-*/*.m4s")]


Damage = Callable[[Path], None]


def flip(file: Path) -> None:
    data = file.read_bytes()
    middle = len(data) // 2
    file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def remove(file: Path) -> None:
    file.unlink()


def files(bundle: Path) -> dict[str, bytes]:
    """Everything that a player may see; the journal may get longer."""
    names = [one for one in bundle.rglob("*") if one.is_file() and one.name not in ("journal.jsonl", "manifest.json")]
    return {str(one.relative_to(bundle)): one.read_bytes() for one in names}


def state(bundle: Path) -> str:
    return str(json.loads((bundle / "manifest.json").read_text())["state"])


@pytest.mark.parametrize("damage", [flip, cut, remove])
@pytest.mark.parametrize("place", ["here", "copied"])
def test_what_cannot_be_mended_is_as_it_was(damage: Damage, place: str, film: Path, tmp_path: Path) -> None:
    """Its origin is gone, or has other bytes: nothing of it is taken, however often. The bundle stays sealed, and plays
    on behind the flaw. Once the origin is right, that segment alone is asked for."""
    bundle, whole = tmp_path / "f.movpkg", (film / "aac-en" / "3.m4s").read_bytes()
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        if place == "copied":
            bundle = Path(shutil.copytree(bundle, tmp_path / "copy.movpkg"))
        victim = next(one for one in bundle.glob("0-*/0*.m4s") if one.read_bytes() == whole)
        damage(victim)
        before = files(bundle)
        for other in (b"<html>gone</html>", whole[:-1] + b"x", whole[:-1] + b"x"):
            origin.add("/v/3.m4s", other)
            assert hlsdl("repair", bundle, "--allow-private", "--retries", "0").code == 8
            assert (files(bundle), state(bundle)) == (before, "complete")
            assert hlsdl("verify", bundle).code == 8
        origin.add("/v/3.m4s", whole)
        asked = len(origin.requests)
        assert hlsdl("repair", bundle, "--allow-private").code == 0
        assert {one.path for one in origin.requests[asked:] if one.path.endswith((".m4s", ".mp4"))} == {"/v/3.m4s"}
    assert victim.read_bytes() == whole
    assert hlsdl("verify", bundle).code == 0


@pytest.mark.parametrize("place", ["here", "copied"])
def test_a_key_that_was_damaged_is_never_another_one(place: str, film: Path, tmp_path: Path) -> None:
    bundle, folder = tmp_path / "f.movpkg", film.parent / "aes128"
    with ScriptedOrigin() as origin:
        origin.add_folder(folder, at="/")
        assert hlsdl("fetch", origin.url("/master.m3u8"), "-o", bundle).code == 0
        if place == "copied":
            bundle = Path(shutil.copytree(bundle, tmp_path / "copy.movpkg"))
        key = min(bundle.glob("keys/*.key"))
        right = key.read_bytes()
        there = next(one for one in folder.rglob("*.key") if one.read_bytes() == right)
        key.write_bytes(bytes(16))
        origin.add(f"/{there.relative_to(folder)}", b"another key 1234")
        for _ in range(2):
            assert hlsdl("repair", bundle, "--allow-private").code == 8
            assert key.read_bytes() == bytes(16)
        origin.add(f"/{there.relative_to(folder)}", right)
        assert hlsdl("repair", bundle, "--allow-private").code == 0
    assert key.read_bytes() == right


@pytest.mark.parametrize("damage", [flip, cut])
def test_session_data_that_cannot_be_had_again_stays_as_it_was(damage: Damage, film: Path, tmp_path: Path) -> None:
    """All else is mended meanwhile. What is not here, and gone there, is left out: tests/stories/test_wishes.py."""
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/")
        assert hlsdl("fetch", origin.url("/master.m3u8"), "-o", bundle).code == 0
        [data] = [one for one in (bundle / "Data").iterdir() if one.suffix in (".json", ".bin")]
        damage(data)
        flip(min(bundle.glob("0-*/0*.m4s")))
        index, left = (bundle / "index.m3u8").read_bytes(), data.read_bytes()
        for body in (None, b'{"other": "data"}'):
            if body is not None:
                origin.add("/credits.json", body)
            else:
                origin.always("/credits.json", Status(404))
            assert hlsdl("repair", bundle, "--retries", "0").code in (4, 8)
            found = hlsdl("verify", bundle, "--json").document["findings"]
            assert {one["path"] for one in found} <= {str(data.relative_to(bundle)), "manifest.json", "index.m3u8"}
            assert found
            assert ((bundle / "index.m3u8").read_bytes(), state(bundle)) == (index, "complete")
            assert data.read_bytes() == left
            origin.always("/credits.json")
        origin.add("/credits.json", (film / "credits.json").read_bytes())
        assert hlsdl("repair", bundle).code == 0
    assert hlsdl("verify", bundle).code == 0


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("place", ["here", "copied"])
def test_a_picture_that_is_damaged_stays_and_is_said_to_have_no_origin(
    damage: Damage, place: str, film: Path, tmp_path: Path
) -> None:
    bundle, picture = tmp_path / "f.movpkg", tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG" + bytes(200))
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle, "--artwork", picture).code == 0
        if place == "copied":
            bundle = Path(shutil.copytree(bundle, tmp_path / "copy.movpkg"))
        damage(bundle / "Data" / "artwork.png")
        flip(min(bundle.glob("0-*/0*.m4s")))
        left = (bundle / "Data" / "artwork.png").read_bytes()
        for _ in range(2):
            done = hlsdl("repair", bundle, "--allow-private")
            assert (done.code, "no origin has it" in done.err) == (8, True)
            found = hlsdl("verify", bundle, "--json").document["findings"]
            assert {one["path"] for one in found} == {"Data/artwork.png"}
            assert (bundle / "Data" / "artwork.png").read_bytes() == left
        assert hlsdl("add", bundle, "--artwork", picture, "--allow-private").code == 0
    assert hlsdl("verify", bundle).code == 0
    assert (bundle / "Data" / "artwork.png").read_bytes() == picture.read_bytes()


def test_an_init_section_is_not_replaced_when_all_that_goes_with_it_is_damaged(film: Path, tmp_path: Path) -> None:
    """Nothing of that stream is stored then, and still it was here: another encode is refused as ever."""
    bundle, folder = tmp_path / "f.movpkg", film / "aac-en"
    text = (folder / "index.m3u8").read_text()
    init = re.search(r'URI="([^"]*)"', text)
    assert init is not None
    with ScriptedOrigin() as origin:
        origin.add_folder(folder, at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        for one in bundle.glob("0-*/0*.m4s"):
            flip(one)
        before = files(bundle)
        origin.add(
            "/v/index.m3u8", re.sub(r"(?m)^([0-9]+\.m4s)$", r"n/\1", text.replace(init[1], f"n/{init[1]}")).encode()
        )
        for one in folder.glob("*.m*"):
            if one.suffix != ".m3u8":
                origin.add(f"/v/n/{one.name}", one.read_bytes() + b"another encode")
                origin.always(f"/v/{one.name}", Status(403))
        assert hlsdl("repair", bundle).code in (4, 8)
        assert (files(bundle), state(bundle)) == (before, "complete")


def test_what_somebody_put_back_is_whole_for_all(film: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/")
        url = origin.url("/master.m3u8")
        assert hlsdl("fetch", url, "-o", bundle, "--audio", "en,fr").code == 0
        victim = min(bundle.glob("0-*/0*.m4s"))
        whole = victim.read_bytes()
        flip(victim)
    assert hlsdl("repair", bundle, "--retries", "0").code == 3
    victim.write_bytes(whole)
    assert hlsdl("repair", bundle).code == 0
    assert hlsdl("fetch", url, "-o", bundle, "--audio", "en,fr").code == 0
    streams = hlsdl("info", bundle, "--json").document["streams"]
    assert hlsdl("drop", bundle, next(one["id"] for one in streams if one["language"] == "fr")).code == 0
    assert hlsdl("verify", bundle).code == 0


def test_another_title_is_no_reason_to_unseal_what_has_a_flaw(film: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        cut(sorted(bundle.glob("0-*/0*.m4s"))[3])
        origin.always("/v/3.m4s", Status(404))
        assert hlsdl("add", bundle, "--title", "New").code == 4
        assert (state(bundle), hlsdl("info", bundle, "--json").document["title"]) == ("complete", "v")
        origin.always("/v/3.m4s")
        assert hlsdl("add", bundle, "--title", "New").code == 0
    assert hlsdl("info", bundle, "--json").document["title"] == "New"
    assert hlsdl("verify", bundle).code == 0


def test_a_damaged_manifest_is_no_reason_to_unseal(film: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        manifest = bundle / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"title": "v"', '"title": "w"'))
        flip(min(bundle.glob("0-*/0*.m4s")))
        for number in range(9):
            origin.always(f"/v/{number}.m4s", Status(404))
        assert hlsdl("repair", bundle).code == 4
        assert state(bundle) == "complete"


def test_a_flaw_is_no_gap_though_gaps_are_allowed(film: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        url = origin.url("/v/index.m3u8")
        assert hlsdl("fetch", url, "-o", bundle).code == 0
        flip(sorted(bundle.glob("0-*/0*.m4s"))[3])
        before = files(bundle)
        origin.always("/v/3.m4s", Status(404))
        assert hlsdl("repair", bundle).code == 4
        assert hlsdl("fetch", url, "-o", bundle, "--allow-gaps").code == 4
        assert (files(bundle), state(bundle)) == (before, "complete")


def test_a_stream_with_a_flaw_can_be_dropped_and_one_beside_it_too(film: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/")
        assert hlsdl("fetch", origin.url("/master.m3u8"), "-o", bundle, "--audio", "en,fr").code == 0
    streams = hlsdl("info", bundle, "--json").document["streams"]
    french, english = (next(one["id"] for one in streams if one["language"] == name) for name in ("fr", "en"))
    flip(min((bundle / french).glob("0*.m4s")))
    assert hlsdl("repair", bundle, "--retries", "0").code == 3
    assert hlsdl("drop", bundle, english).code == 0
    report = hlsdl("verify", bundle, "--json").document
    assert [one["path"].partition("/")[0] for one in report["findings"]] == [french]
    assert state(bundle) == "complete"
    assert hlsdl("drop", bundle, french).code == 0
    assert not (bundle / french).exists()
    assert hlsdl("verify", bundle).code == 0


def test_a_damaged_playlist_stays_too(film: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        url = origin.url("/v/index.m3u8")
        assert hlsdl("fetch", url, "-o", bundle).code == 0
    flip(next(bundle.glob("0-*/source.m3u8")))
    before = files(bundle)
    assert hlsdl("repair", bundle, "--retries", "0").code == 3
    assert (files(bundle), state(bundle)) == (before, "complete")


@pytest.mark.parametrize("again", ["repair", "fetch"])
def test_what_a_killed_repair_began_is_done_by_the_next_and_by_fetch(again: str, film: Path, tmp_path: Path) -> None:
    """The bundle is sealed all the while, and damage that was found is not forgotten."""
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        victims = sorted(bundle.glob("0-*/0*.m4s"))[1:4]
        for one in victims:
            flip(one)
        origin.delay = 0.2
        asked = len(origin.requests)
        repair = start("repair", bundle, "-N", "1")
        origin.wait_for("/v/3.m4s", count=2)
        repair.send_signal(signal.SIGKILL)
        repair.communicate()
        origin.delay = 0.0
        assert len(origin.requests) > asked
        assert all(one.exists() for one in victims)
        assert state(bundle) == "complete"
        assert hlsdl(again, *([origin.url("/v/index.m3u8"), "-o"] if again == "fetch" else []), bundle).code == 0
    assert hlsdl("verify", bundle).code == 0


@pytest.mark.parametrize("again", ["repair", "fetch"])
def test_what_a_killed_run_left_is_removed_though_nothing_else_is_to_be_done(
    again: str, film: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        before = files(bundle)
        [stream] = bundle.glob("0-*/index.m3u8")
        left = [bundle / ".manifest.json.01234567.part", stream.parent / ".index.m3u8.89abcdef.part"]
        for one in left:
            one.write_bytes(b"half of")
        foreign = bundle / ".manifest.json.part"
        foreign.write_bytes(b"not ours")
        asked = len(origin.requests)
        hlsdl(again, *([origin.url("/v/index.m3u8"), "-o"] if again == "fetch" else []), bundle)
        assert len(origin.requests) == asked
    assert not any(one.exists() for one in left)
    assert foreign.read_bytes() == b"not ours"
    foreign.unlink()
    assert (files(bundle), hlsdl("verify", bundle).code) == (before, 0)
