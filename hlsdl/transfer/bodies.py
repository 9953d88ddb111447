"""One response body on its way: skipped, cut to length, looked at before the first byte is written, joined into blocks.

What it must look like is decided in `content`, which part of it is wanted in `ranges`; `fetching` says when.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hlsdl.access.limits import Limits
from hlsdl.errors import HlsdlError, IntegrityError, LimitError, NetworkError
from hlsdl.transfer import content, ranges
from hlsdl.transfer.doors import Setback
from hlsdl.transfer.exchange import HINT_CUT, HINT_OTHER, Opened
from hlsdl.transfer.ranges import Take
from hlsdl.transfer.sink import Sink
from hlsdl.transfer.tap import Tap

if TYPE_CHECKING:
    from hlsdl.access.urls import CheckedUrl
    from hlsdl.planning.plan import Resource

logger = logging.getLogger(__name__)

WRITE_INTERVAL = 0.2
"""Seconds between two writes of less than a block, where that is worth keeping: bytes come to be seen, and not lost."""


@dataclass(slots=True, kw_only=True)
class IncomingBody:
    """The body of one answer, from its reply into a sink."""

    take: Take
    opened: Opened
    resource: Resource
    sink: Sink
    tap: Tap
    limits: Limits
    limit: int
    """The most bytes that the sink may hold."""
    now: Callable[[], float]
    """Monotonic seconds."""
    look_at: Callable[[bytes], None]
    """Given the beginning of what goes into an empty sink; Setback when it is not what was asked for."""
    is_for_parts: bool
    """Whether the sink finishes parts while the body comes: it is given what there is, also of a body that is cut."""
    received: int = 0
    taken: int = 0
    _held_before: int = 0
    """Bytes in the sink when this body began."""
    _described: bool = False
    _pending: list[bytes] = field(default_factory=list)
    _pending_size: int = 0
    _written_at: float = 0.0
    _ending: content.Ending | None = None

    @property
    def has_known_length(self) -> bool:
        """Whether a cut would be noticed: by the framing, or since the range says how long it is."""
        return self.opened.head.has_marked_end or self.take.length is not None or self.take.body_length is not None

    @property
    def _keeps_scraps(self) -> bool:
        """Whether less than a block is worth keeping: it must not be lost, nor wait for the rest to be seen."""
        return self.limits.resume_from < self.limits.block and not self.is_for_parts

    async def move(self) -> None:
        """Read the body to its end, or to the end of the slice; cancelled, keep what is worth it before going.

        Setback when it is cut or no media, LimitError when it is longer than allowed, and whatever the sink raises.
        """
        self._held_before = self.sink.size
        try:
            await self._move()
        except asyncio.CancelledError:
            if self._keeps_scraps:
                await self._keep_before_going()
            raise

    async def _move(self) -> None:
        if not self.has_known_length:
            self._ending = content.Ending()
        least = content.SAMPLE if self.is_for_parts else self.limits.block
        keeps_scraps, self._written_at = self._keeps_scraps, self.now()
        stop = None if self.take.length is None else self.take.skip + self.take.length
        while (stop is None or self.received < stop) and (block := await self._read()):
            if self.take.skip and not self.received:
                self._look_at(block)  # at the beginning of the whole, of which only what is cut out is seen later
            self._hold(self._cut_to_slice(block))
            await self.tap.pass_on(len(block))
            if self._held_before + self.taken > self.limit:
                told = f"the server sends more than the {self.resource.limit} bytes allowed"
                raise LimitError(told, url=self.resource.url)
            if self._pending_size >= least:
                await self._write(least=least)
                least = 1 if self.is_for_parts else least
            elif keeps_scraps and self.now() - self._written_at >= WRITE_INTERVAL:
                await self._write(least=1)
        try:
            self._check_length()
        except Setback:
            await self._keep_what_came()
            raise
        await self._write(least=1)

    def _hold(self, part: bytes) -> None:
        """It has come: whatever happens now, it is written or given up with all of the body."""
        if part:
            self.taken += len(part)
            self._pending.append(part)
            self._pending_size += len(part)

    async def _read(self) -> bytes:
        try:
            return await self.opened.reply.read_block()
        except Setback:
            await self._keep_what_came()
            raise

    async def _keep_what_came(self) -> None:
        """The body is cut: what is no whole block yet goes to the sink where the next try may go on behind it."""
        held, validator = self.sink.size + self._pending_size, ranges.read_validator(self.opened.head.headers)
        is_worth_it = ranges.may_resume(held, validator, least=self.limits.resume_from)
        if self._pending_size and not self.is_for_parts and is_worth_it:
            await self._write(least=1)

    async def _keep_before_going(self) -> None:
        """As where a body is cut, with what the door has gathered; whoever cancelled waits for no error."""
        self._hold(self._cut_to_slice(self.opened.reply.take_rest()))
        if self.sink.size + self._pending_size != self._held_before + self.taken:
            return  # the write that was cancelled has failed as well: what follows would stand in its place
        try:
            await self._keep_what_came()
        except (HlsdlError, Setback) as failure:
            logger.warning("what came last will be fetched again: %s", failure)

    def _cut_to_slice(self, block: bytes) -> bytes:
        before = self.received
        self.received += len(block)
        if self.take.skip == 0 and self.take.length is None:
            return block
        end = self.take.skip + self.take.length if self.take.length is not None else self.received
        return block[max(0, self.take.skip - before) : max(0, end - before)]

    async def _write(self, *, least: int) -> None:
        """Write what is pending in blocks of at most `Limits.block`, as long as `least` bytes are there.

        Each is taken off what is pending first: a write that is cancelled is done all the same, and never twice.
        """
        self._written_at = self.now()
        joined = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        size = self.limits.block
        if len(joined) == size:  # as a door gives them: nothing to cut
            self._pending, self._pending_size = [], 0
            await self._write_block(joined)
            return
        self._pending = [joined] if joined else []
        while len(joined) >= least:
            block, joined = joined[:size], joined[size:]
            self._pending, self._pending_size = [joined] if joined else [], len(joined)
            await self._write_block(block)

    async def _write_block(self, block: bytes) -> None:
        if not self._described:
            self._look_at(block)
            self._describe()
        if self._ending is not None:
            self._ending.feed(block)
        await self.sink.write(block)

    def _describe(self) -> None:
        self._described = True
        validator = ranges.read_validator(self.opened.head.headers)
        validator.place = place_of(self.opened.url)
        if self.resource.byte_range is not None and validator.etag is None:
            validator.complete_length = self.take.total
        self.sink.describe(validator=validator, length_verified=self.has_known_length)

    def _look_at(self, beginning: bytes) -> None:
        if not self.sink.size:
            self.look_at(beginning)

    def _check_length(self) -> None:
        if not self.received and self.opened.head.has_marked_end:
            self._look_at(b"")
        expected = self.take.body_length if self.take.length is None else self.take.skip + self.take.length
        if expected is not None and self.received < expected:
            raise Setback(cut_short(self.received, expected, self.resource.url))
        if expected is not None and self.take.length is None and self.received > expected:
            told = "the server sends more than it announced"
            raise Setback(IntegrityError(told, url=self.resource.url, hint=HINT_OTHER))

    def check_end(self) -> None:
        """Judge what only the whole body shows: that it is not empty, and not visibly cut."""
        if not self._described:
            self._look_at(b"")
            self._describe()
        if self._ending is not None and self._ending.looks_cut:
            raise Setback(
                NetworkError(
                    f"the body ends in the middle of a packet after {self.taken} bytes",
                    url=self.resource.url,
                    hint=HINT_CUT,
                    retryable=True,
                )
            )


def place_of(url: CheckedUrl) -> str:
    """What a validator is of: the URL without its query, where tokens are."""
    return url.text.partition("?")[0]


def cut_short(received: int, expected: int, url: str) -> NetworkError:
    """The error for a body that ended too early."""
    return NetworkError(
        f"the connection ended after {received} of {expected} bytes", url=url, hint=HINT_CUT, retryable=True
    )
