"""How new connections are opened: a few at a time where a host is near, all at once elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import Limits
from hlsdl.access.proxies import ProxyRules
from hlsdl.transfer import opening as opening_module
from hlsdl.transfer.client import Client
from hlsdl.transfer.curl import CurlDoor
from hlsdl.transfer.curl_interest import EpollInterest, Interest, LoopInterest
from hlsdl.transfer.opening import AT_ONCE, DROPPED, NEAR, ONE_MORE, Opening
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.resolving import SystemResolver, Vetting
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment
from transfer.doors import FakeClock

INTERESTS = [EpollInterest, LoopInterest] if sys.platform == "linux" else [LoopInterest]
MANY = 40


def begin(opening: Opening[int], *requests: int) -> list[int]:
    """Those of them that begin, each on a connection of its own."""
    begun = [request for request in requests if opening.may_begin(request)]
    for request in begun:
        opening.opened(request)
    opening.settled()
    return begun


def near(*, unanswered: int = 0) -> Opening[int]:
    """A host that has answered soon, with so many requests on new connections; the connection of the first is gone."""
    opening: Opening[int] = Opening()
    begin(opening, -1)
    opening.heard(-1, NEAR)
    opening.ended(-1, is_kept=False)
    assert len(begin(opening, *range(unanswered))) == unanswered
    return opening


def test_a_host_that_is_near_gets_few_new_connections_at_once_and_the_next_when_it_answers() -> None:
    opening = near()
    assert begin(opening, *range(AT_ONCE + 2)) == [*range(AT_ONCE)]
    assert opening.due() == []
    opening.heard(0, 1.0)
    assert opening.due() == [AT_ONCE]
    opening.opened(AT_ONCE)
    assert opening.due() == []


@pytest.mark.parametrize("after", [NEAR + 0.001, 0.0])
def test_a_host_that_is_far_or_of_which_nothing_is_known_gets_all_at_once(after: float) -> None:
    opening: Opening[int] = Opening()
    assert len(begin(opening, *range(MANY))) == MANY
    opening.heard(0, after)
    assert len(begin(opening, *range(MANY, 2 * MANY))) == MANY


def test_a_connection_that_is_kept_is_no_new_one() -> None:
    opening = near(unanswered=AT_ONCE)
    opening.heard(0, 0.001)
    opening.ended(0, is_kept=True)
    assert [opening.may_begin(number) for number in (90, 91, 92)] == [True, True, False]
    opening.opened(91)
    opening.settled()  # and 90 uses what was kept
    assert opening.due() == []
    opening.ended(90, is_kept=True)
    assert opening.due() == [92]


def test_which_request_gets_the_kept_connection_is_not_for_us_to_say() -> None:
    opening = near(unanswered=AT_ONCE - 1)
    opening.heard(0, 0.001)
    opening.ended(0, is_kept=True)
    assert [opening.may_begin(number) for number in (90, 91, 92)] == [True, True, True]
    for number in (90, 92):
        opening.opened(number)
    opening.settled()
    opening.ended(91, is_kept=True)
    assert [opening.may_begin(number) for number in (93, 94)] == [True, False], "five are new, and one is kept"


def test_a_kept_connection_that_turns_out_to_be_dead_is_forgotten() -> None:
    opening = near()
    for number in range(MANY):
        opening.ended(number, is_kept=True)
    assert begin(opening, 90) == [90]
    assert begin(opening, *range(100, 110)) == [*range(100, 104)]


def answer(opening: Opening[int], *, times: int, after: float) -> None:
    """Of a host that closes each connection."""
    for _ in range(times):
        assert begin(opening, -2) == [-2]
        opening.heard(-2, after)
        opening.ended(-2, is_kept=False)


def test_a_host_that_closes_each_connection_and_stays_quick_gets_more_by_and_by_until_its_queue_has_dropped_one() -> (
    None
):
    opening = near()
    answer(opening, times=ONE_MORE - 2, after=NEAR)
    assert len(begin(opening, *range(MANY))) == AT_ONCE
    for number in range(MANY):
        opening.ended(number, is_kept=False)
    answer(opening, times=1, after=NEAR)
    assert len(begin(opening, *range(MANY))) == AT_ONCE + 1
    for number in range(MANY):
        opening.ended(number, is_kept=False)
    answer(opening, times=1, after=DROPPED)
    answer(opening, times=2 * ONE_MORE, after=NEAR)
    assert len(begin(opening, *range(MANY))) == AT_ONCE


def test_what_was_given_up_leaves_its_place_whether_it_had_begun_or_not() -> None:
    opening = near(unanswered=AT_ONCE)
    assert begin(opening, 90, 91) == []
    opening.ended(90, is_kept=False)
    assert opening.due() == []
    opening.ended(0, is_kept=False)
    assert opening.due() == [91]


def test_where_nothing_moves_any_more_the_others_begin_by_and_by() -> None:
    opening = near(unanswered=AT_ONCE)
    waiting = [*range(100, 100 + AT_ONCE + 1)]
    assert begin(opening, *waiting) == []
    assert opening.overdue() == [], "they have only just come"
    assert opening.overdue() == waiting[:AT_ONCE]
    assert opening.overdue() == [], "some have begun since"
    assert opening.overdue() == waiting[AT_ONCE:]


@dataclass
class Queue:
    """A host that answers each connection's first request after `delay`, and counts those it has not answered yet."""

    delay: float
    closes: bool
    is_dead: bool = False
    """Whether it has stopped answering."""
    unanswered: int = 0
    most: int = 0
    answers: int = 0
    connections: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        self.unanswered += 1
        self.most = max(self.most, self.unanswered)
        is_first = True
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            if self.is_dead:
                continue
            await asyncio.sleep(self.delay if is_first else 0)
            self.unanswered -= is_first
            self.answers += 1
            is_first = False
            closing = b"Connection: close\r\n" if self.closes else b""
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 188\r\n" + closing + b"\r\nG" + bytes(187))
            if self.closes:
                break
        writer.close()


@asynccontextmanager
async def serving(queue: Queue) -> AsyncIterator[str]:
    server = await asyncio.start_server(queue.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for connection in queue.connections:
            connection.close()
        await asyncio.gather(*queue.tasks, return_exceptions=True)


async def ask(client: Client, url: str) -> int:
    sink = MemorySink()
    await client.fetch(segment(url), sink)
    return len(sink.data)


@pytest.mark.parametrize("closes", [False, True], ids=["keeps connections", "closes each"])
async def test_a_real_host_nearby_never_has_more_than_a_few_in_its_queue(
    closes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening_module, "NEAR", 5.0)  # on a busy machine, too
    queue = Queue(delay=0.002, closes=closes)
    async with serving(queue) as url, Client(TransferOptions(proxy="", connections=MANY), url) as client:
        await ask(client, f"{url}/first.ts")
        assert await asyncio.gather(*(ask(client, f"{url}/{number}.ts") for number in range(3 * MANY))) == [188] * 120
    assert queue.most <= AT_ONCE


async def test_a_real_host_far_away_gets_as_many_as_are_wanted() -> None:
    queue = Queue(delay=3 * NEAR, closes=True)
    async with serving(queue) as url, Client(TransferOptions(proxy="", connections=MANY), url) as client:
        await ask(client, f"{url}/first.ts")
        await asyncio.gather(*(ask(client, f"{url}/{number}.ts") for number in range(MANY)))
    assert queue.most > 2 * AT_ONCE


async def test_a_real_host_that_answers_no_more_is_asked_for_all_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening_module, "NEAR", 5.0)
    queue = Queue(delay=0.001, closes=True)
    async with serving(queue) as url, Client(TransferOptions(proxy="", connections=MANY), url) as client:
        await ask(client, f"{url}/first.ts")
        queue.is_dead = True
        asking = [asyncio.create_task(ask(client, f"{url}/{number}.ts")) for number in range(3 * AT_ONCE)]
        while queue.unanswered < len(asking):
            await asyncio.sleep(0.02)
        for task in asking:
            task.cancel()
        assert {type(ended) for ended in await asyncio.gather(*asking, return_exceptions=True)} == {
            asyncio.CancelledError
        }


@pytest.mark.parametrize("interest", INTERESTS)
async def test_a_host_that_counts_open_connections_is_left_with_as_many_as_it_is_asked_with(
    interest: type[Interest],
) -> None:
    """It answers 429 while more than four are open, idle ones too, and keeps the connections that it says it on."""
    open_now: set[asyncio.StreamWriter] = set()
    refusals: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            await asyncio.sleep(0.05)
            if len(open_now) > 4:
                refusals.append(len(open_now))
                writer.write(b"HTTP/1.1 429 Too Many\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 188\r\n\r\nG" + bytes(187))
        open_now.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = "http://{}:{}".format(*server.sockets[0].getsockname())
    options = TransferOptions(proxy="")
    door = CurlDoor(
        vetting=Vetting(UrlPolicy.for_typed([url]), SystemResolver()),
        options=options,
        proxies=ProxyRules(explicit=""),
        limits=Limits(),
        interest=interest,
    )
    async with Client(options, url, door=door, clock=FakeClock()) as client:
        assert await asyncio.gather(*(ask(client, f"{url}/{number}.ts") for number in range(60))) == [188] * 60
    server.close()
    assert 0 < len(refusals) < 60
