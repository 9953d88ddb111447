"""Faults of another kind of origin (`bare_origin`), met once, or for ever by real `hlsdl` processes.

Each fault is a coroutine with the connection in its hands.
The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import re
import struct
from collections import Counter
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

import pytest
from bare_origin import Asked, Bare, Fault, bare, gone, head, hlsdl
from commands import Done
from faults import PHASES, SEGMENTS, TRUTH, finished, require_told, require_whole, stopped

import hlsdl as library

QUICK = ("-N", "3", "--retries", "2", "--json")
MET = 3
"""The segment that the fault meets."""


# -- the faults ------------------------------------------------------------------------------------------------------


async def cut(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", "Content-Length: 7520") + TRUTH[MET][:5000])


async def reset(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", "Content-Length: 7520") + TRUTH[MET][:5000])
    await writer.drain()
    raw = writer.get_extra_info("socket")
    raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def stall(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", "Content-Length: 7520") + TRUTH[MET][:5000])
    await writer.wait_closed()


async def stall_in_the_head(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Len")
    await writer.wait_closed()


async def drip(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Slow but alive: each piece comes within the stall time-out, and that is fine."""
    writer.write(head("200 OK", "Content-Length: 7520"))
    for start in range(0, 7520, 1880):
        writer.write(TRUTH[MET][start : start + 1880])
        await writer.drain()
        await asyncio.sleep(0.2)


async def chunks_in_pieces(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Legal: a chunk extension, a trailer, and a chunk size in a packet of its own."""
    writer.write(head("200 OK", "Transfer-Encoding: chunked"))
    for start in range(0, 7520, 3000):
        block = TRUTH[MET][start : start + 3000]
        writer.write(b"%X;name=value\r\n" % len(block))
        await writer.drain()
        writer.write(block + b"\r\n")
    writer.write(b"0\r\nX-Trailer: 1\r\n\r\n")


async def chunks_cut(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", "Transfer-Encoding: chunked") + b"bb8\r\n" + TRUTH[MET][:3000] + b"\r\n")


async def gzipped(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    data = gzip.compress(TRUTH[MET])
    writer.write(head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(data)}") + data)


async def page(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    text = b"<!doctype html><title>Sign in</title>"
    writer.write(head("200 OK", "Content-Type: video/mp2t", f"Content-Length: {len(text)}") + text)


async def too_many(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("429 Too Many Requests", "Retry-After: 1", "Content-Length: 4") + b"slow")


async def teapot(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("418 Short And Stout", "Content-Length: 0"))


async def goodbye(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    """Not a word."""


async def old_http(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + TRUTH[MET])


async def old_http_cut(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + TRUTH[MET][:1234])


async def unavailable(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("503 Service Unavailable", "Content-Length: 0"))


async def round_and_round(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    number = int((re.search(r"\?(\d+)", request.target) or [0, 0])[1])
    writer.write(head("302 Found", f"Location: {MET}.ts?{number + 1}", "Content-Length: 0"))


PASSING: dict[str, Fault] = {
    "1 reset": reset,
    "2 cut": cut,
    "3 chunks cut": chunks_cut,
    "4 HTTP/1.0, cut": old_http_cut,
    "4 HTTP/1.0": old_http,
    "9 page that claims to be media": page,
    "13 gzip": gzipped,
    "17 drip": drip,
    "18 stall in the body": stall,
    "18 stall in the head": stall_in_the_head,
    "32 429": too_many,
    "50 hang-up": goodbye,
    "chunks in pieces": chunks_in_pieces,
}
LASTING: dict[str, tuple[Fault, int]] = {
    "2 cut": (cut, 3),
    "9 page that claims to be media": (page, 8),
    "12 418": (teapot, 4),
    "34 503": (unavailable, 3),
    "40 redirect loop": (round_and_round, 10),
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_that_passes_leaves_no_trace(tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "b.movpkg"
    met: list[str] = []

    async def once(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool | None:
        met.append(request.target)
        return True if len(met) > 1 else await PASSING[name](origin, request, writer)

    async with bare() as origin:
        origin.faults[f"/v/{MET}.ts"] = once
        stall = 0.4 if name.startswith("18") else 20.0
        await library.fetch(
            origin.url("/v/index.m3u8"), output=bundle, connections=3, retries=2, stall_timeout=stall, proxy=""
        )
        others = Counter(request.target for request in origin.log if request.target != f"/v/{MET}.ts")
    # The length of a body that ends with its connection is asked for in a second request.
    assert len(met) == (1 if name in {"17 drip", "chunks in pieces"} else 2)
    assert set(others.values()) == {1}
    require_whole(bundle, TRUTH)


@pytest.mark.parametrize("name", LASTING)
async def test_a_fault_that_stays_is_told_and_can_be_outlived(tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "b.movpkg"
    fault, code = LASTING[name]
    async with bare() as origin:
        origin.faults[f"/v/{MET}.ts"] = fault
        words = ("fetch", origin.url("/v/index.m3u8"), "-o", bundle, *QUICK)
        told = require_told(await hlsdl(*words), code)
        assert told["resumable"] is (code == 3)
        assert origin.times(f"/v/{MET}.ts") <= 12
        before = finished(bundle)
        assert before
        origin.faults.clear()
        origin.log.clear()
        await library.fetch(origin.url("/v/index.m3u8"), output=bundle, proxy="")
        assert not before & {number for number in range(SEGMENTS) if origin.times(f"/v/{number}.ts")}
    require_whole(bundle, TRUTH)


async def test_a_third_of_all_answers_may_be_errors(tmp_path: Path) -> None:
    """Row 34: 500, 502, 503 and 504 at random, playlists included."""
    chance = random.Random(1)
    refused: list[str] = []

    async def flapping(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool | None:
        if chance.random() >= 0.3:
            return True
        refused.append(request.target)
        writer.write(head(f"{chance.choice([500, 502, 503, 504])} No", "Retry-After: 0", "Content-Length: 0"))
        return None

    async with bare() as origin:
        origin.faults["*"] = flapping
        done = await hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", tmp_path / "b.movpkg", "--json")
    assert done.code == 0, (done.out, done.err)
    assert refused
    require_whole(tmp_path / "b.movpkg", TRUTH)


async def begun_at(origin: Bare, bundle: Path) -> None:
    """A first run that ends at the third segment."""
    origin.faults["/v/2.ts"] = gone
    await stopped(origin.url("/v/index.m3u8"), bundle)
    del origin.faults["/v/2.ts"]
    origin.log.clear()


@pytest.mark.parametrize("phase", PHASES)
async def test_a_redirect_to_another_host_takes_no_cookie_and_no_header_along(tmp_path: Path, phase: str) -> None:
    """Row 41: and what the first host sets comes back to it alone."""
    moves = range({"fresh": 0, "middle": 3, "resume": 2}[phase], SEGMENTS)

    async def moved(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool | None:
        if request.headers["host"].startswith("localhost"):
            return True
        to = origin.url(request.target, host="localhost")
        writer.write(head("307 Moved", f"Location: {to}", "Set-Cookie: visit=7; Path=/", "Content-Length: 0"))
        return None

    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tsesame\n")
    async with bare() as origin:
        if phase == "resume":
            await begun_at(origin, tmp_path / "b.movpkg")
        for number in moves:
            origin.faults[f"/v/{number}.ts"] = moved
        words = ("-H", "X-Key: sesame", "--cookies", jar, "--allow-private", *QUICK, "-N", "1")
        done = await hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", tmp_path / "b.movpkg", *words)
        at_home = [one for one in origin.log if one.headers["host"].startswith("127.")]
        away = [one for one in origin.log if one.headers["host"].startswith("localhost")]
    assert done.code == 0, (done.out, done.err)
    assert all("session=sesame" in one.headers["cookie"] and one.headers["x-key"] == "sesame" for one in at_home)
    assert "visit=7" in at_home[-1].headers["cookie"]
    assert len(away) == len(moves)
    assert [one.target for one in at_home].count("/v/0.ts") == (phase != "resume")
    assert "sesame" not in str([one.headers for one in away])
    assert not any("cookie" in one.headers for one in away)
    assert "sesame" not in done.out + done.err
    require_whole(tmp_path / "b.movpkg", TRUTH)


# -- proxies ---------------------------------------------------------------------------------------------------------


async def through(proxy: Bare, origin: Bare, bundle: Path) -> Done:
    words = ("--proxy", f"http://127.0.0.1:{proxy.port}", "--allow-private", "-N", "3", "--retries", "0", "--json")
    return await hlsdl("fetch", origin.url("/v/index.m3u8", host="films.test"), "-o", bundle, *words)


async def sign_in(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(head("407 Who Are You", 'Proxy-Authenticate: Basic realm="x"', "Content-Length: 0"))


PROXIES = {"wants a sign-in": (sign_in, 4), "dies": (goodbye, 3)}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", PROXIES)
async def test_a_proxy_that_fails_is_told_and_can_be_outlived(tmp_path: Path, name: str, phase: str) -> None:
    """Row 59: from the first request, from the middle, or in the run that goes on; and later it works."""
    bundle = tmp_path / "b.movpkg"
    fault, code = PROXIES[name]
    failing = phase != "middle"

    async def serve_then_fail(proxy: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool | None:
        nonlocal failing
        failing = failing or request.target.endswith("/3.ts")
        return await fault(proxy, request, writer) if failing else True

    async with bare() as proxy, bare() as origin:
        proxy.files |= {origin.url(path, host="films.test"): data for path, data in proxy.files.items()}
        if phase == "resume":
            url, door = origin.url("/v/index.m3u8", host="films.test"), f"http://127.0.0.1:{proxy.port}"
            proxy.faults[origin.url("/v/2.ts", host="films.test")] = gone
            await stopped(url, bundle, proxy=door, allow_private=True)
            proxy.log.clear()
        proxy.faults = {"*": serve_then_fail}
        told = require_told(await through(proxy, origin, bundle), code)
        assert told["resumable"] is (code == 3)
        if code == 4:
            assert "--proxy" in told["hint"]
            assert phase == "middle" or len(proxy.log) == 1
        before = finished(bundle)
        assert bool(before) is (phase != "fresh")
        proxy.faults.clear()
        proxy.log.clear()
        done = await through(proxy, origin, bundle)
        assert done.code == 0, (done.out, done.err)
        asked = {request.target.rpartition("/")[2] for request in proxy.log}
        assert not {f"{number}.ts" for number in before} & asked
        assert origin.log == []
    require_whole(bundle, TRUTH)
