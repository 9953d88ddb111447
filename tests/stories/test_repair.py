"""Repair mends also what came broken from its origin, where the hash says that it is as it came."""

from __future__ import annotations

from pathlib import Path

from commands import hlsdl

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
