"""Patience is counted, not guessed: retries, pauses and tokens with a clock that never waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from hlsdl.errors import HlsdlError, IntegrityError, NetworkError
from hlsdl.transfer.doors import Setback
from hlsdl.transfer.patience import SLOW_LOOK, SUCCESSES_TO_GROW, HostPace, Patience, SystemClock
from hlsdl.transfer.pauses import Pauses
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.slow_lane import SlowLane
from transfer.doors import FakeClock


def failing(times: int, *, error: HlsdlError | None = None, **fields: object) -> Callable[[], Awaitable[int]]:
    """An attempt that fails `times` times, then returns how often it was made."""
    made = 0

    async def attempt() -> int:
        nonlocal made
        made += 1
        if made <= times:
            raise Setback(error or NetworkError("cut", retryable=True), **fields)  # type: ignore[arg-type]
        return made

    return attempt


def patience(clock: FakeClock, connections: int = 8, **policy: float) -> Patience:
    return Patience(RetryPolicy(**policy), clock, connections=connections)  # type: ignore[arg-type]


async def test_an_attempt_may_fail_as_often_as_the_policy_says_and_no_more(clock: FakeClock) -> None:
    assert await patience(clock).persist("a", failing(8)) == 9
    with pytest.raises(NetworkError):
        await patience(clock).persist("a", failing(9))
    with pytest.raises(NetworkError):
        await patience(clock, retries=0).persist("a", failing(1))


async def test_some_failures_are_worth_fewer_retries(clock: FakeClock) -> None:
    error = IntegrityError("compressed")
    assert await patience(clock).persist("a", failing(1, error=error, retries=1)) == 2
    with pytest.raises(IntegrityError):
        await patience(clock).persist("a", failing(2, error=error, retries=1))
    with pytest.raises(IntegrityError):
        await patience(clock, retries=0).persist("a", failing(1, error=error, retries=5))


async def test_other_failures_do_not_count_against_them(clock: FakeClock) -> None:
    made = 0

    async def attempt() -> int:
        nonlocal made
        made += 1
        if made < 7:
            is_page = made % 3 == 0
            raise Setback(IntegrityError("a page") if is_page else NetworkError("cut"), retries=2 if is_page else None)
        return made

    assert await patience(clock).persist("a", attempt) == 7


async def test_progress_is_no_failure(clock: FakeClock) -> None:
    assert await patience(clock, retries=0).persist("a", failing(20, progressed=True)) == 21
    assert clock.slept == []


async def test_other_errors_are_never_tried_again(clock: FakeClock) -> None:
    async def full() -> None:
        raise IntegrityError("no")

    with pytest.raises(IntegrityError):
        await patience(clock).persist("a", full)
    assert clock.slept == []


async def test_a_job_without_tokens_retries_one_at_a_time_and_far_apart(clock: FakeClock) -> None:
    job = patience(clock, retries=3, tokens=2.0, first_delay=0.0)
    at_once = most = 0

    def failing_for_ever() -> Callable[[], Awaitable[None]]:
        made = 0

        async def attempt() -> None:
            nonlocal made, at_once, most
            made += 1
            if made > 1:  # the first try of each is no retry
                at_once += 1
                most = max(most, at_once)
                await asyncio.sleep(0)
                at_once -= 1
            raise Setback(NetworkError("cut"))

        return attempt

    for _ in range(2):  # the first four spend the tokens
        most = 0
        outcomes = await asyncio.gather(
            *(job.persist("a", failing_for_ever()) for _ in range(4)), return_exceptions=True
        )
        assert all(isinstance(outcome, NetworkError) for outcome in outcomes)
    assert most == 1
    assert sum(clock.slept) >= 10 * 15.0


async def test_successes_give_tokens_back(clock: FakeClock) -> None:
    job = patience(clock, tokens=1.0, refund=0.5, first_delay=0.0)
    await job.persist("a", failing(1))
    await job.persist("a", failing(0))
    clock.slept.clear()
    assert await job.persist("a", failing(1)) == 2
    assert SLOW_LOOK not in clock.slept


async def test_a_wave_of_throttled_answers_costs_a_pause_and_no_patience(clock: FakeClock) -> None:
    """Sixty requests are under way when a host says 503 to all of them: it is one complaint, and then all go on."""
    job, answered = patience(clock, connections=64), Counter[int]()

    def attempt(number: int) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            await job.wait_for("a")
            answered[number] += 1
            await asyncio.sleep(0)
            if answered[number] == 1:
                wait = job.throttled("a", retry_after=None, url="http://a/", status=503)
                raise Setback(NetworkError("503"), wait=wait)

        return ask

    await asyncio.gather(*(job.persist("a", attempt(number)) for number in range(60)))
    assert set(answered.values()) == {2}
    assert clock.time - 1000.0 < 60, "nobody waits in the slow lane"


async def test_a_wave_of_requests_that_do_not_arrive_halves_what_is_asked_and_costs_no_pause(clock: FakeClock) -> None:
    job = Patience(RetryPolicy(tokens=1.0), clock, connections=None)
    before = job.host("a").allowed
    lost = {"wait": 0.0, "timed_out": True}
    made = await asyncio.gather(*(job.persist("a", failing(1, **lost)) for _ in range(before)))
    assert made == [2] * before
    assert job.host("a").allowed == before // 2
    assert not clock.slept


async def test_who_waits_for_a_sick_origin_goes_on_when_others_find_it_well(clock: FakeClock) -> None:
    job = patience(clock, tokens=1.0, refund=0.5, first_delay=0.0)
    await job.persist("a", failing(1))
    failed = asyncio.create_task(job.persist("a", failing(1)))
    while SLOW_LOOK not in clock.slept:
        await asyncio.sleep(0)
    for _ in range(3):
        await job.persist("a", failing(0))
    assert await failed == 2
    assert clock.slept.count(SLOW_LOOK) < 15, "of thirty seconds with half the luck"


async def test_a_dead_host_costs_a_bounded_number_of_requests(clock: FakeClock) -> None:
    job = patience(clock)
    requests = 0

    async def dead() -> None:
        nonlocal requests
        requests += 1
        raise Setback(NetworkError("dead"))

    outcomes = await asyncio.gather(*(job.persist("a", dead) for _ in range(8)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {NetworkError}
    assert requests == 72


async def test_a_pause_holds_for_every_resource_of_the_host(clock: FakeClock) -> None:
    job = patience(clock)
    assert job.throttled("a", retry_after=10.0, url="http://a/", status=429) == 10.0
    await job.wait_for("b")
    assert clock.slept == []
    await job.wait_for("a")
    assert clock.slept == [10.0]
    await job.wait_for("a")
    assert clock.slept == [10.0]


async def test_pauses_double_only_while_no_success_follows(clock: FakeClock) -> None:
    job = patience(clock)

    async def throttle() -> float:
        seconds = job.throttled("a", retry_after=None, url="http://a/", status=503)
        await job.wait_for("a")
        return seconds

    assert [await throttle() for _ in range(4)] == [1.0, 2.0, 4.0, 8.0]
    await job.persist("a", failing(0))
    assert await throttle() == 1.0


async def test_a_host_that_says_at_once_is_left_alone_like_one_that_says_nothing(clock: FakeClock) -> None:
    """Else eight tries are over in a few milliseconds, and no storm is outlasted."""
    job = patience(clock)

    async def throttle() -> float:
        seconds = job.throttled("a", retry_after=0.0, url="http://a/", status=503)
        await job.wait_for("a")
        return seconds

    assert [await throttle() for _ in range(4)] == [1.0, 2.0, 4.0, 8.0]


async def test_answers_that_were_under_way_do_not_prolong_a_pause(clock: FakeClock) -> None:
    job = patience(clock)
    waits = [job.throttled("a", retry_after=None, url="http://a/", status=503) for _ in range(8)]
    assert waits == [1.0] * 8
    assert job.host("a").allowed == 4


@pytest.mark.parametrize(("seconds", "accepted"), [(300.0, True), (300.5, False), (1e18, False)])
async def test_three_hundred_seconds_are_the_longest_that_a_host_may_ask_for(
    clock: FakeClock, seconds: float, accepted: bool
) -> None:
    job = patience(clock)
    if accepted:
        assert job.throttled("a", retry_after=seconds, url="http://a/", status=503) == seconds
        return
    with pytest.raises(NetworkError) as caught:
        job.throttled("a", retry_after=seconds, url="http://a/", status=503)
    assert caught.value.resumable


async def test_a_throttled_host_gets_half_and_one_more_after_twenty_successes(clock: FakeClock) -> None:
    pace = patience(clock).host("a")
    pace.throttle(now=0.0, until=1.0)
    pace.throttle(now=0.5, until=2.0)
    assert (pace.allowed, pace.pause.until) == (4, 2.0)
    pace.throttle(now=2.0, until=3.0)
    assert pace.allowed == 2
    for _ in range(SUCCESSES_TO_GROW - 1):
        pace.succeed(4.0)
    assert pace.allowed == 2
    pace.succeed(4.0)
    assert pace.allowed == 3
    for _ in range(SUCCESSES_TO_GROW * 20):
        pace.succeed(4.0)
    assert pace.allowed == 8
    for second in range(10, 20):
        pace.throttle(now=second, until=second + 1)
    assert pace.allowed == 1


async def test_no_more_than_allowed_are_inside_and_nobody_is_forgotten() -> None:
    pace = HostPace(3)
    inside = most = served = 0

    async def visit() -> None:
        nonlocal inside, most, served
        await pace.enter()
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        served += 1
        pace.leave()

    await asyncio.gather(*(visit() for _ in range(50)))
    assert (most, served, pace.busy) == (3, 50, 0)


@pytest.mark.parametrize("cancelled_first", [False, True])
async def test_a_cancelled_visitor_passes_its_place_on(cancelled_first: bool) -> None:
    pace = HostPace(1)
    await pace.enter()
    waiting = [asyncio.create_task(pace.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    if cancelled_first:
        waiting[0].cancel()
        pace.leave()
    else:
        pace.leave()
        waiting[0].cancel()
    await asyncio.wait_for(waiting[1], 1)
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    pace.leave()
    await asyncio.wait_for(pace.enter(), 1)
    assert pace.busy == 1


async def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0)
    assert clock.now() >= before
    assert clock.wall() > 1_700_000_000
    assert 0 <= clock.chance() < 1


# -- several jobs ------------------------------------------------------------------------------------------------------


def two_jobs(clock: FakeClock, connections: int | None = 8) -> tuple[Patience, Patience]:
    pauses = Pauses()
    one, other = (Patience(RetryPolicy(), clock, connections=connections, pauses=pauses) for _ in range(2))
    return one, other


async def test_a_pause_that_one_job_was_asked_for_holds_for_all_that_share_it(clock: FakeClock) -> None:
    one, other = two_jobs(clock)
    one.throttled("a", retry_after=10.0, url="http://a/", status=429)
    await other.wait_for("b")
    assert clock.slept == []
    await other.wait_for("a")
    assert clock.slept == [10.0]
    stranger = patience(clock)
    one.throttled("a", retry_after=10.0, url="http://a/", status=429)
    await stranger.wait_for("a")
    assert clock.slept == [10.0]


@pytest.mark.parametrize("connections", [8, None])
async def test_each_job_asks_for_less_once_but_one_pause_is_not_prolonged_by_the_others(
    clock: FakeClock, connections: int | None
) -> None:
    one, other = two_jobs(clock, connections)
    waits = [
        job.throttled("a", retry_after=None, url="http://a/", status=503) for _ in range(8) for job in (one, other)
    ]
    assert waits == [1.0] * 16
    assert (one.host("a").allowed, other.host("a").allowed) == (4, 4)


async def test_a_success_of_any_job_shows_that_pausing_helps(clock: FakeClock) -> None:
    one, other = two_jobs(clock)

    async def throttle(job: Patience) -> float:
        seconds = job.throttled("a", retry_after=None, url="http://a/", status=503)
        await job.wait_for("a")
        return seconds

    assert [await throttle(one), await throttle(other), await throttle(one)] == [1.0, 2.0, 4.0]
    await other.persist("a", failing(0))
    assert await throttle(one) == 1.0


async def test_more_places_than_there_is_to_do_wake_nobody() -> None:
    """Slow answers take back what quick ones allowed, so that one place may be free with nobody waiting for it."""
    pace = HostPace(None)
    pace.busy = pace.allowed

    def answered(now: float) -> None:
        pace.leave()
        pace.received(50_000)
        pace.succeed(now)

    for now in (0.10, 0.11):
        answered(now)
        pace.busy += 1
    answered(0.80)
    assert pace.allowed - pace.busy == 1


async def test_answers_that_come_together_do_not_look_like_too_little_to_do() -> None:
    """Equal segments over equal connections end in the same moment, before anybody has taken the next place."""
    pace = HostPace(None)
    begun = pace.allowed
    now = 0.0
    while pace.allowed == begun and now < 60:
        for _ in range(pace.allowed):
            pace.take()
        now += 1.0
        for _ in range(pace.busy):
            pace.leave()
            pace.received(1_000_000)
            pace.succeed(now)
    assert pace.allowed > begun


async def test_where_few_are_asked_for_their_answers_bring_in_no_more() -> None:
    pace = HostPace(None)
    begun = pace.allowed
    for now in range(60):
        for _ in range(begun - 1):
            pace.take()
        for _ in range(begun - 1):
            pace.leave()
            pace.received(1_000_000)
            pace.succeed(float(now))
    assert pace.allowed == begun


async def test_a_place_that_was_given_to_somebody_who_is_cancelled_is_free_again() -> None:
    pace = HostPace(1)
    await pace.enter()
    waiting = asyncio.create_task(pace.enter())
    await asyncio.sleep(0)
    pace.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pace.has_room


async def test_in_the_slow_lane_whoever_has_failed_most_often_is_next() -> None:
    lane, order = SlowLane(), list[int]()

    async def pass_through(failures: int) -> None:
        async with lane.alone(failures):
            order.append(failures)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(pass_through(failures)) for failures in (1, 2, 5, 3, 5, 4)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 5, 5, 4, 2]
    await pass_through(7)
    assert order[-1] == 7


async def test_a_turn_that_is_given_to_somebody_who_is_cancelled_goes_to_the_next() -> None:
    lane, order = SlowLane(), list[str]()

    async def pass_through(name: str) -> None:
        async with lane.alone(1):
            order.append(name)
            await asyncio.sleep(0.01)

    async with lane.alone(1):
        second, third = (asyncio.create_task(pass_through(name)) for name in ("second", "third"))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    second.cancel()  # its turn has just been given to it
    await asyncio.wait_for(asyncio.gather(second, third, return_exceptions=True), 5)
    assert order == ["third"]
    assert lane._waiting == []


async def test_a_dead_origin_is_given_up_as_soon_as_one_of_many_has_failed_for_the_last_time() -> None:
    """And not when all of them have."""
    clock = FakeClock()
    job = Patience(RetryPolicy(), clock, connections=None)
    asked = 0

    async def attempt() -> None:
        nonlocal asked
        asked += 1
        raise Setback(NetworkError("dead"))

    tasks = [asyncio.create_task(job.persist("a", attempt)) for _ in range(40)]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(done) == 1
    assert asked <= 40 + RetryPolicy().tokens + 2 * RetryPolicy().retries


async def test_whoever_fails_again_goes_on_before_those_who_have_failed_less_often() -> None:
    """It is gone for a moment between two tries, and still the next."""
    lane, order = SlowLane(), list[str]()

    async def fail(name: str, failures: int) -> None:
        for number in range(3):
            async with lane.alone(failures + number):
                order.append(name)
                await asyncio.sleep(0)

    await asyncio.gather(fail("a", 4), fail("b", 4))
    assert "".join(order) == "aaabbb"


async def test_where_something_else_has_failed_for_the_last_time_nothing_is_tried_again() -> None:
    """What waits for its next try, in whatever way, ends with why it failed; what is under way may still come."""
    clock = FakeClock()
    job = Patience(RetryPolicy(tokens=3), clock, connections=None)
    over = asyncio.Event()
    asked: Counter[int] = Counter()

    async def attempt(number: int) -> str:
        asked[number] += 1
        if number == 0:
            await over.wait()
            return "whole"
        if sum(asked.values()) > 25:
            over.set()
        raise Setback(NetworkError(f"dead {number}"))

    def persist(number: int) -> Awaitable[str]:
        return job.persist("a", lambda: attempt(number), given_up=over.is_set)

    ended = await asyncio.gather(*(persist(number) for number in range(6)), return_exceptions=True)
    assert ended[0] == "whole"
    assert [str(one) for one in ended[1:]] == [f"dead {number}" for number in range(1, 6)]
    assert sum(asked.values()) <= 27
    with pytest.raises(NetworkError, match="something else had failed"):
        await persist(6)
    assert asked[6] == 0
