"""Look-ups of the door on libcurl: one under way for each name, and what comes of it is for all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.access.gate import UrlPolicy
from hlsdl.errors import NetworkError, PolicyError
from hlsdl.testing import ScriptedOrigin
from hlsdl.transfer.doors import Door, Question, Reply, Setback, Timeouts
from transfer.doors import DoorSetting, curl

WAITING = 12


class Held:
    """A resolver that answers when it is let go; what was asked before is answered late."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.asked, self.go, self._address = 0, asyncio.Event(), address

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        await self.go.wait()
        return [self._address]


def door_for(url: str, resolver: Held, *, connect: float = 20.0) -> tuple[Door, Question]:
    policy = UrlPolicy.for_typed([url])
    asked = Question(url=policy.check_url(url), headers=(), timeouts=Timeouts(connect=connect))
    return curl(DoorSetting(policy=policy, resolver=resolver)), asked


async def ended(waiting: Sequence[asyncio.Task[Reply]]) -> list[Any]:
    async with asyncio.timeout(20):
        return await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_look_up_that_hangs_is_waited_for_once_by_all_who_need_it() -> None:
    resolver = Held()
    door, question = door_for("http://films.example/a", resolver, connect=0.2)
    failures = await ended([asyncio.create_task(door.ask(question)) for _ in range(WAITING)])
    assert [type(one) for one in failures] == [Setback] * WAITING
    assert {one.error.message for one in failures} == {"resolving `films.example` took longer than 0.2 seconds"}
    assert len({id(one) for one in failures}) == WAITING
    assert resolver.asked == 1
    with pytest.raises(Setback):  # which is no reason not to look up once more
        await door.ask(question)
    assert resolver.asked == 2
    await door.close()


async def test_an_address_that_is_refused_is_refused_to_all() -> None:
    resolver = Held("169.254.169.254")
    resolver.go.set()
    door, question = door_for("http://films.example/a", resolver)
    failures = await ended([asyncio.create_task(door.ask(question)) for _ in range(WAITING)])
    assert [type(one) for one in failures] == [PolicyError] * WAITING
    await door.close()


async def test_who_is_cancelled_takes_nobody_elses_look_up_along(origin: ScriptedOrigin) -> None:
    origin.add("/a", b"body")
    resolver = Held()
    door, question = door_for(origin.url("/a", host="films.example"), resolver)
    waiting = [asyncio.create_task(door.ask(question)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    resolver.go.set()
    cancelled, *replies = await ended(waiting)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert [reply.head.status for reply in replies] == [200, 200]
    assert resolver.asked == 1
    for reply in replies:
        await reply.close()
    await door.close()


async def test_a_door_that_is_closed_leaves_no_look_up_and_tells_whoever_waits() -> None:
    resolver = Held()
    door, question = door_for("http://films.example/a", resolver)
    before = asyncio.all_tasks()
    waiting = [asyncio.create_task(door.ask(question)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await door.close()
    assert asyncio.all_tasks() - before <= set(waiting)
    cancelled, *others = await ended(waiting)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert [type(one.error) for one in others] == [NetworkError] * 2
