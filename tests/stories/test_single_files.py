"""Streams whose segments are byte ranges of one file: few requests, each segment stored once and by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest
from commands import hlsdl

import hlsdl as library
from hlsdl.errors import HttpError, NetworkError
from hlsdl.session import events
from hlsdl.testing import Answer, Cut, IgnoreRange, Request, ScriptedOrigin, Status

SEGMENTS = 40
LENGTHS = [188 * (10 + number % 7) for number in range(SEGMENTS)]
OFFSETS = [0, *accumulate(LENGTHS)]
FILE = b"".join(b"G" + n.to_bytes(4, "big") + bytes(n % 251 for _ in range(183)) for n in range(sum(LENGTHS) // 188))
TRUTH = [FILE[offset : offset + length] for offset, length in zip(OFFSETS, LENGTHS, strict=False)]


def playlist(file: str = "film.ts") -> bytes:
    """As packagers write it: the first range has its offset, the others follow."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:4"]
    for number, length in enumerate(LENGTHS):
        lines += ["#EXTINF:4,", f"#EXT-X-BYTERANGE:{length}{'' if number else '@0'}", file]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def serve(origin: ScriptedOrigin, at: str = "/v") -> str:
    origin.add(f"{at}/film.ts", FILE)
    origin.add(f"{at}/index.m3u8", playlist())
    return origin.url(f"{at}/index.m3u8")


def stored(bundle: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(bundle.glob("0-*/*.ts"))]


def media_bytes(origin: ScriptedOrigin) -> int:
    return sum(request.body_bytes_sent for request in origin.requests if request.path.endswith(".ts"))


async def test_forty_segments_of_one_file_take_few_requests_and_no_byte_twice(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        bundle = await library.fetch(serve(origin), output=tmp_path)
        assert 2 <= origin.count("/v/film.ts") <= SEGMENTS // 10
        assert media_bytes(origin) == len(FILE)
    assert stored(bundle.path) == TRUTH
    assert bundle.verify().ok


async def test_a_server_that_ignores_ranges_is_asked_once(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/film.ts", IgnoreRange())
        bundle = await library.fetch(url, output=tmp_path)
        assert origin.count("/v/film.ts") == 1
    assert stored(bundle.path) == TRUTH


async def test_a_large_file_of_a_server_that_ignores_ranges_is_brought_once_whole(tmp_path: Path) -> None:
    """A film of more than 64 MiB, gone on with when it was interrupted."""
    part = 4 << 20
    film = b"".join(b"G" + number.to_bytes(3, "big") + bytes(184) for number in range((64 << 20) // 188 + 1))
    parts = [film[at : at + part] for at in range(0, len(film), part)]
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:4"]
    for number, one in enumerate(parts):
        lines += ["#EXTINF:4,", f"#EXT-X-BYTERANGE:{len(one)}@{part * number}", "film.ts"]
    with ScriptedOrigin() as origin:
        origin.add("/film.ts", film)
        url = origin.add("/v.m3u8", "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode())
        origin.always("/film.ts", IgnoreRange(), Cut(part * 3 + 100))
        with pytest.raises(NetworkError):
            await library.fetch(url, output=tmp_path / "f.movpkg", retries=0)
        assert stored(tmp_path / "f.movpkg") == parts[:3]
        origin.always("/film.ts", IgnoreRange())
        origin.clear_requests()
        await library.fetch(url, output=tmp_path / "f.movpkg")
        assert origin.count("/film.ts") == 1
    assert stored(tmp_path / "f.movpkg") == parts


async def test_what_an_interrupted_run_finished_is_not_asked_for_again(tmp_path: Path) -> None:
    """The middle of a joint request is lost with the connection for good; the next run brings only what is missing."""
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.script("/v/film.ts", Cut(after=5 * 188 * 10 + 2000))
        origin.always("/v/film.ts", Status(500))
        with pytest.raises(library.NetworkError):
            await library.fetch(url, output=tmp_path, retries=0, connections=1)
        (bundle,) = tmp_path.glob("*.movpkg")
        before = len(stored(bundle))
        assert 0 < before < SEGMENTS
        origin.always("/v/film.ts")
        origin.clear_requests()
        await library.fetch(url, output=tmp_path)
        assert media_bytes(origin) == len(FILE) - OFFSETS[before]
    assert stored(bundle) == TRUTH


class Expires:
    """Serves a few joint requests, then refuses until the playlist is read again; the new URL has another token."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.token = 1

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.path.endswith(".m3u8"):
            return replace(answer, body=playlist(f"film.ts?token={self.token}"))
        if request.target.rpartition("=")[2] != str(self.token):
            return Status(403).apply(request, answer)
        self.left -= 1
        if self.left == 0:
            self.token += 1
        return answer


async def test_a_url_that_expires_between_two_joint_requests_is_renewed(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("*", Expires(1))
        bundle = await library.fetch(url, output=tmp_path, connections=1)
        whole = [one for one in origin.requests if one.status == 206]
        assert origin.count("/v/index.m3u8") == 2
        assert origin.count("/v/film.ts") <= 7
        # One segment is fetched again to prove that the new URL has the same stream.
        assert sum(one.body_bytes_sent for one in whole) <= len(FILE) + 2 * max(LENGTHS)
    assert stored(bundle.path) == TRUTH


async def test_a_file_that_is_gone_stops_the_download_after_few_requests(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/film.ts", Status(404))
        with pytest.raises(HttpError) as caught:
            await library.fetch(url, output=tmp_path)
        assert caught.value.http_status == 404
        assert origin.count("/v/film.ts") <= 10


class GoneBehind:
    """404 for each range that begins behind a place, as a server with a cut file and no 416 has it."""

    def __init__(self, end: int) -> None:
        self.end = end

    def apply(self, request: Request, answer: Answer) -> Answer:
        last = int(request.headers.get("range", "bytes=0-0").rpartition("-")[2])
        return Status(404).apply(request, answer) if last >= self.end else answer


async def test_segments_that_are_gone_become_gaps_and_the_others_are_stored(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/film.ts", GoneBehind(OFFSETS[SEGMENTS - 1]))
        bundle = await library.fetch(url, output=tmp_path, allow_gaps=True, emit=heard.append)
    missing = {number for number in range(SEGMENTS) if not list(bundle.path.glob(f"0-*/{number:09}.ts"))}
    assert missing == {SEGMENTS - 1}
    assert bundle.verify().ok
    assert len([one for one in heard if isinstance(one, events.Warned) and "gap" in one.message]) == 1


def test_repair_asks_only_for_the_damaged_ranges(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        done = hlsdl("fetch", url, "-P", tmp_path, "--json")
        assert done.code == 0, done.err
        (bundle,) = tmp_path.glob("*.movpkg")
        for number in (3, 4, 20):
            (path,) = bundle.glob(f"0-*/{number:09}.ts")
            path.write_bytes(b"damaged")
        origin.clear_requests()
        repaired = hlsdl("repair", bundle, "--json")
        assert repaired.code == 0, repaired.err
        assert media_bytes(origin) == sum(LENGTHS[number] for number in (3, 4, 20))
        assert origin.count("/v/film.ts") == 2
    assert stored(bundle) == TRUTH
