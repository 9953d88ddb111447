"""Work in threads is waited for, however the one who wanted it is stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from hlsdl.bundle.threads import in_thread

pytestmark = pytest.mark.anyio


async def test_it_returns_what_the_work_returns_and_raises_what_it_raises() -> None:
    assert await in_thread(lambda one, other: one + other, 1, 2) == 3
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelled_it_ends_after_the_thread_however_often(times: int) -> None:
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(20)
        ended.set()

    running = asyncio.create_task(in_thread(work))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not running.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_an_error_that_nobody_waits_for_any_more_gives_way_to_the_cancellation() -> None:
    begun, gate = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(20)
        raise ValueError

    running = asyncio.create_task(in_thread(work))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_a_task_that_is_left_at_the_end_of_the_loop_is_waited_for() -> None:
    """`asyncio.run` cancels every task that is still there, those inside ours included, were there any."""
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.2)
        ended.set()

    async def main() -> None:
        nobodys = asyncio.create_task(in_thread(work))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        assert not nobodys.done()

    asyncio.run(main())
    assert ended.is_set()


async def test_a_program_that_fills_the_pool_of_the_loop_holds_nothing_up() -> None:
    gate = threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
    blocking = asyncio.create_task(asyncio.to_thread(gate.wait, 20))
    await asyncio.sleep(0)
    try:
        assert await asyncio.wait_for(in_thread(lambda: "done"), 10) == "done"
    finally:
        gate.set()
        await blocking


async def test_work_sees_the_context_of_its_caller() -> None:
    name = ContextVar("name", default="nobody")
    name.set("the caller")
    assert await in_thread(name.get) == "the caller"
