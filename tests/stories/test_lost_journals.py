"""A bundle that has lost its journal takes in what is there, but not what cannot be what once arrived."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import hlsdl

from hlsdl.testing import ScriptedOrigin, Status

PACKET = b"\x47\x40\x11\x10" + bytes(184)
SEGMENTS = {f"/{number}.ts": (PACKET[:-1] + bytes([number])) * 40 for number in range(6)}
PLAYLIST = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n"
    + "".join(f"#EXTINF:4,\n{name[1:]}\n" for name in SEGMENTS)
    + "#EXT-X-ENDLIST\n"
)

Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "cut at a packet": lambda data: data[: 20 * 188],
    "longer": lambda data: data + PACKET,
    "empty": lambda _: b"",
    "zeroed": lambda data: bytes(len(data)),
}


def serve(origin: ScriptedOrigin) -> str:
    for name, body in SEGMENTS.items():
        origin.add(name, body)
    return origin.add("/film.m3u8", PLAYLIST.encode())


def stored(bundle: Path) -> dict[str, Path]:
    """Path at the origin -> file in the bundle."""
    return {
        name: file for file in bundle.glob("0-*/*.ts") for name, body in SEGMENTS.items() if file.read_bytes() == body
    }


def asked_for(origin: ScriptedOrigin, since: int) -> list[str]:
    return sorted(request.path for request in origin.requests[since:] if request.path.endswith(".ts"))


@pytest.mark.parametrize("command", ["repair", "fetch"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_sealed_bundle_knows_how_long_its_segments_are(damage: Damage, command: str, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        assert hlsdl("fetch", url, "-o", bundle).code == 0
        victim = stored(bundle)["/3.ts"]
        victim.write_bytes(damage(SEGMENTS["/3.ts"]))
        (bundle / "journal.jsonl").unlink()
        since = len(origin.requests)
        again = hlsdl("repair", bundle) if command == "repair" else hlsdl("fetch", url, "-o", bundle)
        assert again.code == 0, again.err
        assert asked_for(origin, since) == ["/3.ts"]
    assert stored(bundle).keys() == SEGMENTS.keys()
    assert hlsdl("verify", bundle).code == 0


def test_where_the_origin_is_gone_the_damaged_segment_stays_and_is_told(tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        assert hlsdl("fetch", serve(origin), "-o", bundle).code == 0
        victim = stored(bundle)["/3.ts"]
        victim.write_bytes(SEGMENTS["/3.ts"][: 20 * 188])
        (bundle / "journal.jsonl").unlink()
        origin.always("/3.ts", Status(404))
        assert hlsdl("repair", bundle).code == 4
        assert victim.read_bytes() == SEGMENTS["/3.ts"][: 20 * 188]
        assert json.loads((bundle / "manifest.json").read_text())["state"] == "complete"
        assert hlsdl("verify", bundle).code == 8


@pytest.mark.parametrize("damage", ["empty", "zeroed"])
def test_what_is_no_media_is_not_taken_in_by_a_bundle_that_was_never_sealed(damage: str, tmp_path: Path) -> None:
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/5.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle).code == 4
        victim = stored(bundle)["/3.ts"]
        victim.write_bytes(DAMAGES[damage](SEGMENTS["/3.ts"]))
        (bundle / "journal.jsonl").write_bytes(b"")
        origin.always("/5.ts")
        since = len(origin.requests)
        again = hlsdl("fetch", url, "-o", bundle)
        assert again.code == 0, again.err
        assert set(asked_for(origin, since)) == {"/3.ts", "/5.ts"}
    assert stored(bundle).keys() == SEGMENTS.keys()
    assert hlsdl("verify", bundle).code == 0


def test_the_playlist_says_how_long_a_byte_range_is(tmp_path: Path) -> None:
    bundle, whole = tmp_path / "f.movpkg", b"".join(SEGMENTS.values())
    size = len(SEGMENTS["/0.ts"])
    lines = [f"#EXTINF:4,\n#EXT-X-BYTERANGE:{size}@{size * number}\nall.ts\n" for number in range(6)]
    with ScriptedOrigin() as origin:
        origin.add("/all.ts", whole)
        head, _, tail = PLAYLIST.partition("#EXTINF")
        text = head.replace("#EXTM3U\n", "#EXTM3U\n#EXT-X-VERSION:4\n") + "".join(lines) + "#EXT-X-ENDLIST\n"
        assert tail
        assert hlsdl("fetch", origin.add("/film.m3u8", text.encode()), "-o", bundle).code == 0
        victim = stored(bundle)["/3.ts"]
        victim.write_bytes(SEGMENTS["/3.ts"][: 20 * 188])
        for lost in (bundle / "journal.jsonl", *bundle.glob("0-*/StreamInfoBoot.xml")):
            lost.unlink()
        assert hlsdl("fetch", origin.url("/film.m3u8"), "-o", bundle).code == 0
    assert stored(bundle).keys() == SEGMENTS.keys()
