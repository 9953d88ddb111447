"""One request on libcurl: its header lines and body as they come, and the wait for the next block.

Callbacks append and count; whoever reads is woken, or whoever wants to know is told, when a whole block is there, when
the body has ended, or, so that progress is seen on slow lines, when what has come is a quarter of a second old. What
comes faster than it is read is held back by pausing the transfer. Time-outs are kept by a tick of the door, not by
libcurl, whose own come late.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

import pycurl

from hlsdl.access.limits import Limits
from hlsdl.errors import HlsdlError, LimitError, NetworkError
from hlsdl.transfer.content import SAMPLE
from hlsdl.transfer.curl_errors import unheard
from hlsdl.transfer.curl_handle import Handle
from hlsdl.transfer.doors import MISNAMED, SINGLE, Head, PaceWatch, Question, Setback
from hlsdl.transfer.hearing import UNHEARD_AFTER

_STATUS_LINE = re.compile(rb"HTTP/([0-9](?:\.[0-9])?) ([0-9]{3})(?: |\r?\n)")
_ENDS = (b"\r\n", b"\n")
_FOLD = re.compile(rb"[ \t\r]*\n[ \t]+")
"""A line break inside a field (RFC 9112 §5.2)."""
_CLOSES, _CLOSES_TOO = b"Connection: close\r\n", b"connection: close\r\n"
_BLANK = frozenset({b" ", b"\t"})
_CONTINUED = ("", "")


def read_head(lines: Sequence[bytes], limits: Limits) -> Head | None:
    """The final response head among `lines`, or None when it is not there as a whole.

    Interim responses come before it and trailers after it. LimitError when there are too many interim ones.
    """
    if lines and lines[-1] == b"\r\n" and lines.count(b"\r\n") == 1 and b"\n" not in lines:
        # One head and no trailers, as nearly always.
        status, version = _read_status(lines[0])
        fields = [*map(_read_field, lines[1:-1])]
        if status >= 200 and _CONTINUED not in fields:
            return Head(status=status, fields=fields, http_version=version, received=sum(map(len, lines[1:-1])))
    return _final_head(lines, limits)


def _final_head(lines: Sequence[bytes], limits: Limits) -> Head | None:
    start = interim = 0
    while start < len(lines):
        status, version = _read_status(lines[start])
        end = _end_of_head(lines, start)
        if not status or end is None:
            return None
        if status >= 200:
            return _folded_head(status, version, lines[start + 1 : end])
        interim += 1
        if interim > limits.interim_responses:
            raise LimitError(f"more than {limits.interim_responses} interim responses came before the final one")
        start = end + 1
    return None


def _folded_head(status: int, version: str, lines: Sequence[bytes]) -> Head:
    """A head out of the lines of its fields, of which some may be continued."""
    whole = _FOLD.sub(b" ", b"".join(lines)).split(b"\n")[:-1]
    return Head(status=status, fields=[*map(_field, whole)], http_version=version, received=sum(map(len, lines)))


# Most lines of an answer are those of the one before it.


@lru_cache(maxsize=8)
def _read_status(line: bytes) -> tuple[int, str]:
    """Status and version; status 0 when this is no status line."""
    found = _STATUS_LINE.match(line)
    if found is None:
        return 0, ""
    return int(found[2]), "HTTP/2" if found[1] == b"2" else f"HTTP/{found[1].decode('ascii')}"


@lru_cache(maxsize=64)
def _read_field(line: bytes) -> tuple[str, str]:
    """Name and value; `_CONTINUED` when the line goes on with the one before it, or is more than one."""
    if line[:1] in _BLANK or line.find(b"\n") != len(line) - 1:
        return _CONTINUED
    return _field(line)


def _field(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
    named, value = name.lower(), value.strip(" \t")
    bare = named.strip()
    return (named, value) if bare == named or bare not in SINGLE else (MISNAMED, bare)


def _end_of_head(lines: Sequence[bytes], start: int) -> int | None:
    """Where the blank line is."""
    return next((at for at in range(start, len(lines)) if lines[at] in _ENDS), None)


class Conducts(Protocol):
    """What a transfer needs of its door."""

    def resume(self, transfer: Transfer) -> None:
        """Let a paused transfer go on."""
        ...

    def ended(self, transfer: Transfer, code: int, message: str) -> None:
        """It ended, with libcurl's result code (0: well) and message."""
        ...

    def abandon(self, request: Transfer) -> None:
        """Nobody reads it any further."""
        ...


class Transfer:
    """One request under way. Lives on the event loop's thread, callbacks included."""

    __slots__ = (
        "_amount",
        "_block",
        "_chunks",
        "_door",
        "_full",
        "_held",
        "_is_paused",
        "_pace",
        "_room",
        "_seen",
        "_sent",
        "_since",
        "_told",
        "_waiter",
        "failure",
        "handle",
        "is_done",
        "is_open",
        "lines",
        "question",
    )

    def __init__(self, question: Question, handle: Handle, door: Conducts) -> None:
        """`door` lets it go on when it was paused, and is told of its end."""
        self.question = question
        self.handle = handle
        self.lines: list[bytes] = []
        """Header lines of all responses, then trailers."""
        self.is_done = False
        self.is_open = False
        """Whether the head was taken."""
        self.failure: HlsdlError | Setback | None = None
        """Why it ended, when not well; what had come by then is still there to be taken."""
        self._door = door
        self._full: list[bytes] | None = None
        """A whole block, in the pieces that it came in."""
        self._chunks: list[bytes] = []
        """The pieces of the block after it."""
        self._block = self._room = question.block
        """Bytes of a whole block, and those that `_chunks` lack to be one."""
        self._held = self._seen = 0
        """Bytes taken so far, and had at the last tick."""
        self._amount = 0
        """Lines and bytes that had come when somebody looked."""
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._told: Callable[[Transfer], None] | None = None
        """Called once, instead, while nobody waits."""
        self._pace: PaceWatch | None = None
        self._sent: float | None = None
        """When the request was seen to be on its way, and waiting for the head began."""
        self._since = 0.0
        """When the body was last seen to grow since its reader came back; 0: not yet."""

    # -- libcurl's side --------------------------------------------------------------------------------------------

    def on_body(self, data: bytes) -> int | None:
        """Take at most 16 KiB of the body; paused data is given again."""
        room = self._room - len(data)
        if room > 0 and self._full is None:
            self._chunks.append(data)
            self._room = room
            return None
        if self._is_full:
            self._is_paused = True
            return int(pycurl.WRITEFUNC_PAUSE)
        # Cut here, so that a whole block is joined once and never cut again.
        self._chunks.append(data[: self._room])
        self._full, self._chunks = self._chunks, [data[self._room :]]
        self._room = room + self._block
        self._wake()
        return None

    def finished(self, code: int, message: str) -> None:
        """The end, as the driver tells it."""
        self._door.ended(self, code, message)

    def end(self, failure: HlsdlError | Setback | None) -> None:
        """Nothing more will come."""
        self.is_done = True
        self.failure = failure
        if self._told is not None:
            told, self._told = self._told, None
            told(self)
        else:
            self._wake()

    # -- the reader's side -----------------------------------------------------------------------------------------

    def when_ready(self, told: Callable[[Transfer], None]) -> None:
        """Call `told`, once, when somebody who waits would be woken: at the end at once, before it from the event loop,
        since libcurl may be calling us."""
        self._told = told

    def head(self, limits: Limits) -> Head | None:
        """The final response head; see `read_head`."""
        return read_head(self.lines, limits)

    async def wait(self) -> None:
        """Until there is a block, or the end, or something that has waited long enough."""
        if self.is_done or self._is_full:
            return
        self._since = 0.0
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def take(self) -> bytes:
        """The next whole block, or else what has come of it."""
        if self._full is not None:
            pieces, self._full = self._full, None
        else:
            pieces, self._chunks, self._room = self._chunks, [], self._block
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._held += len(data)
        if self._is_paused:
            self._is_paused = False
            self._door.resume(self)
        return data

    def take_rest(self) -> bytes:
        """All that has come, for whoever reads no further: what is held back is not called for."""
        pieces = [*(self._full or ()), *self._chunks]
        self._full, self._chunks, self._room = None, [], self._block
        data = b"".join(pieces)
        self._held += len(data)
        return data

    @property
    def ready(self) -> int:
        """Bytes of the body when all of it is there, is less than a block and was not touched yet; else 0."""
        if not self.is_done or self.failure is not None or self._held or self._full is not None or self._room <= 0:
            return 0
        return self._block - self._room

    @property
    def beginning(self) -> bytes:
        """The first `content.SAMPLE` bytes of a body that is ready, or more, or all: however it was cut on its way."""
        if self._chunks and len(self._chunks[0]) >= SAMPLE:
            return self._chunks[0]
        return b"".join(self._chunks)

    @property
    def _is_full(self) -> bool:
        """Whether a block is there to be taken, whole or, in a piece that is more than one, larger still."""
        return self._full is not None or self._room <= 0

    @property
    def _size(self) -> int:
        """Bytes that wait to be taken."""
        return self._block - self._room + (0 if self._full is None else self._block)

    @property
    def is_over(self) -> bool:
        """Whether it ended well and everything was taken."""
        return self.is_done and not self._size and self.failure is None

    # -- time ------------------------------------------------------------------------------------------------------

    def tick(
        self, now: float, passed: float, is_sent: Callable[[], bool], is_unheard: Callable[[], bool]
    ) -> Setback | None:
        """Called a few times for each time-out: why to give up, or None. Waiting counts only while somebody waits.

        `is_sent`: whether the request is on its way. `is_unheard`: whether the other system does not get it.
        """
        if (self._waiter is None and self._told is None) or self.is_done:
            return None
        if self._pace is None and not self._size and not self._has_head:
            return self._tick_head(now, is_sent, is_unheard)
        if self._pace is None:
            self._pace = PaceWatch(self.question.timeouts, self.question.url.text)
            self._since = 0.0
        received = self._held + self._size
        grown, self._seen = received - self._seen, received
        if grown or not self._since:
            self._since = now
        elif now - self._since >= self.question.timeouts.stall:
            return self._nothing(self.question.timeouts.stall)
        try:
            self._pace.note(passed, grown)
        except Setback as slow:
            return slow
        return None

    def hand_over_what_is_old(self) -> None:
        """Wake the reader when anything is there at all."""
        if self._size or (not self.is_open and self._has_head):
            self._wake()

    def has_come_further(self) -> bool:
        """Whether anything has come since this was asked the last time, or waits for its reader."""
        amount = len(self.lines) + self._held + self._size
        has_grown, self._amount = amount != self._amount, amount
        return has_grown or self._size > 0

    @property
    def closes(self) -> bool:
        """Whether the server said, as servers spell it, that it closes the connection after this."""
        lines = self.lines
        return bool(lines) and (_CLOSES in lines or _CLOSES_TOO in lines or lines[0].startswith(b"HTTP/1.0"))

    @property
    def _has_head(self) -> bool:
        """Whether the head that counts is there as a whole, and not only interim ones (RFC 9110 §15.2)."""
        if not self.lines or self.lines[-1] not in _ENDS:
            return False
        statuses = [_read_status(line)[0] for line in self.lines if line.startswith(b"HTTP/")]
        return bool(statuses) and statuses[-1] >= 200

    def _tick_head(self, now: float, is_sent: Callable[[], bool], is_unheard: Callable[[], bool]) -> Setback | None:
        if self._sent is None:
            self._sent = now if is_sent() else None  # until then libcurl's time-out for connecting counts
        elif now - self._sent >= self.question.timeouts.first_byte:
            return self._nothing(self.question.timeouts.first_byte)
        elif now - self._sent >= UNHEARD_AFTER and is_unheard():
            return unheard(self.question)
        return None

    def _nothing(self, seconds: float) -> Setback:
        return Setback(
            NetworkError(
                f"the server sent nothing for {seconds:g} seconds",
                url=self.question.url.text,
                hint="check the network; run the same command again to go on",
                retryable=True,
            ),
            timed_out=True,
        )

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        elif self._told is not None:
            told, self._told = self._told, None
            asyncio.get_running_loop().call_soon(told, self)
