"""The client as the session uses it: many resources in play order, one clear end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from hlsdl.errors import DiskError, HttpError, IntegrityError, NetworkError, PolicyError, UsageError
from hlsdl.planning.plan import Resource
from hlsdl.testing import Cut, Delay, Hold, ScriptedOrigin, Status
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment
from transfer.doors import FakeClock

BODY = b"".join(b"G" + n.to_bytes(4, "big") + bytes(183) for n in range(100))


@asynccontextmanager
async def client_for(origin: ScriptedOrigin, **changes: Any) -> AsyncIterator[Client]:
    options = TransferOptions(**{"proxy": "", "timeout": 5.0, **changes})
    async with Client(options, origin.url("/master.m3u8"), clock=FakeClock(), retry=RetryPolicy(retries=3)) as client:
        yield client


def film(origin: ScriptedOrigin, count: int) -> list[Resource]:
    for n in range(count):
        origin.add(f"/{n}.ts", BODY[: 188 * (n % 100 + 1)])
    return [segment(origin.url(f"/{n}.ts"), path=f"{n}.ts", sequence=n) for n in range(count)]


class Shelf:
    """Sinks by path, and what was finished in which order."""

    def __init__(self) -> None:
        self.sinks: dict[str, MemorySink] = {}
        self.finished: list[str] = []
        self.bytes = 0

    def make(self, resource: Resource) -> MemorySink:
        return self.sinks.setdefault(resource.path, MemorySink())

    async def finish(self, resource: Resource, sink: object) -> None:
        assert sink is self.sinks[resource.path]
        self.finished.append(resource.path)

    def count(self, size: int) -> None:
        self.bytes += size


async def test_everything_arrives_whole_and_is_asked_for_in_play_order(origin: ScriptedOrigin) -> None:
    work, shelf = film(origin, 60), Shelf()
    async with client_for(origin, connections=1) as client:
        await client.fetch_all(work, shelf.make, shelf.finish, on_bytes=shelf.count)
    assert [request.path for request in origin.requests] == [f"/{n}.ts" for n in range(60)]
    assert shelf.finished == [f"{n}.ts" for n in range(60)]
    assert all(shelf.sinks[f"{n}.ts"].data == BODY[: 188 * (n + 1)] for n in range(60))
    assert shelf.bytes == sum(188 * (n + 1) for n in range(60))


async def test_at_most_so_many_requests_are_under_way_and_so_many_are(origin: ScriptedOrigin) -> None:
    work, shelf = film(origin, 30), Shelf()
    origin.always("*", Delay(0.01))
    async with client_for(origin, connections=5) as client:
        await client.fetch_all(work, shelf.make, shelf.finish)
    assert origin.most_at_once == 5
    assert origin.connections == 5
    assert sorted(shelf.finished) == sorted(resource.path for resource in work)


async def test_work_is_taken_from_the_iterable_only_when_there_is_a_free_hand(origin: ScriptedOrigin) -> None:
    taken = 0
    release = threading.Event()
    resources = film(origin, 10)
    origin.always("*", Hold(release))
    shelf = Shelf()

    def work() -> Any:
        nonlocal taken
        for resource in resources:
            taken += 1
            yield resource

    async with client_for(origin, connections=2) as client:
        task = asyncio.create_task(client.fetch_all(work(), shelf.make, shelf.finish))
        await asyncio.to_thread(origin.wait_for, "/1.ts")
        assert taken == 2
        release.set()
        await task
    assert len(shelf.finished) == 10


async def test_the_first_permanent_error_stops_the_rest_and_comes_bare(origin: ScriptedOrigin) -> None:
    work, shelf, release = film(origin, 200), Shelf(), threading.Event()
    origin.always("/5.ts", Status(403))
    for number in range(6, 200):
        origin.always(f"/{number}.ts", Hold(release))
    async with client_for(origin, connections=4) as client:
        with pytest.raises(HttpError) as caught:
            await client.fetch_all(work, shelf.make, shelf.finish)
        assert caught.value.http_status == 403
        assert set(shelf.finished) <= {f"{number}.ts" for number in range(5)}
        assert len(origin.requests) <= 5 + 4
        release.set()
        await client.fetch(work[6], sink := MemorySink())
        assert sink.data == BODY[: 188 * 7]


async def test_an_error_that_is_forgiven_stops_nothing(origin: ScriptedOrigin) -> None:
    work, shelf = film(origin, 20), Shelf()
    origin.always("/5.ts", Status(404))
    origin.always("/9.ts", Status(403))
    forgiven: list[str] = []

    def forgive(resource: Resource, error: Exception) -> bool:
        if getattr(error, "http_status", None) != 404:
            return False
        forgiven.append(resource.path)
        return True

    async with client_for(origin, connections=1) as client:
        with pytest.raises(HttpError):
            await client.fetch_all(work, shelf.make, shelf.finish, forgive=forgive)
    assert forgiven == ["5.ts"]
    assert shelf.finished == [f"{n}.ts" for n in range(9) if n != 5]


async def test_what_had_come_of_a_forgiven_failure_is_let_go_of(origin: ScriptedOrigin) -> None:
    work, shelf = film(origin, 3), Shelf()
    origin.add("/1.ts", BODY * 600)
    origin.script("/1.ts", Cut(after=10 << 20), *[Status(404)] * 9)  # large enough for a cut to be gone on from
    async with client_for(origin, connections=1) as client:
        await client.fetch_all(work, shelf.make, shelf.finish, forgive=lambda resource, error: True)
    assert shelf.finished == ["0.ts", "2.ts"]
    assert shelf.sinks["1.ts"].size == 0


@pytest.mark.parametrize("error", [DiskError("full"), RuntimeError("a defect")], ids=["disk", "defect"])
async def test_an_error_of_the_caller_comes_back_as_it_is(origin: ScriptedOrigin, error: Exception) -> None:
    work = film(origin, 20)

    class FullSink(MemorySink):
        async def write(self, block: bytes) -> None:
            raise error

    async def finish(resource: Resource, sink: object) -> None:
        raise error

    async with client_for(origin) as client:
        with pytest.raises(type(error)) as caught:
            await client.fetch_all(work, lambda _: FullSink(), Shelf().finish)
        assert caught.value is error
        assert max(origin.count(f"/{n}.ts") for n in range(20)) == 1
        with pytest.raises(type(error)):
            await client.fetch_all(work, lambda _: MemorySink(), finish)


async def test_an_interrupted_job_can_be_cancelled_and_leaves_the_client_usable(origin: ScriptedOrigin) -> None:
    work, shelf = film(origin, 20), Shelf()
    release = threading.Event()
    origin.always("*", Hold(release))
    async with client_for(origin) as client:
        task = asyncio.create_task(client.fetch_all(work, shelf.make, shelf.finish))
        await asyncio.to_thread(origin.wait_for, "/7.ts")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        await client.fetch_all(work, shelf.make, shelf.finish)
    assert len(shelf.finished) == 20


async def test_bytes_of_failed_tries_are_heard_of_too(origin: ScriptedOrigin) -> None:
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", Cut(after=1000))
    heard: list[int] = []
    async with client_for(origin) as client:
        await client.fetch(segment(url), MemorySink(), on_bytes=heard.append)
    assert sum(heard) == len(BODY) + 1000


async def test_an_empty_job_is_done(origin: ScriptedOrigin) -> None:
    async with client_for(origin) as client:
        await client.fetch_all([], Shelf().make, Shelf().finish)
    assert origin.requests == []


async def test_a_program_may_bring_its_own_transport() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.path == "/r":
            return httpx.Response(302, headers={"Location": "https://cdn.example/a.ts"})
        if request.url.path == "/cut":
            return httpx.Response(200, headers={"Content-Length": "500"}, content=b"G" * 400)
        return httpx.Response(200, content=BODY, headers={"ETag": '"x"'})

    options = TransferOptions(headers=(("Authorization", "Bearer secret"),))
    transport = httpx.MockTransport(answer)
    async with Client(
        options, "https://films.example/", transport=transport, clock=FakeClock(), retry=RetryPolicy(retries=1)
    ) as client:
        sink = MemorySink()
        await client.fetch(segment("https://films.example/r"), sink)
        assert sink.data == BODY
        assert [("authorization" in request.headers) for request in asked] == [True, False]
        with pytest.raises(NetworkError):
            await client.fetch(segment("https://films.example/cut"), MemorySink())
        with pytest.raises(PolicyError):
            await client.fetch(segment("https://10.0.0.1/a.ts"), MemorySink())


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("x"),
        httpx.PoolTimeout("x"),
        OSError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_no_foreign_exception_leaves_the_room(error: Exception) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    async with Client(
        TransferOptions(),
        "https://films.example/",
        transport=httpx.MockTransport(fail),
        clock=FakeClock(),
        retry=RetryPolicy(retries=1),
    ) as client:
        with pytest.raises(NetworkError) as caught:
            await client.read("https://films.example/?token=secret", kind="playlist", limit=10)
        assert "secret" not in f"{caught.value} {caught.value.url}"


async def test_a_body_that_breaks_in_a_foreign_transport_is_tried_again() -> None:
    class Breaking(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield BODY[:188]
            raise httpx.ReadError("x")

    answers = iter([httpx.Response(200, stream=Breaking()), httpx.Response(200, content=BODY)])
    async with Client(
        TransferOptions(),
        "https://films.example/",
        transport=httpx.MockTransport(lambda _: next(answers)),
        clock=FakeClock(),
    ) as client:
        sink = MemorySink()
        await client.fetch(segment("https://films.example/a.ts"), sink)
        assert sink.data == BODY


async def test_a_wrong_proxy_is_a_usage_error(origin: ScriptedOrigin) -> None:
    url = origin.add("/a.ts", BODY)
    async with client_for(origin, proxy="gopher://secret@x") as client:
        with pytest.raises(UsageError) as caught:
            await client.fetch(segment(url), MemorySink())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("source", ["ftp://example.com/", "http://user:secret@example.com/", "nonsense"])
def test_a_source_that_is_no_http_url_is_refused(source: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Client(TransferOptions(), source)
    assert "secret" not in str(caught.value)


async def test_an_integrity_error_says_what_came_instead(origin: ScriptedOrigin) -> None:
    origin.add("/a.ts", b"<html>sign in</html>")
    async with client_for(origin) as client:
        with pytest.raises(IntegrityError, match="an HTML page"):
            await client.fetch(segment(origin.url("/a.ts")), MemorySink())


PLAYLIST = b"#EXTM3U\n#EXT-X-ENDLIST\n"


async def test_what_is_read_ahead_is_asked_for_once_and_then_anew(origin: ScriptedOrigin) -> None:
    url = origin.add("/master.m3u8", PLAYLIST)
    async with client_for(origin) as client:
        client.read_ahead(url, kind="playlist", limit=100)
        await asyncio.to_thread(origin.wait_for, "/master.m3u8")
        assert (await client.read(url, kind="playlist", limit=100)).data == PLAYLIST
        assert origin.count("/master.m3u8") == 1
        await client.read(url, kind="playlist", limit=100)
        assert origin.count("/master.m3u8") == 2


async def test_what_is_read_ahead_in_vain_fails_whoever_reads_it(origin: ScriptedOrigin) -> None:
    url = origin.url("/master.m3u8")
    async with client_for(origin) as client:
        client.read_ahead(url, kind="playlist", limit=100)
        await asyncio.to_thread(origin.wait_for, "/master.m3u8")
        with pytest.raises(HttpError, match="404"):
            await client.read(url, kind="playlist", limit=100)


@pytest.mark.parametrize("held", [True, False])
async def test_what_is_read_ahead_and_not_wanted_ends_with_the_client(
    origin: ScriptedOrigin, held: bool, caplog: pytest.LogCaptureFixture
) -> None:
    before = asyncio.all_tasks()
    release = threading.Event()
    origin.always("/master.m3u8", *([Hold(release)] if held else []), Status(403))
    async with client_for(origin) as client:
        client.read_ahead(origin.url("/master.m3u8"), kind="playlist", limit=100)
        await asyncio.to_thread(origin.wait_for, "/master.m3u8")
        await asyncio.sleep(0 if held else 0.1)
    assert asyncio.all_tasks() == before
    release.set()
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_whoever_stops_reading_stops_what_was_read_ahead(origin: ScriptedOrigin) -> None:
    before = asyncio.all_tasks()
    release = threading.Event()
    origin.always("/master.m3u8", Hold(release))
    url = origin.add("/master.m3u8", PLAYLIST)
    async with client_for(origin) as client:
        client.read_ahead(url, kind="playlist", limit=100)
        await asyncio.to_thread(origin.wait_for, "/master.m3u8")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.read(url, kind="playlist", limit=100), 0.05)
        assert asyncio.all_tasks() == before
        release.set()


async def test_downloads_with_the_same_options_leave_a_host_alone_together(origin: ScriptedOrigin) -> None:
    """The second client has not heard of the pause from the host itself, and still does not ask before its end."""
    clock = FakeClock()
    url, other = origin.add("/a.ts", BODY), origin.add("/b.ts", BODY)
    origin.script("/a.ts", Status(503, headers={"Retry-After": "40"}))
    options = TransferOptions(proxy="", timeout=5.0)
    asleep, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        clock.slept.append(seconds)
        asleep.set()
        await go_on.wait()
        clock.time = max(clock.time, 1000.0 + seconds)

    clock.sleep = sleep  # type: ignore[method-assign]
    async with (
        Client(options, url, clock=clock) as first,
        Client(replace(options, user_agent="another"), url, clock=clock) as second,
    ):
        one = asyncio.create_task(first.fetch(segment(url), MemorySink()))
        await asleep.wait()
        asleep.clear()
        two = asyncio.create_task(second.fetch(segment(other), sink := MemorySink()))
        await asleep.wait()
        assert origin.count("/b.ts") == 0
        go_on.set()
        await asyncio.gather(one, two)
    assert clock.slept == [40.0, 40.0]
    assert sink.data == BODY
