"""Repair mends also what came broken from its origin, where the hash says that it is as it came.

Where it can mend nothing, the bundle is what it was: a film with a flaw is more than half a film.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import hlsdl, start

from hlsdl.testing import ScriptedOrigin


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
        assert not stored.exists()
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
    file.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])


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


def test_a_flaw_stays_where_it_is_when_its_origin_is_gone(film: Path, tmp_path: Path) -> None:
    """It plays as it played, to the end; once the origin is back, that segment alone is asked for."""
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        flip(sorted(bundle.glob("0-*/0*.m4s"))[3])
        before = files(bundle)
        origin.add("/v/3.m4s", b"<html>gone</html>")
        for _ in range(2):
            assert hlsdl("repair", bundle, "--retries", "0").code in (3, 4, 8)
            assert (files(bundle), state(bundle)) == (before, "complete")
            verified = hlsdl("verify", bundle, "--json").document["findings"]
            assert [one["code"] for one in verified] == ["hash-mismatch"]
        origin.add("/v/3.m4s", (film / "aac-en" / "3.m4s").read_bytes())
        asked = len(origin.requests)
        assert hlsdl("repair", bundle).code == 0
        assert [one.path for one in origin.requests[asked:] if one.path.endswith((".m4s", ".mp4"))] == ["/v/3.m4s"]
    assert hlsdl("verify", bundle).code == 0


@pytest.mark.parametrize("damage", [cut, remove])
def test_what_is_short_or_missing_costs_nothing_more_either(damage: Damage, film: Path, tmp_path: Path) -> None:
    """The bundle stays sealed, so a player may go on behind the hole; and the same bytes must come."""
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film / "aac-en", at="/v")
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        whole = (film / "aac-en" / "3.m4s").read_bytes()
        victim = next(one for one in bundle.glob("0-*/0*.m4s") if one.read_bytes() == whole)
        damage(victim)
        for other in (b"<html>gone</html>", whole[:-1] + b"x"):
            origin.add("/v/3.m4s", other)
            assert hlsdl("repair", bundle, "--retries", "0").code == 8
            assert state(bundle) == "complete"
            assert hlsdl("verify", bundle).code == 8
        origin.add("/v/3.m4s", whole)
        assert hlsdl("repair", bundle).code == 0
    assert victim.read_bytes() == whole
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


def test_a_repair_that_is_killed_is_repeated(film: Path, tmp_path: Path) -> None:
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
        assert hlsdl("repair", bundle).code == 0
    assert hlsdl("verify", bundle).code == 0
