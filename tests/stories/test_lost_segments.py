"""A bundle that does without segments its source had lost: what is added leaves it whole, and a repair asks again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Done, hlsdl

from hlsdl.bundle.reading import Bundle
from hlsdl.testing import ScriptedOrigin, Status

LOST = "/film/sdr-360/3.m4s"


@pytest.fixture
def origin(film: Path) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        server.add_folder(film, at="/film")
        yield server


@pytest.fixture
def bundle(origin: ScriptedOrigin, tmp_path: Path) -> Path:
    """Its video has a gap."""
    origin.always(LOST, Status(404))
    bundle = tmp_path / "f.movpkg"
    assert fetched(origin, bundle, "--allow-gaps").code == 0
    return bundle


def fetched(origin: ScriptedOrigin, bundle: Path, *flags: str) -> Done:
    return hlsdl("fetch", origin.url("/film/master.m3u8"), "--no-hdr", "--audio", "en", "-o", bundle, *flags)


def held(bundle: Path) -> tuple[str, int, int]:
    """(state, segments, gaps) of the video."""
    read = Bundle.open(bundle)
    return read.state, read.streams[0].segments, read.streams[0].gaps


def media(bundle: Path) -> dict[str, bytes]:
    """What a player may ask for."""
    return {
        str(one.relative_to(bundle)): one.read_bytes() for one in bundle.rglob("*.m*") if one.name != "manifest.json"
    }


def test_what_is_added_leaves_the_gap_and_the_bundle_whole(origin: ScriptedOrigin, bundle: Path) -> None:
    asked = origin.count(LOST)
    assert hlsdl("add", bundle, "--audio", "fr").code == 0
    assert held(bundle) == ("complete", 4, 1)
    assert "fr" in {one.language for one in Bundle.open(bundle).streams}
    assert origin.count(LOST) == asked
    assert hlsdl("verify", bundle).code == 0


def test_an_addition_that_was_interrupted_is_finished_with_the_gap(origin: ScriptedOrigin, bundle: Path) -> None:
    origin.always("/film/aac-fr/2.m4s", Status(404))
    assert hlsdl("add", bundle, "--audio", "fr").code == 4
    assert held(bundle)[0] == "partial"
    origin.always("/film/aac-fr/2.m4s")
    assert hlsdl("add", bundle, "--audio", "fr").code == 0
    assert held(bundle) == ("complete", 4, 1)


def test_a_gap_is_no_leave_for_others(origin: ScriptedOrigin, bundle: Path) -> None:
    origin.always("/film/aac-fr/2.m4s", Status(404))
    assert hlsdl("add", bundle, "--audio", "fr").code == 4


def test_the_same_command_says_what_is_missing_and_asks_for_nothing(origin: ScriptedOrigin, bundle: Path) -> None:
    asked = len(origin.requests)
    again = fetched(origin, bundle)
    assert (again.code, len(origin.requests)) == (0, asked)
    assert "a segment was lost by the origin and is a gap" in again.err


def test_a_repair_fills_the_gap_once_the_segment_is_back(origin: ScriptedOrigin, bundle: Path) -> None:
    origin.always(LOST)
    assert hlsdl("repair", bundle).code == 0
    assert held(bundle) == ("complete", 5, 0)
    assert "EXT-X-GAP" not in (bundle / Bundle.open(bundle).streams[0].playlist).read_text()
    assert hlsdl("verify", bundle, "--json").document["findings"] == []
    assert "gap" not in fetched(origin, bundle).err


def test_a_repair_mends_what_is_damaged_though_the_gap_stays(origin: ScriptedOrigin, bundle: Path) -> None:
    before = media(bundle)
    min(bundle.glob("0-*/0*.m4s")).unlink()
    done = hlsdl("repair", bundle)
    assert done.code == 0
    assert "segment 3 is gone at the origin and stays a gap" in done.err
    assert held(bundle) == ("complete", 4, 1)
    assert media(bundle) == before


@pytest.mark.parametrize("what", ["master.m3u8", "sdr-360/index.m3u8"])
def test_where_nothing_but_gaps_is_to_be_mended_a_silent_origin_is_no_failure(
    origin: ScriptedOrigin, bundle: Path, what: str
) -> None:
    before = media(bundle)
    for path in (LOST, f"/film/{what}"):
        origin.always(path, Status(503, headers={"Retry-After": "0"}))
    done = hlsdl("repair", bundle, "--retries", "0")
    assert done.code == 0
    assert "what was left out cannot be asked for" in done.err
    assert held(bundle) == ("complete", 4, 1)
    assert media(bundle) == before


def test_no_gap_is_filled_out_of_another_encode(origin: ScriptedOrigin, bundle: Path, film: Path) -> None:
    origin.always(LOST)
    shorter = (film / "sdr-360/index.m3u8").read_text().replace("#EXTINF:2", "#EXTINF:1", 1)
    assert shorter != (film / "sdr-360/index.m3u8").read_text()
    origin.add("/film/sdr-360/index.m3u8", shorter.encode())
    done = hlsdl("repair", bundle)
    assert (done.code, held(bundle)) == (0, ("complete", 4, 1))
    assert "what was left out cannot be asked for" in done.err


def test_a_gap_that_came_and_a_segment_that_is_lost_are_two_things(origin: ScriptedOrigin, bundle: Path) -> None:
    """They must not make up for each other: what is lost stays lost, and nothing else is stored in its place."""
    victim = min(bundle.glob("0-*/000000001.m4s"))
    was = victim.read_bytes()
    victim.unlink()
    origin.always(LOST)
    origin.always("/film/sdr-360/1.m4s", Status(404))
    assert hlsdl("repair", bundle).code == 4
    assert hlsdl("info", bundle, "--json").document["playable_offline"] is False
    assert fetched(origin, bundle).code == 4
    other = next(one.id for one in Bundle.open(bundle).streams if one.kind == "subtitles")
    assert hlsdl("drop", bundle, other).code == 8
    origin.always("/film/sdr-360/1.m4s")
    origin.add("/film/sdr-360/1.m4s", was[:-1] + bytes([was[-1] ^ 1]))
    assert hlsdl("repair", bundle).code == 8
    origin.add("/film/sdr-360/1.m4s", was)
    assert hlsdl("repair", bundle).code == 0
    assert (held(bundle), victim.read_bytes()) == (("complete", 5, 0), was)


def test_a_repair_that_fills_one_gap_of_two_leaves_the_bundle_whole(origin: ScriptedOrigin, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    for number in (2, 3):
        origin.always(f"/film/sdr-360/{number}.m4s", Status(404))
    assert fetched(origin, bundle, "--allow-gaps").code == 0
    origin.always("/film/sdr-360/2.m4s")
    origin.always(LOST, Status(503, headers={"Retry-After": "0"}))
    done = hlsdl("repair", bundle, "--retries", "0", "-N", "1")
    assert (done.code, "what was left out cannot be asked for" in done.err) == (0, True)
    assert hlsdl("info", bundle, "--json").document["playable_offline"] is True
    origin.always(LOST, Status(404))
    assert hlsdl("add", bundle, "--audio", "fr").code == 0
    assert held(bundle) == ("complete", 4, 1)
    assert hlsdl("verify", bundle).code == 0


def test_a_bundle_that_does_not_say_which_segments_are_gaps_has_as_many_as_it_counts(
    origin: ScriptedOrigin, bundle: Path
) -> None:
    """As those that were made before gaps were written down."""
    file = bundle / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["choices"]["gaps"]
    file.write_text(json.dumps({**manifest, "checksum": None}))
    assert hlsdl("import", bundle, "-o", bundle.with_name("i.movpkg")).code == 0
    assert hlsdl("verify", bundle.with_name("i.movpkg")).code == 0
    assert hlsdl("add", bundle, "--audio", "fr").code == 0
    assert held(bundle) == ("complete", 4, 1)
    origin.always(LOST)
    assert hlsdl("repair", bundle).code == 0
    assert held(bundle) == ("complete", 5, 0)
