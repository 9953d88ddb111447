"""The states of a task: one table says which phase follows which, and on what.

A phase is what is stored and reasoned with; the public state (URLSessionTask.State) is calculated from it. Stored names
are never renamed. Who acts on a change is `runners`; this module knows no task.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class TaskState(StrEnum):
    """What an app sees of a task's phase (URLSessionTask.State, the same four)."""

    RUNNING = "running"
    SUSPENDED = "suspended"
    CANCELING = "canceling"
    COMPLETED = "completed"


class Phase(StrEnum):
    """Where a task is. Stored by name."""

    SUSPENDED = "suspended"
    """Not wanted to run: new, or suspended."""
    WAITING = "waiting"
    """Wanted to run: for a place, its earliest date, or the network."""
    RESOLVING = "resolving"
    """Playlists are read, variants and renditions chosen."""
    TRANSFERRING = "transferring"
    """Bytes are coming."""
    CANCELING = "canceling"
    """Cancelled; what was under way comes to its end."""
    FINISHED = "finished"
    """The result is on disk, whole."""
    FAILED = "failed"
    """An error stopped it; what has come stays on disk."""
    CANCELLED = "cancelled"
    """Stopped for good; what has come stays on disk."""


class Trigger(StrEnum):
    """What happens to a task."""

    RESUME = "resume"
    """The app calls `resume()`."""
    SUSPEND = "suspend"
    """The app calls `suspend()`."""
    CANCEL = "cancel"
    """The app calls `cancel()`."""
    START = "start"
    """A place is free."""
    RESOLVE = "resolve"
    """It is known what is to be fetched."""
    YIELD = "yield"
    """It gives its place back: no network, or the session ends."""
    LOSE = "lose"
    """The process that had it is gone."""
    FINISH = "finish"
    """Everything has come and is sealed."""
    FAIL = "fail"
    """Something stopped it that trying again would not mend."""
    STOP = "stop"
    """Nothing of it is under way any more."""


_P, _T = Phase, Trigger

TRANSITIONS: Mapping[Phase, Mapping[Trigger, Phase]] = MappingProxyType(
    {
        _P.SUSPENDED: {_T.RESUME: _P.WAITING, _T.CANCEL: _P.CANCELING},
        _P.WAITING: {_T.START: _P.RESOLVING, _T.SUSPEND: _P.SUSPENDED, _T.CANCEL: _P.CANCELING},
        _P.RESOLVING: {
            _T.RESOLVE: _P.TRANSFERRING,
            _T.SUSPEND: _P.SUSPENDED,
            _T.CANCEL: _P.CANCELING,
            _T.YIELD: _P.WAITING,
            _T.LOSE: _P.WAITING,
            _T.FINISH: _P.FINISHED,
            _T.FAIL: _P.FAILED,
        },
        _P.TRANSFERRING: {
            _T.SUSPEND: _P.SUSPENDED,
            _T.CANCEL: _P.CANCELING,
            _T.YIELD: _P.WAITING,
            _T.LOSE: _P.WAITING,
            _T.FINISH: _P.FINISHED,
            _T.FAIL: _P.FAILED,
        },
        _P.CANCELING: {_T.STOP: _P.CANCELLED, _T.LOSE: _P.CANCELLED},
        _P.FINISHED: {},
        _P.FAILED: {},
        _P.CANCELLED: {},
    }
)
"""Phase -> trigger -> the phase after it. What is not here changes nothing: a second `resume()` is harmless."""

ENDS = frozenset(phase for phase, leaving in TRANSITIONS.items() if not leaving)
"""Phases that nothing leads out of."""
ACTIVE = frozenset({Phase.RESOLVING, Phase.TRANSFERRING})
"""Phases in which work is under way."""

ASKED = frozenset({Trigger.RESUME, Trigger.SUSPEND, Trigger.CANCEL})
"""Triggers that are an app's; the others are told by what happens."""


def phase_after(phase: Phase, trigger: Trigger) -> Phase:
    """Return the phase that follows; the same one when the trigger means nothing in it."""
    return TRANSITIONS[phase].get(trigger, phase)


def state_of(phase: Phase) -> TaskState:
    """Return what an app sees of `phase`."""
    if phase in ENDS:
        return TaskState.COMPLETED
    if phase is Phase.SUSPENDED:
        return TaskState.SUSPENDED
    return TaskState.CANCELING if phase is Phase.CANCELING else TaskState.RUNNING
