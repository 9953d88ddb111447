"""Conformance, part five: what only doors over our own connections promise (vetting, pinning, bounded heads, lanes)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import Limits
from hlsdl.errors import HlsdlError, LimitError, NetworkError, PolicyError
from hlsdl.testing import EarlyHints, HangUp, Hold, LocalAuthority, Longer, Raw, Redirect, ScriptedOrigin, Stall
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import SHORT_STALL, segment
from transfer.doors import DOORS, OUR_DOORS, DoorSetting, FakeClock

BODY = b"G" + bytes(187)


class Answers:
    """A resolver with a script: each call uses up one answer of the host, the last one stays."""

    def __init__(self, **answers: list[Sequence[str] | OSError]) -> None:
        self.answers = {name.replace("_", "."): list(script) for name, script in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        script = self.answers[host]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


MakeResolving = Callable[..., Client]


@pytest.fixture(params=OUR_DOORS)
async def resolving(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[MakeResolving]:
    """`resolving(source_url, resolver)`: a client whose names resolve as the test says."""
    async with AsyncExitStack() as stack:

        def make(source_url: str, resolver: Any, *, retries: int = 0, **changes: Any) -> Client:
            options = TransferOptions(**{"proxy": "", "timeout": 5.0, **changes})
            policy = UrlPolicy.for_typed([source_url], allow_private=options.allow_private)
            setting = DoorSetting(policy=policy, options=options, resolver=resolver)
            door = DOORS[request.param](setting)
            client = Client(options, source_url, door=door, clock=clock, retry=RetryPolicy(retries=retries))
            stack.push_async_exit(client)
            return client

        yield make


async def fetched(client: Client, url: str) -> bytes:
    sink = MemorySink()
    await client.fetch(segment(url), sink)
    return sink.data


async def test_a_typed_name_may_lead_into_the_lan(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    origin.add("/a.ts", BODY)
    url = origin.url("/a.ts", host="nas.example")
    assert await fetched(resolving(url, Answers(nas_example=[["127.0.0.1"]])), url) == BODY
    assert origin.requests[0].headers["host"] == f"nas.example:{origin.port}"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.1", "127.0.0.1"],
        ["169.254.169.254"],
        ["0.0.0.0"],
        ["fe80::1%lo"],
        ["::1"],
    ],
)
async def test_a_name_that_was_not_typed_may_not(
    origin: ScriptedOrigin, resolving: MakeResolving, addresses: list[str]
) -> None:
    """Row 44: no packet is sent, directly or by redirect."""
    origin.add("/a.ts", BODY)
    cdn = origin.url("/a.ts", host="cdn.example")
    resolver = Answers(cdn_example=[addresses], nas_example=[["127.0.0.1"]])
    client = resolving(origin.url("/", host="nas.example"), resolver)
    with pytest.raises(PolicyError):
        await fetched(client, cdn)
    assert origin.connections == 0
    origin.always("/r", Redirect(cdn))
    with pytest.raises(PolicyError):
        await fetched(client, origin.url("/r", host="nas.example"))
    assert origin.count("/a.ts") == 0


async def test_allow_private_lets_it(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    origin.add("/a.ts", BODY)
    url = origin.url("/a.ts", host="cdn.example")
    client = resolving("https://public.example/", Answers(cdn_example=[["127.0.0.1"]]), allow_private=True)
    assert await fetched(client, url) == BODY


async def test_a_second_answer_cannot_swap_the_address(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    """Row 45: one look-up for each connection, and the connection goes to what was vetted."""
    origin.add("/a.ts", BODY)
    url = origin.url("/a.ts", host="nas.example")
    resolver = Answers(nas_example=[["127.0.0.1"], ["127.0.0.9"]])
    assert await fetched(resolving(url, resolver), url) == BODY
    assert resolver.asked == ["nas.example"]


async def test_an_address_that_does_not_answer_is_passed_over(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    origin.add("/a.ts", BODY)
    url = origin.url("/a.ts", host="nas.example")
    resolver = Answers(nas_example=[["::1", "127.0.0.3", "127.0.0.1"]])
    assert await fetched(resolving(url, resolver), url) == BODY


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), 3),
        (socket.gaierror(socket.EAI_AGAIN, "later"), 5),
        ([], 3),
    ],
    ids=str,
)
async def test_a_name_that_does_not_resolve_is_tried_again_within_reason(
    resolving: MakeResolving, failure: Any, asked: int
) -> None:
    """Row 46."""
    resolver = Answers(films_example=[failure])
    with pytest.raises(NetworkError) as caught:
        await fetched(resolving("http://films.example/", resolver, retries=4), "http://films.example/a.ts")
    assert len(resolver.asked) == asked
    assert "films.example" in caught.value.message


async def test_a_name_that_resolves_at_the_second_try_is_fine(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    origin.add("/a.ts", BODY)
    url = origin.url("/a.ts", host="nas.example")
    resolver = Answers(nas_example=[socket.gaierror(socket.EAI_AGAIN, "later"), ["127.0.0.1"]])
    assert await fetched(resolving(url, resolver, retries=1), url) == BODY


async def test_a_resolver_that_never_answers_is_given_up(resolving: MakeResolving) -> None:
    class Never:
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            await asyncio.Event().wait()
            return ()

    with pytest.raises(NetworkError, match="resolving"):
        await fetched(resolving("http://films.example/", Never(), timeout=0.1), "http://films.example/a.ts")


@pytest.mark.parametrize("count", [16, 17, None])
async def test_sixteen_interim_responses_are_the_most(
    origin: ScriptedOrigin, resolving: MakeResolving, count: int | None
) -> None:
    """Row 20."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", EarlyHints(count))
    client = resolving(url, Answers())
    if count == 16:
        assert await fetched(client, url) == BODY
        return
    with pytest.raises(LimitError) as caught:
        await fetched(client, url)
    assert (caught.value.code, origin.count("/a.ts")) == (12, 1)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX: " + b"v" * 1_000_000, b"HTTP/1.1 200 OK\r\n" + b"X: v\r\n" * 200_000],
    ids=["long line", "many lines"],
)
async def test_an_endless_head_is_not_read_to_its_end(
    origin: ScriptedOrigin, resolving: MakeResolving, head: bytes
) -> None:
    """Row 21."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", Raw(head))
    with pytest.raises(LimitError):
        await fetched(resolving(url, Answers()), url)


async def test_a_body_may_look_like_many_interim_responses(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    body = b"G" + b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40_000
    url = origin.add("/a.ts", body)
    client = resolving(url, Answers())
    for _ in range(3):
        assert await fetched(client, url) == body


async def test_connections_are_kept_and_used_again(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    url = origin.add("/a.ts", BODY)
    origin.add("/404", BODY)
    client = resolving(url, Answers())
    for _ in range(10):
        assert await fetched(client, url) == BODY
    origin.always("/r", Redirect("/a.ts"))
    assert await fetched(client, origin.url("/r")) == BODY
    with pytest.raises(HlsdlError):
        await fetched(client, origin.url("/gone"))
    assert await fetched(client, url) == BODY
    assert origin.connections == 1


@pytest.mark.parametrize(
    "extra",
    [b"surplus", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\r\n\r\n"],
    ids=["text", "answer", "lines"],
)
async def test_surplus_after_a_body_is_never_taken_for_the_next_answer(
    origin: ScriptedOrigin, resolving: MakeResolving, extra: bytes
) -> None:
    """Row 5."""
    url, other = origin.add("/a.ts", BODY), origin.add("/b.ts", BODY * 2)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    client = resolving(url, Answers())
    for fault in (Longer(extra), Raw(head + BODY + extra), Raw(chunked + extra)):
        origin.script("/a.ts", fault)
        assert await fetched(client, url) == BODY
        assert await fetched(client, other) == BODY * 2


async def test_a_keep_alive_race_is_one_silent_retry(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    """Row 50: the request arrives on a kept connection just as the server closes it."""
    url = origin.add("/a.ts", BODY)
    client = resolving(url, Answers(), retries=0)
    assert await fetched(client, url) == BODY
    origin.script("/a.ts", HangUp())
    assert await fetched(client, url) == BODY
    assert (origin.count("/a.ts"), origin.connections) == (3, 2)
    origin.script("/a.ts", HangUp(), HangUp())
    with pytest.raises(NetworkError):
        await fetched(client, url)


async def test_a_cancelled_transfer_leaves_nothing_behind(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    url = origin.add("/a.ts", BODY * 100)
    client = resolving(url, Answers())
    for after in (None, 0, 188):
        import threading

        origin.script("/a.ts", Stall(after) if after is not None else Hold(threading.Event()))
        origin.clear_requests()
        task = asyncio.ensure_future(fetched(client, url))
        await asyncio.to_thread(origin.wait_for, "/a.ts")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await fetched(client, url) == BODY * 100


async def test_a_head_that_trickles_is_given_up(origin: ScriptedOrigin, resolving: MakeResolving) -> None:
    """Each byte comes within the stall time-out, the end of the head never does."""
    url = origin.add("/a.ts", BODY)
    stop = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not stop.is_set() and not writer.is_closing():
            writer.write(b"v")
            await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = resolving(url, Answers(), timeout=0.1, stall_timeout=SHORT_STALL)
    with pytest.raises(NetworkError):
        await fetched(client, f"http://127.0.0.1:{port}/a.ts")
    stop.set()
    server.close()
    await server.wait_closed()


async def test_http2_is_spoken_only_when_asked_for_and_offered(tmp_path: Any, resolving: MakeResolving) -> None:
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a.ts", BODY)
        assert await fetched(resolving(url, Answers(), cacert=authority.ca_file, http2=True), url) == BODY


async def test_a_proxy_is_asked_with_the_whole_url_and_resolves_for_itself(
    origin: ScriptedOrigin, resolving: MakeResolving
) -> None:
    origin.add("http://films.example/a.ts?x=1", BODY)
    client = resolving("http://films.example/", Answers(), proxy=origin.url("").replace("http://", "http://me:secret@"))
    assert await fetched(client, "http://films.example/a.ts?x=1") == BODY
    assert origin.requests[0].headers["host"] == "films.example"
    assert origin.requests[0].headers["proxy-authorization"].startswith("Basic ")
    with pytest.raises(PolicyError):
        await fetched(client, "http://10.0.0.1/a.ts")
    with pytest.raises(PolicyError):
        await fetched(client, "http://localhost/a.ts")


def test_the_limits_of_these_tests_are_the_defaults() -> None:
    assert (Limits().interim_responses, Limits().head_bytes) == (16, 65_536)


async def test_an_interim_response_does_not_buy_time_for_the_one_that_counts(resolving: MakeResolving) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with asyncio.timeout(20), server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.ts"
        with pytest.raises(NetworkError, match="sent nothing"):
            await fetched(resolving(url, Answers(), retries=0, stall_timeout=SHORT_STALL), url)
        server.close()


async def test_where_http2_was_offered_and_not_taken_a_keep_alive_race_is_a_silent_retry_too(
    resolving: MakeResolving, tmp_path: Path
) -> None:
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as origin:
        url = origin.add("/a.ts", BODY)
        client = resolving(url, Answers(), retries=0, http2=True, cacert=authority.ca_file)
        assert await fetched(client, url) == BODY
        origin.script("/a.ts", HangUp())
        assert await fetched(client, url) == BODY
