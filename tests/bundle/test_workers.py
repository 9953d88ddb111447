"""Workers: work done in order, off the event loop, with every answer delivered."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hlsdl.bundle.workers import Worker, Workers


async def test_work_is_done_in_order_in_one_other_thread() -> None:
    """Results come back, in the order given, from one thread that is not the loop's."""
    worker = Worker(1)
    seen: list[tuple[int, int]] = []
    await asyncio.gather(*(worker.run(lambda n=n: seen.append((n, threading.get_ident()))) for n in range(200)))
    worker.stop()
    assert [number for number, _ in seen] == list(range(200))
    assert {thread for _, thread in seen} - {threading.get_ident()} == {seen[0][1]}


async def test_an_error_reaches_the_one_who_waits() -> None:
    """What the work raises is raised to its caller; the worker goes on."""
    worker = Worker(1)
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 7) == 7
    worker.stop()


async def test_cancelled_work_is_finished_before_what_comes_later() -> None:
    """A caller that is cancelled leaves its work running; the next piece finds it done."""
    worker = Worker(1)
    gate = threading.Event()
    done: list[str] = []
    first = asyncio.create_task(worker.run(lambda: (gate.wait(), done.append("first"))))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    assert await worker.run(lambda: list(done)) == ["first"]
    worker.stop()


def test_a_worker_outlives_an_event_loop() -> None:
    """An answer for a loop that has ended is dropped, and a second loop is served."""
    worker = Worker(1)
    gate = threading.Event()

    async def abandon() -> None:
        task = asyncio.create_task(worker.run(gate.wait))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(abandon())
    gate.set()
    assert asyncio.run(asyncio.wait_for(worker.run(lambda: "second"), 5)) == "second"
    worker.stop()


def test_objects_are_dealt_to_two_workers() -> None:
    """Two workers take turns, and stopping unused ones is fine."""
    workers = Workers()
    given = [workers.next() for _ in range(4)]
    assert given[0] is given[2]
    assert given[1] is given[3]
    assert given[0] is not given[1]
    workers.stop()
