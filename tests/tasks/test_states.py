"""The table of states: which phase follows which, and what an app sees of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.tasks.states import ACTIVE, ENDS, TRANSITIONS, Phase, TaskState, Trigger, phase_after, state_of


def test_every_phase_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Phase)


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.SUSPENDED, "suspended"),
        (Phase.WAITING, "running"),
        (Phase.RESOLVING, "running"),
        (Phase.TRANSFERRING, "running"),
        (Phase.CANCELING, "canceling"),
        (Phase.FINISHED, "completed"),
        (Phase.FAILED, "completed"),
        (Phase.CANCELLED, "completed"),
    ],
)
def test_an_app_sees_one_of_four_states(phase: Phase, state: str) -> None:
    assert state_of(phase) == TaskState(state) == state


def test_the_way_of_a_task_that_goes_well() -> None:
    phase = Phase.SUSPENDED
    way = [phase := phase_after(phase, t) for t in (Trigger.RESUME, Trigger.START, Trigger.RESOLVE, Trigger.FINISH)]
    assert way == [Phase.WAITING, Phase.RESOLVING, Phase.TRANSFERRING, Phase.FINISHED]


def test_only_work_that_is_under_way_fails_or_finishes() -> None:
    for trigger in (Trigger.FAIL, Trigger.FINISH):
        assert {phase for phase, leaving in TRANSITIONS.items() if trigger in leaving} == ACTIVE


@given(st.lists(st.sampled_from(Trigger)))
def test_nothing_leads_out_of_an_end(triggers: list[Trigger]) -> None:
    phase = Phase.SUSPENDED
    ended: Phase | None = None
    for trigger in triggers:
        phase = phase_after(phase, trigger)
        assert ended in (None, phase)
        ended = phase if phase in ENDS else None


@given(st.lists(st.sampled_from(Trigger)))
def test_a_lost_process_leaves_no_task_under_way_and_none_being_cancelled(triggers: list[Trigger]) -> None:
    phase = Phase.SUSPENDED
    for trigger in triggers:
        phase = phase_after(phase, trigger)
    after = phase_after(phase, Trigger.LOSE)
    assert after in {Phase.SUSPENDED, Phase.WAITING, *ENDS}
    assert (state_of(after) is TaskState.RUNNING) == (state_of(phase) is TaskState.RUNNING)


@pytest.mark.parametrize("trigger", [Trigger.RESUME, Trigger.SUSPEND])
@pytest.mark.parametrize("phase", Phase)
def test_resuming_or_suspending_twice_is_as_good_as_once(phase: Phase, trigger: Trigger) -> None:
    once = phase_after(phase, trigger)
    assert phase_after(once, trigger) is once


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in ENDS])
def test_whatever_has_not_ended_can_be_cancelled(phase: Phase) -> None:
    assert phase_after(phase_after(phase, Trigger.CANCEL), Trigger.STOP) is Phase.CANCELLED
