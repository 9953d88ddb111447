"""The number of requests at once, against simulated lines; and once against a real, slow origin."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from hlsdl.testing import Delay, ScriptedOrigin
from hlsdl.transfer.client import Client
from hlsdl.transfer.concurrency import LONGEST_LOOK, MOST, MOST_LARGE, START, Concurrency, most_at_rate, most_within
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.patience import HostPace
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment


@dataclass
class Line:
    """A host behind a line: `rtt` seconds for each request, `rate` bytes per second together, `most` at once."""

    size: int
    rtt: float = 0.05
    rate: float = 25e6
    most: int = 10_000
    refusals: int = 0
    levels: list[tuple[float, int]] = field(default_factory=list)

    def run(self, concurrency: Concurrency, *, until: float) -> int:
        """Keep every place taken until then; returns the requests that were served."""
        now = free_at = 0.0
        served = 0
        ends: list[tuple[float, bool]] = []
        while now < until:
            while len(ends) < concurrency.allowed:
                if len(ends) >= self.most:
                    heapq.heappush(ends, (now + self.rtt, False))
                    continue
                free_at = max(free_at, now + self.rtt / 2) + self.size / self.rate
                heapq.heappush(ends, (free_at + self.rtt / 2, True))
            now, is_served = heapq.heappop(ends)
            if is_served:
                served += 1
                concurrency.received(self.size)
                concurrency.finished(now, demand=1000)
            else:
                self.refusals += 1
                concurrency.complained(now)
            self.levels.append((now, concurrency.allowed))
        return served

    def level_after(self, moment: float) -> set[int]:
        return {level for now, level in self.levels if now >= moment}


def test_small_segments_far_away_get_many_connections_soon() -> None:
    line = Line(size=50_000)
    line.run(Concurrency(), until=5.0)
    assert min(line.level_after(1.0)) >= 32


def test_400_small_segments_take_little_longer_than_with_the_best_fixed_number() -> None:
    def seconds(start: int, most: int) -> float:
        line = Line(size=50_000)
        concurrency = Concurrency(start=start, most=most)
        until = 0.1
        while line.run(concurrency, until=until) < 400:
            line, concurrency, until = Line(size=50_000), Concurrency(start=start, most=most), until + 0.05
        return until

    assert seconds(START, MOST) <= 1.2 * min(seconds(level, level) for level in (8, 16, 32, 64))


def test_far_away_the_first_answers_bring_in_all_the_others() -> None:
    line = Line(size=50_000)
    line.run(Concurrency(), until=1.0)
    assert min(line.level_after(4 * line.rtt)) == MOST


def test_large_objects_get_at_most_sixteen_however_fast_they_come() -> None:
    line = Line(size=8 << 20, rtt=0.001, rate=1e9)
    line.run(Concurrency(), until=5.0)
    assert max(line.level_after(0.0)) <= MOST_LARGE


def test_a_quick_start_that_brings_nothing_is_taken_back() -> None:
    line = Line(size=50_000, rtt=0.001, rate=25e6)
    line.run(Concurrency(), until=1.0)
    assert line.level_after(0.8) == {START}


def test_a_lull_before_the_first_answer_is_not_taken_for_a_slow_round() -> None:
    concurrency = Concurrency()
    concurrency.finished(0.0, demand=1)
    line = Line(size=50_000, rtt=0.001, rate=25e6)
    line.run(concurrency, until=0.3)
    assert concurrency.allowed == START


def test_where_the_line_is_full_more_connections_are_given_up_again() -> None:
    line = Line(size=4_000_000)
    line.run(Concurrency(), until=30.0)
    assert max(line.level_after(0.0)) <= 2 * START
    levels = [level for _, level in line.levels]
    assert levels.count(START) > levels.count(2 * START)


def test_a_host_that_refuses_above_six_is_asked_with_about_six() -> None:
    line = Line(size=50_000, most=6)
    line.run(Concurrency(), until=40.0)
    assert line.level_after(20.0) <= {4, 5, 6, 7}
    early, late = line.refusals, Line(size=50_000, most=6)
    late.run(Concurrency(), until=20.0)
    assert early - late.refusals <= 8


def test_one_complaint_counts_once_for_everything_under_way() -> None:
    concurrency = Concurrency()
    for _ in range(8):
        concurrency.complained(100.0)
    assert concurrency.allowed == 4
    concurrency.complained(100.0 + LONGEST_LOOK)
    concurrency.complained(200.0)
    concurrency.complained(300.0)
    concurrency.complained(400.0)
    assert concurrency.allowed == 1


def test_places_that_stay_empty_are_no_reason_for_more() -> None:
    concurrency = Concurrency()
    for number in range(1000):
        concurrency.received(50_000)
        concurrency.finished(number * 0.05, demand=1)
    assert concurrency.allowed == START


@pytest.mark.parametrize(("fixed", "right"), [(None, lambda most: 8 < most <= MOST), (3, lambda most: most == 3)])
async def test_a_slow_origin_gets_more_requests_unless_the_number_is_fixed(
    fixed: int | None, right: Callable[[int], bool]
) -> None:
    body = b"G" + bytes(5000)
    with ScriptedOrigin() as origin:
        work = [segment(origin.add(f"/{number}.ts", body)) for number in range(200 if fixed is None else 30)]
        for number in range(len(work)):
            origin.always(f"/{number}.ts", Delay(0.04))
        done: list[str] = []
        begun: list[object] = []

        async def finished(resource: object, sink: object) -> None:
            done.append(resource.url)  # type: ignore[attr-defined]

        def begin(resource: object) -> MemorySink:
            begun.append(resource)
            return MemorySink()

        async with Client(TransferOptions(connections=fixed, proxy=""), origin.url("/")) as client:
            await client.fetch_all(work, begin, finished)
        assert sorted(done) == sorted(resource.url for resource in work)
        assert right(origin.most_at_once)
        assert begun == work


@pytest.mark.parametrize(("descriptors", "most"), [(None, MOST), (1024, MOST), (256, MOST), (64, 14), (32, 4), (8, 1)])
def test_no_more_requests_than_files_may_be_open(descriptors: int | None, most: int) -> None:
    """Row 89: each needs a connection and a file in its folder."""
    assert most_within(descriptors) == most


def test_at_a_low_rate_few_are_asked_at_once_since_each_begins_to_come_unread() -> None:
    assert [most_at_rate(rate) for rate in (None, 1, 400_000, 2_000_000, 10**9)] == [MOST, 1, 6, 30, MOST]
    pace = HostPace(64, ceiling=6)
    assert (pace.most, pace.allowed) == (6, 6)
    assert HostPace(None, ceiling=6).allowed == 6
