"""Workers: work done in order, off the event loop, with every answer delivered."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hlsdl.bundle.workers import TOGETHER, Gatherer, Worker, Workers
from hlsdl.errors import DiskError


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


async def test_what_waits_is_taken_together_in_order() -> None:
    """While the thread is busy items gather; it then takes all of them, up to its limit, and each gets its answer."""
    gate, taken = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def double(items: list[int]) -> list[int]:
        batches.append(items)
        taken.set()
        assert gate.wait(10)
        return [2 * item for item in items]

    gatherer: Gatherer[int, int] = Gatherer("t", double)
    first = asyncio.create_task(gatherer.put(0))
    await asyncio.to_thread(taken.wait, 10)
    more = [asyncio.create_task(gatherer.put(number)) for number in range(1, 2 * TOGETHER)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(first, *more) == [2 * number for number in range(2 * TOGETHER)]
    assert [len(batch) for batch in batches] == [1, TOGETHER, TOGETHER - 1]
    assert [item for batch in batches for item in batch] == list(range(2 * TOGETHER))
    gatherer.stop()


async def test_each_gets_its_own_error_and_a_defect_reaches_all() -> None:
    """An answer that is an exception is raised to one; what the work itself raises is raised to all; it goes on."""

    def work(items: list[int]) -> list[int | Exception]:
        if 99 in items:
            raise RuntimeError("defect")
        return [ValueError(item) if item % 2 else item for item in items]

    gatherer: Gatherer[int, int] = Gatherer("t", work)
    answers = await asyncio.gather(*(gatherer.put(number) for number in range(4)), return_exceptions=True)
    assert [type(one) for one in answers] == [int, ValueError, int, ValueError]
    with pytest.raises(RuntimeError, match="defect"):
        await gatherer.put(99)
    assert await gatherer.put(4) == 4
    gatherer.stop()


async def test_one_that_raises_when_it_is_told_keeps_nobody_else_from_being_told() -> None:
    """All of a batch are told in their order; what they raise goes to the event loop."""
    loop, gate, taken = asyncio.get_running_loop(), threading.Event(), threading.Event()
    raised: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    told: list[int] = []

    def work(items: list[int]) -> list[int]:
        taken.set()
        assert gate.wait(10)
        return items

    def tell(answer: int | BaseException) -> None:
        assert isinstance(answer, int)
        told.append(answer)
        if answer % 2:
            raise ValueError(answer)

    gatherer: Gatherer[int, int] = Gatherer("t", work)
    gatherer.post(0, tell)
    await asyncio.to_thread(taken.wait, 10)
    for number in range(1, 5):  # these are one batch
        gatherer.post(number, tell)
    gate.set()
    gatherer.stop()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert told == list(range(5))
    (last,) = raised
    assert (str(last), str(last.__context__)) == ("3", "1")


async def test_stopping_finishes_what_waits() -> None:
    """Everything that was given before `stop` is done when it returns, and a later item starts the thread again."""
    done: list[int] = []

    def work(items: list[int]) -> list[int]:
        done.extend(items)
        return items

    gatherer: Gatherer[int, int] = Gatherer("t", work)
    gatherer.stop()
    waiting = [asyncio.create_task(gatherer.put(number)) for number in range(50)]
    await asyncio.sleep(0)
    gatherer.stop()
    assert done == list(range(50))
    assert await asyncio.gather(*waiting) == list(range(50))
    assert await gatherer.put(50) == 50
    gatherer.stop()


def test_items_of_a_loop_that_has_ended_are_done_and_forgotten() -> None:
    """A cancelled caller, and a closed loop, hold up nobody who comes later."""
    gate = threading.Event()

    def work(items: list[int]) -> list[int]:
        assert gate.wait(10)
        return items

    gatherer: Gatherer[int, int] = Gatherer("t", work)

    async def abandon() -> None:
        task = asyncio.create_task(gatherer.put(1))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(abandon())
    gate.set()
    assert asyncio.run(asyncio.wait_for(gatherer.put(2), 5)) == 2
    gatherer.stop()


async def test_where_the_system_gives_no_thread_whoever_asks_is_told_and_the_next_one_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    worker, gatherer = Worker(1), Gatherer[int, int]("gatherer", list)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(DiskError, match="no more threads"):
                await worker.run(lambda: 7)
            with pytest.raises(DiskError, match="no more threads"):
                await gatherer.put(7)
        worker.stop()
        gatherer.stop()
    assert await worker.run(lambda: 7) == await gatherer.put(7) == 7
    worker.stop()
    gatherer.stop()
