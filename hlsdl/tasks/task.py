"""A task: one download with an identity, a state, and listeners. What the work is, the kinds of task say.

A task changes nothing by itself: it asks its session, which compares what is wanted with what is under way
(`AssetDownloadSession`). What must survive the process is in its row. Source: URLSessionTask.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, replace
from datetime import MAXYEAR, UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol

from hlsdl.errors import (
    ContentKeyError,
    DiskError,
    HlsdlError,
    HttpError,
    IntegrityError,
    Interrupted,
    LimitError,
    LiveStreamError,
    LockedError,
    NetworkError,
    PlaylistError,
    PolicyError,
    SelectionError,
    UsageError,
)
from hlsdl.library.tasks import TaskRow
from hlsdl.session.events import Event
from hlsdl.tasks.delivery import Credential, Delivery
from hlsdl.tasks.listening import Listeners
from hlsdl.tasks.states import ASKED, ENDS, Phase, TaskState, Trigger, phase_after, state_of

logger = logging.getLogger(__name__)

LOW_PRIORITY, DEFAULT_PRIORITY, HIGH_PRIORITY = 0.25, 0.5, 0.75
"""URLSessionTask.lowPriority, .defaultPriority, .highPriority."""

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R = TypeVar("R", default=Any)  # `Task` alone is one of any kind
else:
    from typing import TypeVar

    R = TypeVar("R")

MOST_BYTES = 2**63 - 1
"""What can be stored."""

_TURNS = itertools.count(1)


class TaskCancelled(Interrupted):
    """`cancel()` was called; what had come is still on disk (NSURLErrorCancelled)."""

    kind = "cancelled"
    usual_hint = "a new task for the same asset and destination goes on with what is there"


KINDS: dict[str, type[HlsdlError]] = {
    kind.kind: kind
    for kind in (
        UsageError,
        NetworkError,
        HttpError,
        PlaylistError,
        SelectionError,
        ContentKeyError,
        IntegrityError,
        DiskError,
        PolicyError,
        LockedError,
        LimitError,
        LiveStreamError,
    )
}
"""Errors by the word that is stored for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress:
    """How far a task is (URLSessionTask.progress)."""

    completed_bytes: int = 0
    total_bytes: int | None = None
    """None while nothing is known."""
    total_is_estimate: bool = True
    fraction: float = 0.0
    """0 to 1."""
    rate: float = 0.0
    """Bytes per second over the last few seconds; 0 when nothing is under way."""
    eta: float | None = None
    """Seconds left at that rate, None while unknown."""


class Owner(Protocol):
    """What a task needs of its session."""

    delivery: Delivery

    def must_be_open(self) -> None:
        """Raise when nothing of its tasks changes any more, or not here: the session has ended, or is elsewhere."""
        ...

    def changed(self, task: Task[Any]) -> None:
        """A task's phase, priority or date changed: see to it."""
        ...

    def save(self, row: TaskRow) -> None:
        """Write the row down."""
        ...

    def forget(self, task: Task[Any]) -> None:
        """Everybody knows of its end: drop it, and its row."""
        ...


class Task(ABC, Generic[R]):
    """One download. Made by a session, suspended; awaited it gives its result or raises its error.

    Use it from the session's event loop only; `hlsdl.sync` has the same for threads. Source: URLSessionTask.
    """

    def __init__(self, owner: Owner, row: TaskRow) -> None:
        self._owner = owner
        self.row = row
        """What is stored of it."""
        self.error: HlsdlError | None = None
        """Why it did not go well; None before the end and when it did (URLSessionTask.error)."""
        self.progress = TaskProgress(
            completed_bytes=row.completed_bytes,
            total_bytes=row.total_bytes,
            fraction=min(1.0, row.completed_bytes / row.total_bytes) if row.total_bytes else 0.0,
        )
        self.delegate: object | None = None
        """What it has of the methods of `AssetDownloadDelegate` is called instead of the session's delegate. Lives in
        this process only (URLSessionTask.delegate)."""
        self.turn = 0
        """Its place in the line of those who wait; 0 until it is resumed in this process."""
        self.credential: Credential | None = None
        """The answer to the last challenge; never stored."""
        self._result: R | None = None
        self._listeners = Listeners()
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.task_identifier}, {self.phase.value})"

    # -- what is stored --------------------------------------------------------------------------------------------

    @property
    def task_identifier(self) -> int:
        """Unique within its session, and never used again (taskIdentifier)."""
        return self.row.id

    @property
    def phase(self) -> Phase:
        """Where exactly the task is."""
        return Phase(self.row.phase)

    @property
    def state(self) -> TaskState:
        """`suspended`, `running`, `canceling` or `completed` (URLSessionTask.state)."""
        return state_of(self.phase)

    @property
    def task_description(self) -> str | None:
        """The app's own words, stored with the task: how it knows the task again (taskDescription)."""
        return self.row.description

    @task_description.setter
    def task_description(self, text: str | None) -> None:
        if not isinstance(text, str | None):
            raise UsageError("a description is text")
        self._keep(description=text)

    @property
    def priority(self) -> float:
        """0 to 1, 0.5 to begin with: who gets the next free place (priority)."""
        return self.row.priority

    @priority.setter
    def priority(self, priority: float) -> None:
        try:
            is_one = 0.0 <= priority <= 1.0
        except TypeError:
            is_one = False
        if not is_one:
            raise UsageError("a priority is a number from 0 to 1")
        self._keep(priority=float(priority))
        self._owner.changed(self)

    @property
    def earliest_begin_date(self) -> datetime | None:
        """Not to be started before; None: at once (earliestBeginDate)."""
        return datetime.fromtimestamp(self.row.earliest_begin, UTC) if self.row.earliest_begin is not None else None

    @earliest_begin_date.setter
    def earliest_begin_date(self, date: datetime | None) -> None:
        if not isinstance(date, datetime | None):
            raise UsageError(f"a date was given as `{type(date).__name__}`", hint="give a `datetime` with a time zone")
        if date is not None and date.tzinfo is None:
            raise UsageError("a date without a time zone could be any moment", hint="give it one, such as UTC")
        if date is not None and date.year == MAXYEAR:
            raise UsageError("a task that begins in the year 9999 never begins")
        self._keep(earliest_begin=date.timestamp() if date is not None else None)
        self._owner.changed(self)

    @property
    def count_of_bytes_client_expects_to_receive(self) -> int | None:
        """An upper guess, for whoever plans; the estimate once there is one (countOfBytesClientExpectsToReceive)."""
        return self.row.expected_bytes

    @count_of_bytes_client_expects_to_receive.setter
    def count_of_bytes_client_expects_to_receive(self, count: int | None) -> None:
        if count is not None and (not isinstance(count, int) or not 0 <= count <= MOST_BYTES):
            raise UsageError(f"a number of bytes is one from 0 to {MOST_BYTES}")
        self._keep(expected_bytes=count)

    @property
    def location(self) -> Path | None:
        """Where the result is, or will be; None until that is known."""
        return Path(self.row.location) if self.row.location is not None else None

    @property
    def count_of_bytes_received(self) -> int:
        """Bytes that are stored (countOfBytesReceived)."""
        return self.progress.completed_bytes

    @property
    def count_of_bytes_expected_to_receive(self) -> int | None:
        """Bytes in all, perhaps an estimate; None while unknown (countOfBytesExpectedToReceive)."""
        return self.progress.total_bytes

    # -- what is wanted: SessionInvalidated after the session's end; DiskError when it holds in this process only ----

    def resume(self) -> None:
        """Run, or go on; nothing when it runs already or has ended (`resume()`)."""
        self.trigger(Trigger.RESUME)

    def suspend(self) -> None:
        """Stop for now: what has come stays, in this process and the next (`suspend()`)."""
        self.trigger(Trigger.SUSPEND)

    def cancel(self) -> None:
        """Stop for good; the task ends with `TaskCancelled`, what has come stays on disk (`cancel()`)."""
        self.trigger(Trigger.CANCEL)

    def trigger(self, trigger: Trigger) -> bool:
        """Take `trigger` to the table of states; returns whether the phase is another one now."""
        if self.phase in ENDS:
            return False
        self._owner.must_be_open()
        after = phase_after(self.phase, trigger)
        if after is self.phase:
            return False
        if trigger is Trigger.RESUME:
            self.turn = next(_TURNS)
        write = self._keep if trigger in ASKED else self._note
        try:
            write(
                phase=after.value, completed_bytes=self.progress.completed_bytes, total_bytes=self.progress.total_bytes
            )
        finally:
            self._owner.changed(self)
        return True

    # -- what happens ----------------------------------------------------------------------------------------------

    def events(self) -> AsyncIterator[Event]:
        """Everything that this task tells from now on, until it ends; at once over when it has."""
        return self._listeners.add(is_over=self.phase in ENDS or self._ended.is_set())

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the end: the result, or the error raised. To stop waiting does not stop the task."""
        return self._outcome().__await__()

    async def _outcome(self) -> R:
        if not self._ended.is_set():
            self._owner.must_be_open()
            self._must_not_be_waited_for_here()
        await self._ended.wait()
        if self.error is not None:
            raise self.error
        if self._result is None:
            raise UsageError("the task ended well in an earlier process, and its result is not where it was")
        return self._result

    def _must_not_be_waited_for_here(self) -> None:
        self._owner.delivery.must_not_be_waited_for_here()

    @abstractmethod
    async def work(self) -> R:
        """Do what is missing; each kind of task has its own."""

    def tell(self, event: Event) -> None:
        """Hand an event to those who listen."""
        self._listeners.tell(event)

    def rest(self) -> None:
        """Nothing is under way for now."""
        self.progress = replace(self.progress, rate=0.0, eta=None)

    def let_go(self) -> None:
        """Forget whoever waits on an event loop that is closed; only before the end."""
        if not self._ended.is_set():
            self._ended = asyncio.Event()

    def finish(self, result: R | None, error: HlsdlError | None) -> None:
        """The end was told: let go of everybody who waits."""
        self._result, self.error = result, error
        self._listeners.tell(None)
        self._ended.set()

    def keep_error(self, error: HlsdlError) -> None:
        """Write down why the task failed, for a delegate that could not be told in this process."""
        self._note(
            error=json.dumps(
                {"kind": error.kind, "message": error.message, "hint": error.hint, "http_status": error.http_status}
            )
        )

    def acknowledge(self) -> None:
        """Its end was told: nothing of it needs to be found again."""
        self.row = self.row.with_changes(acknowledged=True)
        try:
            self._owner.forget(self)
        except HlsdlError as error:
            logger.warning("task %d is told again by the next process: %s", self.task_identifier, error.message)

    def stored_error(self) -> HlsdlError | None:
        """Why it ended in an earlier process, or None when it went well."""
        if self.phase is Phase.CANCELLED:
            return TaskCancelled("the task was cancelled")
        if self.row.error is None:
            return None
        try:
            told = json.loads(self.row.error)
            error = KINDS.get(told["kind"], HlsdlError)(str(told["message"]), hint=told["hint"])
            error.http_status = told.get("http_status")
            return error
        except (ValueError, TypeError, KeyError):
            return IntegrityError("why the task failed cannot be read any more")

    @abstractmethod
    def stored_result(self) -> R | None:
        """The result of a task that ended well in an earlier process."""

    def _keep(self, **changes: Any) -> None:
        """Change the row and write it down; when that fails it is changed all the same, in this process only."""
        self._owner.must_be_open()
        self.row = self.row.with_changes(**changes)
        if not self.row.acknowledged:
            self._owner.save(self.row)

    def _note(self, **changes: Any) -> None:
        """As `_keep`, for what a later process would find out again: a full disk must not leave a task without end."""
        try:
            self._keep(**changes)
        except HlsdlError as error:
            logger.warning("task %d cannot be written down: %s", self.task_identifier, error.message)


class LostTask(Task[None]):
    """A stored task that nothing can be made of any more: it has failed, and is only told of."""

    async def work(self) -> None:
        """There is nothing that could be done."""
        raise IntegrityError("a stored task cannot be read", hint="make a new task for the same asset")

    def stored_result(self) -> None:
        """There is none."""
