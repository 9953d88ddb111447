"""Fetching: bring one resource from its origin into a sink.

What an answer means is decided in `ranges` and `content`; `exchange` brings it, `bodies` moves its bytes, `patience`
waits between tries. Here is what one try does: ask for what is missing, and obey what the answer means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from hlsdl.access.limits import KIB
from hlsdl.access.urls import CheckedUrl
from hlsdl.errors import HttpError, IntegrityError, LimitError
from hlsdl.transfer import confirming, content, ranges
from hlsdl.transfer.bodies import IncomingBody, cut_short, place_of
from hlsdl.transfer.content import not_what_was_asked
from hlsdl.transfer.doors import Head, Setback, discard
from hlsdl.transfer.exchange import HINT_OTHER, PLAIN, Exchange, Opened, Sent
from hlsdl.transfer.ranges import WHOLE, Complete, Decision, Discard, Take, TooLargeToSlice, Wanted
from hlsdl.transfer.sink import Sink
from hlsdl.transfer.tap import Tap

if TYPE_CHECKING:
    from hlsdl.planning.plan import Resource

LEAST_ANSWER = 4 * KIB
"""Bytes; an answer that brings less, and not the rest, is a scrap."""
MOST_SCRAPS = 32
"""In a row: a server may cap what it gives at once, but one byte at a time would take for ever."""


@dataclass(slots=True, kw_only=True)
class Fetch:
    """One resource on its way into its sink; lives as long as the tries for it."""

    exchange: Exchange
    url: CheckedUrl
    resource: Resource
    sink: Sink
    tap: Tap
    by_range: bool = True
    total: int | None = None
    hear: Callable[[Head], Awaitable[Resource]] | None = None
    """Told of each answer before it is judged; says what is wanted of it. Its sink finishes parts while the body comes,
    so it is given what there is, also of a body that is cut."""
    block: int | None = None
    """Bytes that the door may gather; None: as many as the exchange lets it."""
    begun: Sent | None = None
    """The first question, where it was sent already."""
    _taken: int = field(default=0, init=False)
    """Bytes of a sound body that this try took."""

    async def attempt(self) -> None:
        """Try once: nothing is missing afterwards, or Setback or an HlsdlError says why."""
        held = self.sink.size
        try:
            scraps = 0
            while not await self._ask():  # a legal 206 may bring less than was asked for
                scraps = scraps + 1 if self._taken < LEAST_ANSWER else 0
                if scraps >= MOST_SCRAPS:
                    raise Setback(self._in_scraps(), retries=1)
            if self.sink.size % self.resource.block and self.hear is None:
                await self.sink.restart()
                # A byte range has the length that the playlist says.
                raise Setback(no_whole_blocks(self.resource), retries=0 if self.resource.byte_range else 2)
        except Setback as setback:
            gained = self.sink.size - held
            kept = ranges.may_resume(self.sink.size, self.sink.validator, least=self.exchange.limits.resume_from)
            setback.progressed = kept and gained > 0 and gained * 4 >= (self.total or self.sink.size)
            raise

    async def _ask(self) -> bool:
        """Ask for what is missing and take the answer; returns whether the resource is whole now."""
        is_begun = self.total is not None or self.sink.size or self.resource.byte_range is not None or not self.by_range
        wanted, self._taken = (await self._wanted() if is_begun else WHOLE), 0
        headers = (*PLAIN, *wanted.headers()) if is_begun else PLAIN
        begun, self.begun = self.begun, None
        opened = await self.exchange.open(self.url, headers, block=self.block, begun=begun)
        if not is_begun and self._is_plain(opened):
            await self._take_at_once(opened)
            return True
        try:
            if self.hear is not None:
                wanted = await self._widened(wanted, await self.hear(opened.head))
            decision = ranges.read_range_answer(
                wanted,
                status=opened.head.status,
                headers=opened.head.headers,
                content_length=opened.head.content_length,
                slice_limit=self.exchange.limits.whole,
            )
            came_from = self.sink.validator.place if self.sink.validator is not None else None
            if isinstance(decision, Take) and not decision.restart and came_from not in (None, place_of(opened.url)):
                decision = Discard(reason="leads to another place for the rest", by_range=True)
            whole = await self._obey(decision, opened)
        except BaseException:
            await opened.reply.close()
            raise
        await (opened.reply.close() if opened.reply.is_over else discard(opened.reply))
        return whole

    async def _widened(self, wanted: Wanted, resource: Resource) -> Wanted:
        """What is wanted of an answer that brings more than was asked for."""
        if resource is self.resource:
            return wanted
        await self.sink.restart()
        self.resource = resource
        return replace(wanted, byte_range=resource.byte_range, held=0, validator=None)

    async def _obey(self, decision: Decision, opened: Opened) -> bool:
        match decision:
            case Take():
                self._refuse_encoded(opened)
                await self._take(decision, opened)
                return decision.whole
            case Complete():
                return True
            case TooLargeToSlice(total=total):
                await self._see_what_came(opened)
                raise self._too_large_to_slice(total)
            case Discard():
                await self._see_what_came(opened)
                raise await self._discarded(decision, opened)

    async def _see_what_came(self, opened: Opened) -> None:
        """Setback when the answer is no media: which says more than that it has the wrong length."""
        if opened.head.status in ranges.OF_ALL:
            self._refuse_encoded(opened)
            self.look_at(await opened.reply.read_block(), opened)

    async def _wanted(self) -> Wanted:
        """What to ask for: the rest when it is safe and worth it, else all of it, the sink emptied."""
        sink = self.sink
        # A part that an earlier answer of this very try left (a short 206) may be small; it is continued all the same.
        least = min(self.exchange.limits.resume_from, self._taken or self.exchange.limits.resume_from)
        if sink.size and not (self.by_range and ranges.may_resume(sink.size, sink.validator, least=least)):
            await sink.restart()
        return Wanted(
            byte_range=self.resource.byte_range,
            held=sink.size,
            validator=sink.validator,
            total=self.total,
            by_range=self.by_range,
        )

    async def _take(self, take: Take, opened: Opened) -> None:
        """Move the body into the sink; Setback when it is cut, empty or no media."""
        if take.restart and self.sink.size:
            await self.sink.restart()
        self.total = take.total if take.total is not None else self.total
        if self.tap.on_total is not None and self.total is not None:
            self.tap.on_total(self.total)
        limit = self.limit
        if take.body_length is not None and take.length is None and self.sink.size + take.body_length > limit:
            raise LimitError(
                f"the server announces {take.body_length} bytes, more than the {limit} allowed", url=self._url
            )
        body = IncomingBody(
            take=take,
            opened=opened,
            resource=self.resource,
            sink=self.sink,
            tap=self.tap,
            limits=self.exchange.limits,
            limit=limit,
            now=self.exchange.patience.clock.now,
            look_at=partial(self.look_at, opened=opened),
            is_for_parts=self.hear is not None,
        )
        await body.move()
        body.check_end()
        if not body.has_known_length:
            await self._confirm(body.taken, opened)
        self._taken = body.taken

    def _is_plain(self, opened: Opened) -> bool:
        """Whether an answer to WHOLE leaves nothing to decide, cut, join or doubt: 200, and all that was announced, no
        more than a block, is there. As nearly always with small segments, of which thousands may come a second."""
        head, length = opened.head, opened.reply.ready
        return (
            head.status == 200
            and 0 < length == head.content_length
            and length <= min(self.exchange.limits.block, self.resource.limit)
            and "content-encoding" not in head.headers
            and self.hear is None
        )

    async def _take_at_once(self, opened: Opened) -> None:
        """Do what `_obey` would do with such an answer."""
        body = await opened.reply.read_block()
        self.total = len(body)
        if self.tap.on_total is not None:
            self.tap.on_total(self.total)
        if self.tap.rate is None:
            self.tap.count(len(body))
        else:
            await self.tap.pass_on(len(body))
        self.look_at(body, opened)
        validator = ranges.read_validator(opened.head.headers)
        validator.place = place_of(opened.url)
        self.sink.describe(validator=validator, length_verified=True)
        await self.sink.write(body)
        self._taken = len(body)

    async def _confirm(self, received: int, opened: Opened) -> None:
        """Have the length confirmed of a body whose end cannot be told from a cut; Setback when it was one."""
        length = await confirming.length_of(self.exchange, self.url, opened.head)
        if length is not None and received < length:
            raise Setback(cut_short(received, length, self._url))
        if length == received:
            self.sink.describe(validator=ranges.read_validator(opened.head.headers), length_verified=True)

    def _in_scraps(self) -> IntegrityError:
        told = f"{MOST_SCRAPS} answers in a row of less than {LEAST_ANSWER // KIB} KiB"
        return IntegrityError(f"the server gives a few bytes at a time: {told}", url=self._url, hint=HINT_OTHER)

    @property
    def limit(self) -> int:
        """The most bytes accepted; a key may be longer, so that an error page in its place is recognised as one."""
        return (
            max(self.resource.limit, content.LONGEST_ERROR_PAGE) if self.resource.kind == "key" else self.resource.limit
        )

    @property
    def _url(self) -> str:
        return self.resource.url

    def _refuse_encoded(self, opened: Opened) -> None:
        encoding = opened.head.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity"}:
            told = f"the server compresses ({encoding[:40]}) though it was asked not to"
            raise Setback(IntegrityError(told, url=self._url, hint=HINT_OTHER), retries=1)

    def look_at(self, beginning: bytes, opened: Opened) -> None:
        """Refuse what is no media (or no key) before a byte of it is written."""
        resource = self.resource
        reason = None
        if resource.kind in content.MEDIA:
            kind = opened.head.headers.get("content-type")
            is_webvtt = content.is_webvtt(resource.path, opened.url.path, content_type=kind)
            kind = None if is_webvtt else kind  # subtitles are text, whatever they are called
            reason = content.why_not_media(beginning, may_be_empty=is_webvtt, content_type=kind)
        elif resource.kind == "key":
            reason = content.why_not_key(beginning)
        if reason is not None:
            # A page to sign in stays one, and whoever has newer URLs need not wait a minute for them.
            raise Setback(not_what_was_asked(reason, resource.kind, resource.url), retries=2)

    async def _discarded(self, decision: Discard, opened: Opened) -> Setback:
        await self.sink.restart()
        part = self.resource.byte_range
        can_do_without = part is None or part.end <= self.exchange.limits.whole
        self.by_range = decision.by_range or not can_do_without
        if opened.head.status == 416:
            error = HttpError(f"the server {decision.reason}", url=self._url, http_status=416)
            return Setback(error, retries=1)
        return Setback(IntegrityError(f"the server {decision.reason}", url=self._url, hint=HINT_OTHER))

    def _too_large_to_slice(self, total: int | None) -> LimitError:
        size = "of unknown size" if total is None else f"of {total} bytes"
        return LimitError(
            f"the server ignores byte ranges, and the resource {size} is too large to fetch for a part of it",
            url=self._url,
            hint="another CDN host may honour ranges",
        )


def no_whole_blocks(resource: Resource) -> IntegrityError:
    """The error for what is encrypted whole and cannot be decrypted."""
    message = f"segment {resource.sequence} is encrypted and has no whole number of {resource.block}-byte blocks"
    return IntegrityError(message, url=resource.url, hint="the origin serves it damaged; try again later")
