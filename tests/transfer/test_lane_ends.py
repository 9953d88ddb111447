"""However a job with the short way ends, it lets go of everything and hides nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.errors import DiskError, LimitError
from hlsdl.planning.plan import Resource
from hlsdl.testing import (
    Chunked,
    Hold,
    ScriptedOrigin,
)
from hlsdl.transfer.crew import Crew
from hlsdl.transfer.lane import Done
from hlsdl.transfer.sink import MemorySink, Validator
from transfer.conftest import MakeClient, segment
from transfer.shelf import BODY, COOKIE, Shelf, bring, known, under_way


@pytest.fixture
def door_name() -> str:
    """Only libcurl's door begins with requests that nobody waits for."""
    return "curl"


async def test_a_body_that_cannot_be_kept_ends_the_job(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    class Full(Shelf):
        def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
            if len(self.kept) == 3:
                done(DiskError("the disk is full"))
            else:
                super().keep(resource, body, validator, done)

    shelf = Full()
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(40)]
    error = await bring(await known(make_client, origin, connections=2), work, shelf, short=True)
    assert isinstance(error, DiskError)
    assert len(shelf.all) < 40


async def test_a_defect_of_the_keeper_is_raised_and_not_lost(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    class Broken(Shelf):
        def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
            raise ZeroDivisionError

    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(10)]
    with pytest.raises(ZeroDivisionError):
        await bring(await known(make_client, origin), work, Broken(), short=True)


async def test_nothing_is_begun_once_it_is_stopped_and_what_is_under_way_is_kept(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    shelf = Shelf()
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(40)]
    client = await known(make_client, origin, connections=4)
    origin.clear_requests()
    error = await bring(client, work, shelf, short=True, stopped=lambda: len(shelf.all) >= 10)
    assert error is None
    assert 10 <= len(shelf.all) == len(origin.requests) < 25


async def test_cancelled_it_lets_go_of_everything(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """No connection stays, no place stays taken, and nothing is told afterwards."""
    shelf, go_on = Shelf(), threading.Event()
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(12)]
    for n in range(1, 12):
        origin.always(f"/{n}.ts", Hold(go_on))
    client = await known(make_client, origin, connections=4)
    gc.collect()  # what other tests have left is nothing of this one
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = asyncio.create_task(bring(client, work, shelf, short=True))
        await asyncio.to_thread(origin.wait_for, "/4.ts")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gc.collect()
    go_on.set()
    assert client._exchange.patience.host("127.0.0.1").busy == 0
    assert not client._door._busy
    assert len(shelf.all) == 1


@pytest.mark.parametrize("behaviours", [(), (COOKIE,), (Chunked(),)])
async def test_cancelled_in_the_round_in_which_answers_come_it_lets_go_of_them(
    origin: ScriptedOrigin, make_client: MakeClient, behaviours: tuple[Any, ...]
) -> None:
    """And nothing goes wrong where nobody looks."""
    client, go_on = await known(make_client, origin, connections=16), threading.Event()
    lost: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(16)]
    for n in range(16):
        origin.always(f"/{n}.ts", Hold(go_on), *behaviours)
    task = asyncio.create_task(bring(client, work, Shelf(), short=True))
    await asyncio.to_thread(lambda: [origin.wait_for(f"/{n}.ts") for n in range(16)])
    go_on.set()
    time.sleep(0.2)  # on this thread: the answers come while nobody looks
    gc.collect()  # what other tests have left is nothing of this one
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.02)
        gc.collect()
    assert (under_way(client), lost) == ((0, 0), [])


async def test_a_cancelled_job_takes_nothing_from_another_one(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    client, go_on, shelf = await known(make_client, origin, connections=16), threading.Event(), Shelf()
    jobs = {name: [segment(origin.add(f"/{name}{n}.ts", BODY)) for n in range(6)] for name in "ab"}
    for n in range(6):
        origin.always(f"/a{n}.ts", Hold(go_on), COOKIE)
        origin.always(f"/b{n}.ts", Hold(go_on))
    first = asyncio.create_task(bring(client, jobs["a"], Shelf(), short=True))
    second = asyncio.create_task(bring(client, jobs["b"], shelf, short=True))
    await asyncio.to_thread(lambda: [origin.wait_for(f"/{name}{n}.ts") for n in range(6) for name in "ab"])
    go_on.set()
    time.sleep(0.2)
    first.cancel()
    assert await asyncio.wait_for(second, 5) is None
    assert len(shelf.all) == 6
    assert [origin.count(f"/b{n}.ts") for n in range(6)] == [1] * 6


async def test_a_failure_gives_back_the_places_of_the_others(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    client, go_on = await known(make_client, origin, connections=8), threading.Event()
    work = [segment(origin.add(f"/{n}.ts", BODY if n else BODY * 40)) for n in range(8)]
    for n in range(1, 8):
        origin.always(f"/{n}.ts", Hold(go_on), COOKIE)

    class Bad(Shelf):
        async def finished(self, resource: Resource, sink: Any) -> None:
            await asyncio.to_thread(lambda: [origin.wait_for(f"/{n}.ts") for n in range(1, 8)])
            go_on.set()
            time.sleep(0.2)
            raise LimitError("for good")

    assert isinstance(await bring(client, work, Bad(), short=True), LimitError)
    assert under_way(client) == (0, 0)


async def test_a_sink_that_cannot_be_made_gives_its_place_back(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    client = await known(make_client, origin, connections=4)
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(4)]
    for n in range(4):
        origin.always(f"/{n}.ts", COOKIE)

    def refuse(_: Resource) -> MemorySink:
        raise LimitError("no")

    with pytest.raises(LimitError):
        await client.fetch_all(work, refuse, Shelf().finished, keeper=Shelf())
    assert under_way(client) == (0, 0)


@pytest.mark.parametrize("connections", [1, 2])
async def test_work_that_breaks_off_is_an_error_and_no_end(
    origin: ScriptedOrigin, make_client: MakeClient, connections: int
) -> None:
    def work() -> Iterator[Resource]:
        for n in range(6):
            yield segment(origin.add(f"/{n}.ts", BODY))
        raise ZeroDivisionError

    client = await known(make_client, origin, connections=connections)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(bring(client, work(), Shelf(), short=True), 5)  # type: ignore[arg-type]
    assert under_way(client) == (0, 0)


async def test_a_callback_that_is_cancelled_is_no_silent_end(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    class Deaf(Shelf):
        def hear(self, size: int) -> None:
            raise asyncio.CancelledError

    client = await known(make_client, origin)
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(4)]
    with pytest.raises(RuntimeError, match="cancelled"):
        await asyncio.wait_for(bring(client, work, Deaf(), short=True), 5)


async def test_a_coroutine_that_ends_cancelled_alone_ends_the_crew() -> None:
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        crew = Crew(group, iter(range(3)), work, wanted=lambda: 2, stopped=lambda: False)
        attending = group.create_task(crew.attend())
        crew.fill()
    assert (begun, attending.done(), attending.cancelled()) == ([0, 1], True, False)
