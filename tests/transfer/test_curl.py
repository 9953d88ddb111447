"""The door on libcurl: what is its own, besides what every door promises."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import MIB, Limits
from hlsdl.access.proxies import ProxyRules
from hlsdl.errors import NetworkError, PolicyError, UsageError
from hlsdl.testing import HangUp, Hold, LocalAuthority, Longer, ScriptedOrigin, Silence, Stall
from hlsdl.transfer import curl_handle, transport
from hlsdl.transfer.client import Client
from hlsdl.transfer.curl import CurlDoor
from hlsdl.transfer.curl_interest import EpollInterest, Interest, LoopInterest
from hlsdl.transfer.descriptors import borrowed
from hlsdl.transfer.doors import Question, Setback, Timeouts
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.origin import GenericDoor
from hlsdl.transfer.resolving import SystemResolver, Vetting
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment

BODY = b"G" + bytes(187)
LARGE = b"".join(number.to_bytes(4, "big") for number in range(2_500_000))
DRIVERS = [EpollInterest, LoopInterest] if sys.platform == "linux" else [LoopInterest]


def door_for(url: str, *, interest: type[Interest] | None = None, **options: Any) -> CurlDoor:
    policy = UrlPolicy.for_typed([url])
    given = TransferOptions(**{"proxy": "", **options})
    return CurlDoor(
        vetting=Vetting(policy, SystemResolver()),
        options=given,
        proxies=ProxyRules(explicit=given.proxy),
        limits=Limits(),
        interest=interest,
    )


def question(url: str, *headers: tuple[str, str], **timeouts: float) -> Question:
    checked = UrlPolicy.for_typed([url]).check_url(url)
    return Question(url=checked, headers=headers, timeouts=Timeouts(**timeouts))  # type: ignore[arg-type]


async def read(door: CurlDoor, asked: Question) -> bytes:
    reply = await door.ask(asked)
    blocks = []
    try:
        while block := await reply.read_block():
            blocks.append(block)
    finally:
        await reply.close()
    return b"".join(blocks)


@pytest.mark.parametrize("interest", DRIVERS)
async def test_each_driver_keeps_connections_holds_back_and_cuts_off(
    origin: ScriptedOrigin, interest: type[Interest]
) -> None:
    large, small = origin.add("/large", LARGE), origin.add("/small", BODY)
    door = door_for(large, interest=interest)
    for _ in range(3):
        assert await read(door, question(small)) == BODY
    assert origin.connections == 1
    assert await asyncio.gather(*(read(door, question(large)) for _ in range(4))) == [LARGE] * 4
    origin.script("/small", Longer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"))
    for _ in range(3):
        assert await read(door, question(small)) == BODY
    await door.close()


@pytest.mark.parametrize("interest", DRIVERS)
async def test_what_is_not_read_is_not_taken_from_the_server(origin: ScriptedOrigin, interest: type[Interest]) -> None:
    url = origin.add("/large", LARGE)
    door = door_for(url, interest=interest)
    reply = await door.ask(question(url))
    await asyncio.sleep(0.1)
    first = await reply.read_block()
    assert MIB <= len(first) <= 3 * MIB
    rest = []
    while block := await reply.read_block():
        assert len(block) <= 3 * MIB
        rest.append(block)
        await asyncio.sleep(0.01)
    assert b"".join([first, *rest]) == LARGE
    await door.close()


def our_sockets(port: int) -> int:
    """Open sockets of this process that lead to `port`; the origin, which shares the process, has the other ends."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), borrowed(int(name)) as one:
            count += one.family == socket.AF_INET and one.getpeername()[1] == port
    return count


in_proc = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are listed in /proc")


@in_proc
@pytest.mark.parametrize("interest", DRIVERS)
@pytest.mark.parametrize("moment", ["before the head", "in the body", "wherever it is"])
async def test_hundreds_of_cancelled_transfers_leave_no_descriptor(
    origin: ScriptedOrigin, interest: type[Interest], moment: str
) -> None:
    url, small = origin.add("/a", LARGE), origin.add("/b", BODY)
    origin.always("/a", Silence() if moment == "before the head" else Stall(after=100_000))
    door = door_for(url, interest=interest)
    assert await read(door, question(small)) == BODY
    before = our_sockets(origin.port)
    begun = asyncio.Semaphore(0)

    async def transfer() -> None:
        reply = await door.ask(question(url))
        try:
            begun.release()
            while await reply.read_block():
                continue
        finally:
            await reply.close()

    for batch in range(1, 11):
        tasks = [asyncio.create_task(transfer()) for _ in range(20)]
        # Not earlier: a connection that was made and not used yet would rightly wait for the next request.
        await asyncio.to_thread(origin.wait_for, "/a", 20 * batch)
        if moment == "in the body":
            for _ in tasks:
                await begun.acquire()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert our_sockets(origin.port) <= before
    assert await read(door, question(small)) == BODY
    assert our_sockets(origin.port) <= before
    await door.close()


@in_proc
@pytest.mark.parametrize("transport", ["libcurl", "httpx"])
async def test_a_cancelled_fetch_leaves_no_descriptor(origin: ScriptedOrigin, transport: Any) -> None:
    """The same through the whole room: whoever is given a reply closes it, at whatever moment it is cancelled."""
    url = origin.add("/a", LARGE)
    origin.always("/a", Stall(after=3_000_000))
    progress: asyncio.Queue[int] = asyncio.Queue()
    async with Client(TransferOptions(proxy="", transport=transport, connections=8), url) as client:
        for batch in range(1, 6):
            tasks = [
                asyncio.create_task(client.fetch(segment(url), MemorySink(), on_bytes=progress.put_nowait))
                for _ in range(8)
            ]
            await asyncio.to_thread(origin.wait_for, "/a", 8 * batch)
            for _ in range(8 if batch % 2 else 0):
                await progress.get()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert our_sockets(origin.port) == 0


def test_what_took_the_number_of_a_closed_connection_is_left_alone(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """libcurl does not say when it closes an idle connection; where there is no epoll, its number may be met again."""
    loop = asyncio.new_event_loop()
    interest = LoopInterest(loop, lambda: None)
    url = origin.add("/a", BODY)
    with socket.create_connection((origin.host, origin.port)) as other, (tmp_path / "file").open("wb+") as file:
        other.sendall(f"GET {url} HTTP/1.1\r\n\r\n".encode())
        assert other.recv(1, socket.MSG_PEEK)
        for newcomer in (other, file):
            number = socket.create_connection((origin.host, origin.port)).detach()
            interest.rest(number)
            os.dup2(newcomer.fileno(), number)
            assert list(interest.events()) == []
            interest.rest(number)
            assert list(interest.events()) == ([(number, 0)] if newcomer is other else [])
            os.close(number)
    interest.close()
    loop.close()


@in_proc
async def test_a_closed_door_leaves_no_connection_of_cancelled_transfers(origin: ScriptedOrigin) -> None:
    url = origin.add("/a", LARGE)
    origin.always("/a", Stall(after=100_000))
    door = door_for(url)
    tasks = [asyncio.create_task(read(door, question(url))) for _ in range(20)]
    await asyncio.to_thread(origin.wait_for, "/a", 20)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await door.close()
    assert our_sockets(origin.port) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not say what the other one got")
async def test_a_request_that_the_other_system_does_not_get_is_soon_asked_elsewhere() -> None:
    """Its queue of new connections is full, which nobody tells: both think that they are connected."""
    with socket.socket() as full:
        full.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)  # a connection is in the queue when it speaks
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/a"
        door = door_for(url)
        asked = {asyncio.create_task(door.ask(question(url, first_byte=600.0))) for _ in range(2)}
        done, waiting = await asyncio.wait(asked, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(waiting)) == (1, 1), "the one that was taken in may be answered late"
        failure = done.pop().exception()
        assert isinstance(failure, Setback)
        assert (failure.timed_out, failure.wait) == (True, 0.0)
        await door.close()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_closing_does_not_wait_for_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, has_ended = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> Sequence[Any]:
        let_go.wait(30)
        has_ended.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    client = Client(TransferOptions(proxy=""), "http://films.example/")
    task = asyncio.create_task(client.fetch(segment("http://films.example/a.ts"), MemorySink()))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.__aexit__(None, None, None)
    assert not has_ended.is_set()
    let_go.set()


async def test_where_all_kept_connections_were_closed_a_new_one_is_made(origin: ScriptedOrigin) -> None:
    """libcurl itself goes from one kept connection to the next, and gives up after six."""
    url, go_on = origin.add("/a", BODY), threading.Event()
    origin.always("/a", Hold(go_on))
    async with Client(TransferOptions(proxy="", retries=0, connections=12), url) as client:
        work = [client.fetch(segment(url), MemorySink()) for _ in range(10)]
        gathered = asyncio.gather(*work)
        while origin.count("/a") < 10:
            await asyncio.sleep(0.01)
        go_on.set()
        await gathered
        origin.clear_requests()
        hung = origin.add("/b", BODY)
        origin.script("/b", *[HangUp()] * 6)
        sink = MemorySink()
        await client.fetch(segment(hung), sink)
        assert (sink.data, origin.count("/b")) == (BODY, 7)
        origin.script("/b", *[HangUp()] * 8)
        with pytest.raises(NetworkError):
            await client.fetch(segment(hung), MemorySink())


@pytest.mark.parametrize("sign", ["\r", "\n", "\0", "\r\nX-Evil: 1"])
async def test_a_header_cannot_break_out_of_its_line(origin: ScriptedOrigin, sign: str) -> None:
    url = origin.add("/a", BODY)
    door = door_for(url)
    for name, value in ((f"X{sign}", "a"), ("X", f"a{sign}b")):
        with pytest.raises(PolicyError):
            await door.ask(question(url, (name, value)))
    assert origin.connections == 0
    assert await read(door, question(url, ("X-Empty", ""), ("X-Name", "ü"))) == BODY
    assert origin.requests[0].headers["x-empty"] == ""
    assert origin.requests[0].headers["x-name"].encode("latin-1").decode() == "ü"
    await door.close()


async def test_the_target_is_sent_as_written_and_nothing_else_is_said(origin: ScriptedOrigin) -> None:
    url = origin.url("/a%2fb/../c//d;x?sig=%2b%7e[1]{}|")
    origin.add("/a%2fb/../c//d;x?sig=%2b%7e[1]{}|", BODY)
    door = door_for(url)
    await read(door, question(url, ("Accept", "*/*")))
    assert origin.requests[0].target == "/a%2fb/../c//d;x?sig=%2b%7e[1]{}|"
    assert set(origin.requests[0].headers) == {"host", "accept"}
    await door.close()


async def test_the_environment_is_not_asked_for_proxies(
    origin: ScriptedOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = origin.add("/a", BODY)
    for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    door = door_for(url)
    assert await read(door, question(url)) == BODY
    await door.close()


async def test_time_outs_are_kept_exactly(origin: ScriptedOrigin) -> None:
    url = origin.add("/a", LARGE)
    origin.always("/a", Stall(after=1000))
    door = door_for(url)
    started, late = time.monotonic(), asyncio.create_task(asyncio.sleep(2))  # a slow machine is slow for both
    with pytest.raises(Setback, match=r"sent nothing for 0\.4 seconds"):
        await read(door, question(url, stall=0.4))
    assert time.monotonic() - started >= 0.35
    assert not late.done()
    late.cancel()
    await door.close()


async def test_ssl_cert_file_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = LocalAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a", BODY)
        door = door_for(url)
        assert await read(door, question(url)) == BODY
        await door.close()


async def test_http3_falls_back_where_it_is_not_offered(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    if not curl_handle.has_http3():
        pytest.skip("not built in: HTTP/3")
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a", BODY)
        door = door_for(url, http3=True, cacert=authority.ca_file)
        assert await read(door, question(url)) == BODY
        await door.close()


async def test_limit_rate_holds_over_all_connections(origin: ScriptedOrigin) -> None:
    """In real time only as a bound that no busy machine can break; exactly, with a clock of its own, in test_rate."""
    rate, seconds = 1_000_000, 1.0
    work = [segment(origin.add(f"/{number}.ts", b"G" * (rate // 8))) for number in range(8)]

    async def finished(*_: object) -> None: ...

    async with Client(TransferOptions(limit_rate=rate, proxy="", connections=4), origin.url("/")) as client:
        started = time.monotonic()
        await client.fetch_all(work, lambda _: MemorySink(), finished)
        assert time.monotonic() - started >= 0.99 * seconds


def client_with(**options: Any) -> Client:
    return Client(TransferOptions(proxy="", **options), "https://films.example/")


def test_libcurl_is_the_default_where_it_can_be_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert transport.why_not_libcurl() is None
    assert isinstance(client_with()._door, CurlDoor)
    assert isinstance(client_with(transport="httpx")._door, GenericDoor)
    monkeypatch.setattr(transport, "why_not_libcurl", lambda: "pycurl is not installed")
    with caplog.at_level(logging.DEBUG, logger="hlsdl"):
        assert isinstance(client_with()._door, GenericDoor)
    assert "pycurl is not installed" in caplog.text
    for wish in ({"transport": "libcurl"}, {"http3": True}):
        with pytest.raises(UsageError, match="pycurl is not installed"):
            client_with(**wish)
    with pytest.raises(UsageError, match="httpx speaks no HTTP/3"):
        client_with(transport="httpx", http3=True)


def test_without_pycurl_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hlsdl.transfer.curl_handle")
    monkeypatch.delattr("hlsdl.transfer.curl_handle")
    monkeypatch.setitem(sys.modules, "pycurl", None)
    assert transport.why_not_libcurl() == "pycurl is not installed"


async def test_a_closed_door_ends_what_is_under_way(origin: ScriptedOrigin) -> None:
    url = origin.add("/a", LARGE)
    origin.always("/a", Stall(after=5_000_000))
    door = door_for(url)
    task = asyncio.create_task(read(door, question(url)))
    await asyncio.to_thread(origin.wait_for, "/a")
    await door.close()
    with pytest.raises(Setback) as caught:
        await asyncio.wait_for(task, 5)
    assert isinstance(caught.value.error, NetworkError)
