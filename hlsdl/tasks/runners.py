"""The work that is under way, one asyncio task for each of a session's tasks that has a place.

After every change `reconcile` asks `schedule` what is to be done, and does it: nothing else starts or stops work. What
the end of a task means to the outside is the session's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from hlsdl.errors import HlsdlError, HttpError, NetworkError
from hlsdl.tasks.credentials import MOST_CHALLENGES, challenge_of
from hlsdl.tasks.delivery import Credential, Delivery
from hlsdl.tasks.event_loops import begun_later
from hlsdl.tasks.schedule import Standing, orders_for
from hlsdl.tasks.session_configuration import SessionConfiguration
from hlsdl.tasks.states import ACTIVE, ENDS, Phase, TaskState, Trigger, state_of
from hlsdl.tasks.task import Task, TaskCancelled

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds between two tries of a task that waits for the network; doubled each time."""

Ended = Callable[[Task[Any], Any, HlsdlError | None], None]
"""Told once for each task that has ended: its result or its error."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A challenge that was told to the delegate."""

    error: HttpError
    """What led to it."""
    failures: int
    """How many were answered before it."""
    answer: asyncio.Future[Any]


class _TookTooLong(NetworkError):
    """The time for the whole task is over; a better network would come too late."""


class Runners:
    """Runs a session's tasks. One event loop only."""

    def __init__(
        self, tasks: Mapping[int, Task[Any]], configuration: SessionConfiguration, delivery: Delivery, ended: Ended
    ) -> None:
        """`tasks` is the session's own, by identifier; a live view."""
        self._tasks, self._configuration, self._delivery, self._ended = tasks, configuration, delivery, ended
        self._running: dict[int, asyncio.Task[None]] = {}
        self._stopping: set[int] = set()
        """Those that were told to stop: told again, they would be disturbed while they put things away."""
        self._not_before: dict[int, float] = {}
        """Task -> when to try again, on the loop's clock."""
        self._deadlines: dict[int, float] = {}
        """Task -> when it must be done, on the loop's clock; none of one that was suspended."""
        self._pauses: dict[int, float] = {}
        """Task -> how long it waits for the network before its next try; told of once."""
        self._alarm: asyncio.TimerHandle | None = None
        self._still_until = float("-inf")
        """Nothing is started or stopped before, on the loop's clock."""
        self._keeping: set[int] = set()
        """Those that were under way a moment ago, and keep their places."""
        self._asked: dict[int, _Asked] = {}
        """Task -> the challenge that its delegate has not answered yet."""
        self._holds = 0
        """How many want that nothing is started or stopped."""
        self._is_closed = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Start and stop nothing meanwhile, nor before whoever called has had its turn."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            asyncio.get_running_loop().call_soon(self.reconcile)

    def forget_answers(self) -> None:
        """Forget what delegates have answered and nobody has used yet; who is still asked, is."""
        self._asked = {number: one for number, one in self._asked.items() if not one.answer.done()}

    def hurry(self, number: int) -> None:
        """Forget that this task should wait for its next try."""
        self._not_before.pop(number, None)

    def reconcile(self) -> None:
        """Stop what should not run, end what has stopped, start what may."""
        if self._is_closed or self._holds:
            return
        if (still := self._still_until - asyncio.get_running_loop().time()) > 0:
            self._look_again(still)
            return
        orders = orders_for(
            [self._standing(task) for task in self._tasks.values()],
            places=self._configuration.maximum_concurrent_tasks,
        )
        for number in orders.stop:
            self._cancel(number)
        for number in orders.start:
            self._start(self._tasks[number])
        for number in orders.end:
            self._end_cancelled(self._tasks[number])
        self._look_again(orders.look_again)

    def _look_again(self, pause: float | None) -> None:
        """In so many seconds; None: something will happen before."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if pause is not None:
            # Never longer than a minute: dates are on the wall's clock, which may be set.
            self._alarm = asyncio.get_running_loop().call_later(min(pause, LONGEST_PAUSE), self.reconcile)

    async def restart(self) -> None:
        """Stop what is under way, which brings it to the device, and let the same go on."""
        stopped = [self._tasks[number] for number in self._running]
        self._still_until = float("inf")  # no place is for somebody else meanwhile
        try:
            await self._stop()
        finally:
            self._still_until = float("-inf")
            for task in stopped:
                task.trigger(Trigger.YIELD)
            self._keeping = {task.task_identifier for task in stopped}
            self.reconcile()
            self._keeping = set()

    async def close(self) -> None:
        """Stop everything for good; what was wanted stays wanted."""
        self._is_closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._stop()
        for task in self._tasks.values():
            if task.phase is Phase.CANCELING:
                self._end_cancelled(task)

    def let_go(self) -> None:
        """Forget whoever works or waits on an event loop that is closed: nothing there ever goes on.

        Its bundles stay locked as long as Python keeps what was under way.
        """
        left, self._running = self._running, {}
        self._stopping.clear()
        self._asked.clear()
        self._alarm = None
        self._delivery.let_go()
        for number in left:
            self._tasks[number].trigger(Trigger.YIELD)
        for task in self._tasks.values():
            task.let_go()

    async def _stop(self) -> None:
        running = list(self._running.values())
        for number in list(self._running):
            self._cancel(number)
        await asyncio.gather(*running, return_exceptions=True)

    def _end_cancelled(self, task: Task[Any]) -> None:
        if task.trigger(Trigger.STOP):
            self._ended(task, None, TaskCancelled("the task was cancelled"))

    def _cancel(self, number: int) -> None:
        if number not in self._stopping:
            self._stopping.add(number)
            self._running[number].cancel()

    def _standing(self, task: Task[Any]) -> Standing:
        number, date = task.task_identifier, task.row.earliest_begin
        until_date = date - time.time() if date is not None else 0.0
        until_try = self._not_before.get(number, 0.0) - asyncio.get_running_loop().time()
        return Standing(
            number=number,
            phase=task.phase,
            priority=task.priority,
            turn=task.turn,
            wait=max(until_date, until_try),
            keeps_place=number in self._keeping,
            is_running=number in self._running,
        )

    def _start(self, task: Task[Any]) -> None:
        number = task.task_identifier
        running = self._running[number] = begun_later(self._run(task), name=f"hlsdl task {number}")
        # Not at the end of `_run`, which never begins when it is cancelled at once.
        running.add_done_callback(partial(self._over, task))
        task.trigger(Trigger.START)

    async def _run(self, task: Task[Any]) -> None:
        """One task's turn: its work, and what becomes of it."""
        turn = asyncio.current_task()
        result: Any = None
        error: HlsdlError | None = None
        longest = self._configuration.timeout_interval_for_resource
        held = task.progress.completed_bytes
        deadline = self._deadlines.setdefault(task.task_identifier, asyncio.get_running_loop().time() + longest)
        try:
            async with asyncio.timeout_at(deadline):
                result = await self._work(task)
        except TimeoutError:
            error = _TookTooLong(f"the task was not done within {longest:g} seconds")
        except HlsdlError as failure:
            error = failure
        except Exception as defect:
            if self._running.get(task.task_identifier) is not turn:  # let go of, and now thrown away
                raise
            logger.exception("task %d failed by a defect", task.task_identifier)
            error = HlsdlError(f"a defect of hlsdl: {type(defect).__name__}")
        finally:
            task.rest()
        if task.phase in ACTIVE and self._running.get(task.task_identifier) is turn:
            self._settle(task, result, error, has_come_further=task.progress.completed_bytes > held)

    def _over(self, task: Task[Any], turn: asyncio.Task[None]) -> None:
        """Nothing of this turn is under way any more."""
        number = task.task_identifier
        del self._running[number]
        if state_of(task.phase) is not TaskState.RUNNING:
            self._deadlines.pop(number, None)
        if task.phase in ENDS:
            self._not_before.pop(number, None)
            self._pauses.pop(number, None)
            self._asked.pop(number, None)
        if turn.cancelled() and number not in self._stopping and not self._is_closed:
            # Somebody else did that, who most likely ends the whole loop: start nothing that nobody would wait for.
            self._still_until = asyncio.get_running_loop().time() + FIRST_PAUSE
            task.trigger(Trigger.YIELD)
        self._stopping.discard(number)
        self.reconcile()

    async def _work(self, task: Task[Any]) -> Any:
        """The task's work, again after each answered challenge; first of all after one that an earlier turn asked."""
        failures = await self._answered(task)
        while True:
            try:
                return await task.work()
            except HttpError as error:
                challenge = challenge_of(error, task.row.source_url, failures) if failures < MOST_CHALLENGES else None
                if challenge is None or not self._delivery.hears("did_receive_challenge", task):
                    raise
                answer = self._delivery.tell("did_receive_challenge", task, challenge)
                self._asked[task.task_identifier] = _Asked(error, failures, answer)
                failures = await self._answered(task)

    async def _answered(self, task: Task[Any]) -> int:
        """Wait for the answer to a challenge, if there is one; whoever is suspended meanwhile takes it up again.

        Returns:
            How many were answered for this work.

        Raises:
            HttpError: what led to the challenge, when the answer is no credential.
        """
        asked = self._asked.get(task.task_identifier)
        if asked is None:
            return 0
        task.rest()
        answer = await asyncio.shield(asked.answer)
        del self._asked[task.task_identifier]
        if not isinstance(answer, Credential):
            raise asked.error
        task.credential = answer
        return asked.failures + 1

    def _settle(self, task: Task[Any], result: Any, error: HlsdlError | None, *, has_come_further: bool) -> None:
        """What becomes of a task whose work has come to an end by itself."""
        if self._configuration.waits_for_connectivity and _is_for_want_of_network(error):
            self._wait_for_network(task, has_come_further=has_come_further)
        elif task.trigger(Trigger.FAIL if error is not None else Trigger.FINISH):
            self._ended(task, result, error)

    def _wait_for_network(self, task: Task[Any], *, has_come_further: bool) -> None:
        number = task.task_identifier
        if number not in self._pauses:
            self._delivery.tell("is_waiting_for_connectivity", task)
        before = 0.0 if has_come_further else self._pauses.get(number, 0.0)
        pause = self._pauses[number] = min(max(FIRST_PAUSE, 2 * before), LONGEST_PAUSE)
        task.trigger(Trigger.YIELD)  # first: a task of which something changes does not wait for its next try
        self._not_before[number] = asyncio.get_running_loop().time() + pause


def _is_for_want_of_network(error: HlsdlError | None) -> bool:
    return isinstance(error, NetworkError) and not isinstance(error, _TookTooLong) and error.http_status is None
