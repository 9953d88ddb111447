"""The short way of small whole objects, of which thousands may come a second: no coroutine for each of them.

A request is begun, and when its answer is there, whole and as plain as can be, its body is handed on to be stored. That
is all that is decided here. Every other answer goes the usual way from where it stands: the request under way is handed
over together with its place at the host, and `fetching` and `patience` judge it as if they had asked themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from hlsdl.access.limits import Limits
from hlsdl.errors import LimitError
from hlsdl.planning.plan import Resource
from hlsdl.transfer import content
from hlsdl.transfer.checking import CheckedUrls
from hlsdl.transfer.crew import Crew
from hlsdl.transfer.doors import Head, QuickDoor, UnderWay
from hlsdl.transfer.exchange import PLAIN, Exchange, Sent
from hlsdl.transfer.joining import Run
from hlsdl.transfer.patience import HostPace
from hlsdl.transfer.ranges import read_validator
from hlsdl.transfer.sink import Validator

Done = Callable[[BaseException | None], None]
"""Told once, on the event loop: why a body could not be stored, or None."""


class Keeper(Protocol):
    """Stores small whole bodies without being waited for."""

    most_bytes: int
    """What is larger comes by a sink."""

    def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
        """Store one, whose length was verified; `done` is called later, never at once."""
        ...


@dataclass(slots=True)
class Lane:
    """The requests of one job that are under way like this."""

    door: QuickDoor
    exchange: Exchange
    urls: CheckedUrls
    keeper: Keeper
    on_bytes: Callable[[int], None]
    crew: Crew[Resource | Run]
    """Where each of them has its seat."""
    usually: Callable[[Resource, Sent], Awaitable[None]]
    """Brings what is not plain, from where it stands."""
    _under_way: dict[UnderWay, tuple[Resource, HostPace]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.crew.quick = self.begin

    async def attend(self) -> None:
        """Wait until all is done; cancelled, let go of what is under way. No task group waits for it otherwise."""
        try:
            await self.crew.attend()
        finally:
            requests, self._under_way = self._under_way, {}
            for request, (_, pace) in requests.items():
                self.door.abandon(request)
                pace.leave()

    def begin(self, resource: Resource | Run) -> bool | None:
        """Ask for `resource`, unless there is anything to consider or to wait for first: then False.

        None: it only has to wait for a place at its host.
        """
        if not isinstance(resource, Resource) or resource.byte_range is not None or resource.kind not in content.MEDIA:
            return False
        url = self.urls.known(resource.url)
        if url is None:
            return False
        patience = self.exchange.patience
        pace = patience.host(url.host)
        if not pace.has_room:
            return None
        if pace.pause.until and patience.is_paused(url.host):
            return False
        request = self.door.begin(self.exchange.question(url, PLAIN))
        if request is None:
            return False
        pace.take()
        self._under_way[request] = (resource, pace)
        request.when_ready(self._answered)
        return True

    def _answered(self, request: UnderWay) -> None:
        known = self._under_way.get(request)
        if known is None:  # let go of
            return
        resource, pace = known
        try:
            head = plain_head(request, min(resource.limit, self.keeper.most_bytes), self.exchange.limits)
            if head is None or request.ready % resource.block:
                self.crew.take_over(partial(self._go_on, request))
                return
            del self._under_way[request]
            body = request.take()
            pace.received(len(body))
            pace.leave()
            self.exchange.patience.succeeded(pace)
            self.on_bytes(len(body))
            self.keeper.keep(resource, body, read_validator(head.headers), self._ended)
            self.crew.fill()
        except BaseException as error:  # noqa: BLE001 - nobody awaits this: it is raised where the job is waited for
            self._ended(error)

    async def _go_on(self, request: UnderWay) -> None:
        """The usual way, from where a request stands. Until this begins, it is `attend` that lets go of it."""
        resource, pace = self._under_way.pop(request)
        begun = Sent(partial(self.door.answer, request), pace)
        try:
            await self.usually(resource, begun)
        finally:
            if begun.give_back():  # nobody went on with it
                self.door.abandon(request)

    def _ended(self, failure: BaseException | None) -> None:
        try:
            if failure is None:
                self.crew.free()
        except BaseException as error:  # noqa: BLE001 - as above
            failure = error
        if failure is not None:
            self.crew.take_over(partial(_raise, failure))


async def _raise(failure: BaseException) -> None:
    if isinstance(failure, asyncio.CancelledError):  # of a task it would be nobody's error, and the job a success
        raise RuntimeError("a callback was cancelled") from failure
    raise failure


def plain_head(request: UnderWay, most: int, limits: Limits) -> Head | None:
    """The head of an answer about which there is nothing to decide, else None.

    It is a 200 without cookies or encoding, its body is there as announced, not empty, of at most `most` bytes, and
    does not begin like an error page.
    """
    length = request.ready
    if not 0 < length <= most:
        return None
    try:
        head = request.head(limits)
    except LimitError:
        return None
    if head is None or head.status != 200 or head.content_length != length or head.flaw is not None:
        return None
    if head.size > limits.head_bytes or len(head.fields) > limits.head_fields:
        return None
    if "set-cookie" in head.headers or "content-encoding" in head.headers:
        return None
    reason = content.why_not_media(request.beginning, content_type=head.headers.get("content-type"))
    return head if reason is None else None
