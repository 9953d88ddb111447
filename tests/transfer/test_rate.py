"""--limit-rate is the rate, neither more nor less: counted with a clock that passes only when somebody sleeps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.testing import ScriptedOrigin
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.rate import MADE_GOOD, Schedule, SteadyRate
from hlsdl.transfer.sink import MemorySink
from hlsdl.transfer.tap import Tap
from transfer.conftest import segment
from transfer.doors import FakeClock


def test_every_byte_is_paid_for_and_the_first_ones_too() -> None:
    schedule = Schedule(100.0)
    assert [schedule.take(50, 10.0), schedule.take(100, 10.0), schedule.take(0, 10.0)] == [0.5, 1.5, 1.5]


def test_lateness_is_made_good_as_far_as_it_goes_and_no_further() -> None:
    schedule = Schedule(100.0)
    assert schedule.take(10, 0.0) == pytest.approx(0.1)
    assert schedule.take(10, 0.1 + MADE_GOOD) == 0.0
    assert schedule.take(10, 0.1 + MADE_GOOD) == 0.0
    # A long pause is no credit: half a second's worth passes at once, then the rate holds again.
    passed = 0
    while schedule.take(1, 1000.0) == 0.0:
        passed += 1
    assert passed == pytest.approx(100 * MADE_GOOD, abs=1)


@given(
    rate=st.floats(10, 1e8),
    parts=st.lists(st.tuples(st.floats(0.05, 0.2), st.floats(0, 0.05)), min_size=20, max_size=200),
)
def test_however_late_the_wake_ups_the_average_is_the_rate(rate: float, parts: list[tuple[float, float]]) -> None:
    """Each part is some seconds' worth of bytes, and its wake-up comes some seconds late."""
    schedule, now, taken = Schedule(rate), 5.0, 0.0
    for seconds, late in parts:
        taken += seconds
        now += schedule.take(seconds * rate, now) + late
        assert taken * (1 - 1e-9) <= now - 5.0 <= taken * (1 + 1e-9) + 0.05 + 1e-6


async def test_those_who_wait_pass_in_the_order_they_came(clock: FakeClock) -> None:
    rate = SteadyRate(100, clock, at_once=10)
    passed: list[tuple[int, float]] = []

    async def visit(number: int) -> None:
        await rate.acquire(10)
        passed.append((number, round(clock.now() - 1000, 6)))

    await asyncio.gather(*map(visit, range(5)))
    assert passed == [(number, round(0.1 * (number + 1), 6)) for number in range(5)]


async def test_one_who_gives_up_holds_nobody_up(clock: FakeClock) -> None:
    rate = SteadyRate(100, clock, at_once=10)
    tasks = [asyncio.create_task(rate.acquire(10)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.wait_for(tasks[2], 5)
    assert [task.cancelled() for task in tasks] == [True, True, False]
    assert clock.now() - 1000 <= 0.3


@pytest.mark.parametrize("rate", [1, 39, 59, 1010, 999_999])
async def test_a_rate_that_portions_do_not_divide_is_the_rate_all_the_same(clock: FakeClock, rate: int) -> None:
    tap = Tap(rate=SteadyRate(rate, clock, at_once=rate * 0.05))
    await tap.pass_on(rate * 3)
    assert clock.now() - 1000 == pytest.approx(3, rel=1e-6)


@pytest.mark.parametrize("transport", ["libcurl", "httpx"])
@pytest.mark.parametrize("connections", [1, 4])
async def test_a_job_takes_exactly_as_long_as_its_bytes(
    origin: ScriptedOrigin, clock: FakeClock, transport: Any, connections: int
) -> None:
    rate, sizes = 2_000_000, [1, 20_000, 500_000, 1_500_000, 300_000] * 2
    work = [segment(origin.add(f"/{n}.ts", b"G" * size), path=f"{n}.ts") for n, size in enumerate(sizes)]
    options = TransferOptions(limit_rate=rate, proxy="", connections=connections, transport=transport)

    async def finished(*_: object) -> None: ...

    async with Client(options, origin.url("/"), clock=clock) as client:
        await client.fetch_all(work, lambda _: MemorySink(), finished)
    assert clock.now() - 1000 == pytest.approx(sum(sizes) / rate, rel=1e-6)
