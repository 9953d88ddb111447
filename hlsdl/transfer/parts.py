"""Parts: byte ranges of one URL that are brought together, each finished as soon as its bytes are whole.

What makes one request, `joining` decides; `fetching` moves its bytes as if it were one resource, and the `Cutter` here
is the sink that cuts them up. Whatever goes wrong, a finished part stays finished and only the rest is asked for again.
A server that does not understand joint ranges is asked for one part at a time; one that ignores ranges sends the whole,
and then every part that is still missing of that URL is cut from it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from hlsdl.access.limits import KIB
from hlsdl.access.urls import CheckedUrl
from hlsdl.errors import HlsdlError, HttpError, IntegrityError
from hlsdl.planning.plan import Resource
from hlsdl.transfer.checking import CheckedUrls
from hlsdl.transfer.doors import Head, Setback
from hlsdl.transfer.exchange import Exchange
from hlsdl.transfer.fetching import Fetch
from hlsdl.transfer.joining import MOST_PARTS, Run, leading, range_of, span_of
from hlsdl.transfer.ranges import OF_ALL
from hlsdl.transfer.sink import Sink, Validator
from hlsdl.transfer.tap import Tap

LEAST_BLOCK = 64 * KIB
"""Bytes that a door gathers at least, however small the parts are."""

MakeSink = Callable[[Resource], Sink]
Forgive = Callable[[Resource, HlsdlError], bool]
Finished = Callable[[Resource, Sink], Awaitable[None]]


class Entity:
    """One URL of which several runs are wanted: those that have not begun, and what its server is like.

    The first run goes ahead until its answer has begun: if that is the whole entity, no other need be asked for.
    """

    def __init__(self) -> None:
        self.waiting: dict[Run, None] = {}
        """Those that have not begun, in their order."""
        self.wants_single_parts = False
        """Whether a joint range was answered in a way that cannot be used."""
        self._is_asked = False
        self._heard = asyncio.Event()

    async def begin(self, run: Run) -> bool:
        """Wait until `run` may be asked for; False when another answer brings its parts."""
        if self._is_asked:
            await self._heard.wait()
        self._is_asked = True
        is_mine = run in self.waiting
        self.waiting.pop(run, None)
        return is_mine

    def heard(self) -> None:
        """The server has answered, or could not."""
        self._heard.set()

    def take_along(self, rest: Iterable[Resource], *, end: int) -> list[Resource]:
        """The parts of all runs that have not begun, lie before `end` and overlap with nothing else, nor with `rest`.

        They are no longer waiting.
        """
        taken: list[Resource] = []
        own = [range_of(part) for part in rest]
        reached = 0
        for run in sorted(self.waiting, key=lambda run: range_of(run.parts[0]).offset):
            span = range_of(span_of(run.parts))
            after = bisect_right(own, span.offset, key=lambda one: one.end)
            is_free = span.offset >= reached and (after == len(own) or own[after].offset >= span.end)
            if is_free and span.end <= end:
                reached = span.end
                del self.waiting[run]
                taken.extend(run.parts)
        return taken


def entities_of(runs: Iterable[Resource | Run]) -> dict[str, Entity]:
    """The entities that runs belong to, by URL."""
    entities: dict[str, Entity] = {}
    for run in runs:
        if isinstance(run, Run):
            entities.setdefault(run.url, Entity()).waiting[run] = None
    return entities


class Cutter:
    """The sink of a joint range: cuts what it is given into parts, and finishes each of them.

    Bytes that belong to no part, or to one that is finished, are dropped; so the same bytes may come twice.
    """

    def __init__(self, parts: Sequence[Resource], make_sink: MakeSink, finished: Finished) -> None:
        self.rest = deque(parts)
        """The parts that are not finished, by their offsets."""
        self.current = parts[0]
        """The part that errors speak of: the first of the rest, or the last of all when nothing is left."""
        self.done = 0
        """How many parts were finished."""
        self.is_finishing = False
        """Whether a part is being finished, or could not be."""
        self._make_sink, self._finished = make_sink, finished
        self._offset = self._position = 0
        """Where in the entity the bytes begin that are given, and how far they have come."""
        self._sink: Sink | None = None
        """Of the first of the rest, once it is begun."""
        self._validator: Validator | None = None
        self._length_verified = True

    @property
    def size(self) -> int:
        """Bytes given since the beginning of what was asked for."""
        return self._position - self._offset

    @property
    def validator(self) -> Validator | None:
        """Of the answer that gave them."""
        return self._validator

    async def aim(self, offset: int) -> None:
        """The next byte given is the one at `offset`."""
        self._offset = offset
        await self.restart()

    async def add(self, parts: Iterable[Resource]) -> None:
        """More parts to cut, which overlap with none of the rest."""
        self.rest = deque(sorted([*self.rest, *parts], key=lambda part: range_of(part).offset))
        await self._turn_to_next()

    async def give_up(self) -> None:
        """Leave out the part that is to be finished next, if there is one."""
        if self.rest:
            self.rest.popleft()
        await self._turn_to_next()

    async def _turn_to_next(self) -> None:
        sink, self._sink = self._sink, None
        self.current = self.rest[0] if self.rest else self.current
        if sink is not None and sink.size:
            await sink.restart()

    def describe(self, *, validator: Validator, length_verified: bool) -> None:
        """Told of each answer; every part that gets bytes of it is told too."""
        self._validator, self._length_verified = validator, length_verified
        if self._sink is not None:
            self._sink.describe(validator=validator, length_verified=length_verified)

    async def write(self, block: bytes) -> None:
        """Cut up the next bytes; what a part's sink or finishing it raises comes through."""
        view = memoryview(block)
        while view and self.rest:
            part = range_of(self.rest[0])
            held = self._sink.size if self._sink is not None else 0
            if self._position < part.offset + held:
                passed = min(part.offset + held - self._position, len(view))
                self._position += passed
                view = view[passed:]
                continue
            mine = view[: part.end - self._position]
            await self._write_part(block if len(mine) == len(block) else bytes(mine))
            view = view[len(mine) :]
            if self._position == part.end:
                await self._finish()
        self._position += len(view)

    async def restart(self) -> None:
        """Forget the bytes of the part that is unfinished."""
        if self._sink is not None and self._sink.size:
            await self._sink.restart()
        self._position, self._validator = self._offset, None

    async def _write_part(self, data: bytes) -> None:
        if self._sink is None:
            self._sink = self._make_sink(self.rest[0])
            if self._sink.size:
                await self._sink.restart()
        if self._sink.size == 0 and self._validator is not None:
            self._sink.describe(validator=self._validator, length_verified=self._length_verified)
        await self._sink.write(data)
        self._position += len(data)

    async def _finish(self) -> None:
        assert self._sink is not None  # noqa: S101 - a part has bytes, and they were just written
        self.is_finishing = True
        await self._finished(self.rest[0], self._sink)
        self.is_finishing = False
        self.rest.popleft()
        self.done += 1
        self._sink = None
        self.current = self.rest[0] if self.rest else self.current


@dataclass(slots=True, kw_only=True)
class PartsFetch:
    """A run of parts on its way; lives until all of them are finished or given up."""

    exchange: Exchange
    urls: CheckedUrls
    entity: Entity
    cutter: Cutter
    tap: Tap
    given_up: Callable[[], bool]
    """Whether what fails is not tried again."""
    _asked: tuple[Resource, ...] = field(default=(), init=False)
    _fetch: Fetch | None = field(default=None, init=False)
    """For `_asked`; kept for another try while nothing of it is finished and it is to be asked for just so again."""

    async def bring(self, run: Run, *, forgive: Forgive | None, stopped: Callable[[], bool]) -> None:
        """Bring all parts of `run`, leaving out those whose failure is forgiven, until `stopped` says so.

        Raises:
            HlsdlError: what `Client.fetch` raises for the part that `Cutter.current` names, and was not forgiven.
        """
        if not await self.entity.begin(run):
            return
        patience = self.exchange.patience
        try:
            while self.cutter.rest and not stopped():
                try:
                    url = self.urls.check(run.url)
                    self.tap.pace = patience.host(url.host)
                    await patience.persist(url.host, partial(self.attempt, url), given_up=self.given_up)
                except HlsdlError as error:
                    if self.cutter.is_finishing or forgive is None or not forgive(self.cutter.current, error):
                        raise
                    self._fetch = None
                    await self.cutter.give_up()
        finally:
            self.entity.heard()

    async def attempt(self, url: CheckedUrl) -> None:
        """Try once: all parts are finished afterwards, or Setback or an HlsdlError says why not."""
        done = self.cutter.done
        try:
            while self.cutter.rest:
                await self._bring_leading(url)
        except Setback as setback:
            setback.progressed = self.cutter.done > done or (self._fetch is not None and setback.progressed)
            raise
        finally:
            self.entity.heard()  # it could not answer: the others need not wait for this one's patience

    async def _bring_leading(self, url: CheckedUrl) -> None:
        fetch = self._fetch = self._fetch or await self._fetch_leading(url)
        resource = fetch.resource
        try:
            await fetch.attempt()
        except HttpError:
            # Which of the parts is refused is not known yet; each will be asked for by itself.
            if len(self._asked) == 1:
                raise
            self.entity.wants_single_parts = True
        except Setback as setback:
            if len(self._asked) > 1 and isinstance(setback.error, IntegrityError | HttpError):
                self.entity.wants_single_parts = True
            # A single part keeps what was learnt: to be asked for without a range, or to go on with what is held.
            if len(self._asked) > 1 or fetch.resource is not resource or self.cutter.current is not self._asked[0]:
                self._fetch = None
            raise
        self._fetch = None

    async def _fetch_leading(self, url: CheckedUrl) -> Fetch:
        rest = self.cutter.rest
        self._asked = (rest[0],) if self.entity.wants_single_parts else leading(tuple(islice(rest, MOST_PARTS)))
        span = span_of(self._asked)
        await self.cutter.aim(range_of(span).offset)
        return Fetch(
            exchange=self.exchange,
            url=url,
            resource=span,
            sink=self.cutter,
            tap=self.tap,
            hear=self._hear,
            block=max(LEAST_BLOCK, span.limit // len(self._asked)),
        )

    async def _hear(self, head: Head) -> Resource:
        """What is wanted of an answer: what was asked for, or of a whole entity all that is missing."""
        assert self._fetch is not None  # noqa: S101 - it is what asks
        wanted = self._fetch.resource
        end = min(self.exchange.limits.whole, head.content_length or self.exchange.limits.whole)
        if head.status in OF_ALL and range_of(self.cutter.rest[0]).end <= end and (head.content_length or 0) <= end:
            await self.cutter.add(self.entity.take_along(self.cutter.rest, end=end))
            whole = span_of([part for part in self.cutter.rest if range_of(part).end <= end])
            if range_of(whole) != range_of(wanted):
                await self.cutter.aim(range_of(whole).offset)
                wanted = whole
        self.entity.heard()
        return wanted
