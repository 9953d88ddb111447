"""Who runs now: from where every task stands to what is to be stopped, ended and started. Pure; `runners` does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hlsdl.tasks.states import ACTIVE, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One task, as the schedule sees it."""

    number: int
    phase: Phase
    priority: float = 0.5
    turn: int = 0
    """Its place in the line: that of a task that was resumed later is higher."""
    wait: float = 0.0
    """Seconds until it may start: its date, or its next try; 0 or less: now."""
    keeps_place: bool = False
    """Whether it was under way a moment ago, and is only begun anew."""
    is_running: bool = False
    """Whether work of it is under way, wanted or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What is to be done."""

    stop: tuple[int, ...] = ()
    """Under way, and not wanted any more."""
    end: tuple[int, ...] = ()
    """Cancelled, and nothing of it under way."""
    start: tuple[int, ...] = ()
    look_again: float | None = None
    """Seconds until a task may start that may not yet; None: something will happen before."""


def orders_for(standings: Iterable[Standing], *, places: int) -> Orders:
    """Compare what is wanted with what is under way; at most `places` tasks run at once.

    A place goes to whoever keeps it, then to the highest priority, then to the one that was resumed first.
    """
    all_of_them = list(standings)
    running = sum(one.is_running for one in all_of_them)
    waiting = [one for one in all_of_them if one.phase is Phase.WAITING and not one.is_running]
    ready = sorted(
        (one for one in waiting if one.wait <= 0),
        key=lambda one: (not one.keeps_place, -one.priority, one.turn, one.number),
    )
    return Orders(
        stop=tuple(one.number for one in all_of_them if one.is_running and one.phase not in ACTIVE),
        end=tuple(one.number for one in all_of_them if one.phase is Phase.CANCELING and not one.is_running),
        start=tuple(one.number for one in ready[: max(0, places - running)]),
        look_again=min((one.wait for one in waiting if one.wait > 0), default=None),
    )
