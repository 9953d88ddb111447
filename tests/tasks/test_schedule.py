"""Who gets a place, who is stopped, and when to look again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlsdl.tasks.schedule import Standing, orders_for
from hlsdl.tasks.states import ACTIVE, Phase


def standing(number: int, phase: Phase = Phase.WAITING, **others: object) -> Standing:
    return Standing(number=number, phase=phase, **others)  # type: ignore[arg-type]


def test_places_go_to_the_highest_priority_then_to_the_one_that_was_resumed_first() -> None:
    waiting = [standing(1, turn=8), standing(2, turn=7), standing(3, priority=0.75, turn=9), standing(4, turn=10)]
    assert orders_for(waiting, places=3).start == (3, 2, 1)


def test_whoever_was_under_way_a_moment_ago_keeps_the_place() -> None:
    assert orders_for([standing(1, priority=1.0), standing(2, keeps_place=True)], places=1).start == (2,)


def test_a_task_whose_date_has_not_come_waits_and_gives_its_place_to_the_next() -> None:
    orders = orders_for([standing(1, wait=30.0), standing(2)], places=1)
    assert (orders.start, orders.look_again) == ((2,), 30.0)


def test_the_next_look_is_when_the_first_of_the_waiting_may_start() -> None:
    assert orders_for([standing(1, wait=30.0), standing(2, wait=5.0)], places=2).look_again == 5.0
    assert orders_for([standing(1)], places=0).look_again is None


def test_work_that_is_not_wanted_any_more_is_stopped_and_holds_its_place_until_it_has() -> None:
    orders = orders_for([standing(1, Phase.SUSPENDED, is_running=True), standing(2)], places=1)
    assert (orders.stop, orders.start) == ((1,), ())


def test_a_task_that_was_resumed_while_its_work_was_being_stopped_waits_for_the_end_of_it() -> None:
    orders = orders_for([standing(1, is_running=True)], places=5)
    assert (orders.stop, orders.start) == ((1,), ())


def test_a_cancelled_task_ends_once_nothing_of_it_is_under_way() -> None:
    tasks = [standing(1, Phase.CANCELING, is_running=True), standing(2, Phase.CANCELING)]
    assert orders_for(tasks, places=5).end == (2,)


@given(
    st.lists(
        st.tuples(st.sampled_from(Phase), st.floats(0, 1), st.sampled_from([-1.0, 0.0, 3.0]), st.booleans()),
        max_size=12,
    ),
    st.integers(1, 5),
)
def test_there_are_never_more_at_work_than_places(tasks: list[tuple[Phase, float, float, bool]], places: int) -> None:
    standings = [
        standing(number, phase, priority=priority, wait=wait, is_running=running)
        for number, (phase, priority, wait, running) in enumerate(tasks)
    ]
    orders = orders_for(standings, places=places)
    running = sum(one.is_running for one in standings)
    assert len(orders.start) <= max(0, places - running)
    assert all(standings[number].phase is Phase.WAITING and standings[number].wait <= 0 for number in orders.start)
    assert set(orders.stop) == {one.number for one in standings if one.is_running and one.phase not in ACTIVE}
