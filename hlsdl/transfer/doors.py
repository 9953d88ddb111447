"""The door to the network: what every transport must give us, whatever it is made of.

A door asks one question, a GET without redirects, and brings back the head and then the raw body. It knows nothing
of retries, ranges or policy beyond its own connections; `exchange` and `fetching` stand on top of it, and the same
conformance tests run against each door.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from hlsdl.access.limits import MIB, Limits
from hlsdl.access.urls import CheckedUrl
from hlsdl.errors import HlsdlError, LimitError, NetworkError
from hlsdl.transfer.policy import REDIRECTS, WITH_BODY


class Setback(Exception):
    """Something failed that another try may heal; never leaves the room.

    Attributes:
        error: what to raise when patience is spent.
        retries: after how many failures that name a number the resource is given up; None: the policy's number alone.
        progressed: bytes that will not be fetched again were gained, so patience is not used up.
        wait: seconds to wait that the server asked for, or None.
        timed_out: it was waited for in vain.
    """

    def __init__(
        self,
        error: HlsdlError,
        *,
        retries: int | None = None,
        progressed: bool = False,
        wait: float | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.retries = retries
        self.progressed = progressed
        self.wait = wait
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that a door waits; it raises Setback when one has passed."""

    connect: float = 15.0
    """For name resolution, for each connection attempt and for the TLS handshake."""
    first_byte: float = 20.0
    """From the request to the response head."""
    stall: float = 20.0
    """Without a byte inside the body."""
    slowest: int = 1024
    """Bytes per second, averaged over `slow_after` seconds of waiting, below which the body is given up."""
    slow_after: float = 30.0


@dataclass(slots=True, kw_only=True)
class Question:
    """One GET. Nobody changes it; to freeze it would cost as much as to ask it."""

    url: CheckedUrl
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """All but Host, which the door derives from the URL."""
    timeouts: Timeouts
    block: int = MIB
    """Bytes that a door may gather before it hands them over; a small body then comes whole, with its head."""


_OF_A_BODY = ("content-length", "content-range", "content-encoding", "transfer-encoding")
SINGLE = (*_OF_A_BODY, "location")
"""Fields that say how a body is to be read, or where it is: two that differ leave it open."""
MISNAMED = "\0"
"""The name of a field that is one of those but for a blank in its name, which some readers pass over."""
_WHOLE = re.compile(r"bytes[ =]*([0-9]+)-([0-9]+)/([0-9]+)", re.IGNORECASE)


class Head:
    """Status and headers of a response; nobody changes it. (No dataclass: thousands a second are made.)

    Args:
        status: the final one.
        fields: names in lower case, values as Latin-1, in the order received.
        http_version: as the status line has it.
        received: bytes of all field lines, when the door has counted them.
    """

    __slots__ = ("content_length", "fields", "flaw", "headers", "http_version", "is_chunked", "size", "status")

    def __init__(
        self,
        *,
        status: int,
        fields: Sequence[tuple[str, str]],
        http_version: str = "HTTP/1.1",
        received: int | None = None,
    ) -> None:
        self.status = status
        self.fields = fields
        self.http_version = http_version
        self.headers: Mapping[str, str] = dict(reversed(fields))
        """The first value of each field; `set-cookie` is to be read from `fields`."""
        if len(self.headers) != len(fields):
            self.headers = _read_repeated(self.headers, fields)
        self.is_chunked = "transfer-encoding" in self.headers and _ends_chunked(fields)
        """Whether the body comes in chunks, the last of which marks its end (RFC 9112 §6.3)."""
        self.content_length = None if self.is_chunked else _read_length(self.headers)
        """The declared length of the body, or None when it is chunked, absent or unreadable."""
        self.flaw = _flaw(status, fields, self.headers)
        """Why none of it can be believed, half a sentence about the server; None as nearly always, and where neither
        body nor address counts."""
        self.size = sum(len(name) + len(value) + 4 for name, value in fields) if received is None else received
        """Bytes of all fields together."""

    def __repr__(self) -> str:
        return f"Head({self.status}, {self.http_version}, {len(self.fields)} fields)"

    @property
    def has_marked_end(self) -> bool:
        """Whether a cut body can be told from a whole one.

        The end of a stream of HTTP/2 or HTTP/3 says nothing: one that is reset without an error may pass for a whole
        one (RFC 9113 §8.1).
        """
        return self.content_length is not None or self.is_chunked


def _read_repeated(headers: Mapping[str, str], fields: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """What a field says that is there more than once: an encoding, where one of them is one; two ETags say nothing."""
    plain = {"", "identity"}
    encodings = [v for name, v in fields if name == "content-encoding" and v.strip().lower() not in plain]
    read = {**headers, **({"content-encoding": encodings[0]} if encodings else {})}
    if len({value for name, value in fields if name == "etag"}) > 1:
        read["etag"] = read["last-modified"] = ""
    return read


def _flaw(status: int, fields: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> str | None:
    if MISNAMED in headers or len(headers) != len(fields):
        for name in _that_count(status):
            if (MISNAMED, name) in fields:
                return f"sends a `{name}` field whose name has a blank in it"
            values = {value.strip() for one, value in fields if one == name}
            if name != "location":
                values = {value.lower() for value in values} - {"", "identity"}
            if len(values) > 1:
                return f"sends two different `{name}` fields"
    if status == 200 and "content-range" in headers and _is_part(headers["content-range"]):
        return "sends a part of it, and calls it the whole"
    return None


def _is_part(value: str) -> bool:
    part = _WHOLE.fullmatch(value)
    if part is None:
        return False
    is_countable = max(map(len, part.groups())) < 20
    return not is_countable or (int(part[1]), int(part[2]) + 1) != (0, int(part[3]))


def _that_count(status: int) -> Sequence[str]:
    if status in WITH_BODY:
        return _OF_A_BODY
    return ("location",) if status in REDIRECTS else ()


def _read_length(headers: Mapping[str, str]) -> int | None:
    value = headers.get("content-length")
    if value is None:
        return None
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else None


def _ends_chunked(fields: Sequence[tuple[str, str]]) -> bool:
    """Whether `chunked` is the last transfer coding; after any other one (`identity`) the body ends where it is cut."""
    codings = ",".join(value for name, value in fields if name == "transfer-encoding")
    return codings.rpartition(",")[2].strip().lower() == "chunked"


class Reply(Protocol):
    """A response whose body is still on the wire."""

    @property
    def head(self) -> Head:
        """Status and headers."""
        ...

    @property
    def ready(self) -> int:
        """Bytes of the whole body when it came with the head and can be read as one block at once; else 0."""
        ...

    async def read_block(self) -> bytes:
        """The next bytes of the raw body, or b"" at its end; Setback when it was cut, stalled or is too slow."""
        ...

    def take_rest(self) -> bytes:
        """What has come and was not read, without waiting: for whoever must go and reads no further."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the body was read to its end, as far as is known without waiting."""
        ...

    async def close(self) -> None:
        """Let go of it; a body that was read to its end leaves the connection usable."""
        ...


class Door(Protocol):
    """Brings replies; safe to use from many tasks of one event loop."""

    async def ask(self, question: Question) -> Reply:
        """Send a GET and wait for the final response head, and perhaps for what comes at once after it.

        Redirects are not followed.

        Setback for what another try may heal (resolution, connection, time-out, cut); an HlsdlError for what it cannot
        (PolicyError for an address, HttpError for a certificate, LimitError for an endless head).
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class UnderWay(Protocol):
    """A request that was begun, and that nobody waits for yet."""

    @property
    def ready(self) -> int:
        """Bytes of the body when all of it is there and fits a block; else 0."""
        ...

    @property
    def beginning(self) -> bytes:
        """Of a body that is ready: its first `content.SAMPLE` bytes at least, or all."""
        ...

    def when_ready(self, told: Callable[[Any], None]) -> None:
        """Call `told` with this request, once, when all of it is there, or something to go on with."""
        ...

    def head(self, limits: Limits) -> Head | None:
        """The final response head, or None when it is not there as a whole; LimitError as for `Door.ask`."""
        ...

    def take(self) -> bytes:
        """The body that is ready."""
        ...


@runtime_checkable
class QuickDoor(Door, Protocol):
    """A door that can also begin with a request without waiting for it."""

    def begin(self, question: Question) -> UnderWay | None:
        """Send a GET; None, and nothing sent, when something must be waited for before that, such as a look-up.

        PolicyError as for `ask`.
        """
        ...

    async def answer(self, request: Any) -> Reply:
        """Go on as `ask` does after sending."""
        ...

    def abandon(self, request: Any) -> None:
        """Stop a request that nobody waits for."""
        ...


@runtime_checkable
class KeepsConnections(Protocol):
    """A door that keeps connections for later, and can be told to keep fewer."""

    def keep_at_most(self, connections: int) -> None:
        """Close what is idle beyond so many connections, of all hosts: one of them finds that there are too many."""
        ...


class PaceWatch:
    """Notices bodies that trickle: fewer than `slowest` bytes for each second of waiting over `slow_after` seconds.

    Only time spent waiting for the origin counts, so that a full disk queue or --limit-rate is never held against it.
    """

    def __init__(self, timeouts: Timeouts, url: str) -> None:
        self._timeouts, self._url = timeouts, url
        self._waited = 0.0
        self._received = 0

    def note(self, waited: float, received: int) -> None:
        """Count one wait; Setback when the average over a whole period is too low."""
        self._waited += waited
        self._received += received
        if self._waited < self._timeouts.slow_after:
            return
        if self._received < self._timeouts.slowest * self._waited:
            raise Setback(
                NetworkError(
                    f"the server sends less than {self._timeouts.slowest} bytes per second",
                    url=self._url,
                    retryable=True,
                )
            )
        self._waited, self._received = 0.0, 0


_INTERIM = b"HTTP/1.1 1"


class HeadWatch:
    """Refuses endless response heads, as they come off the wire: too many bytes, or too many 1xx responses."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._watching = False
        self._bytes = self._interim = 0
        self._unread: bytes | None = None
        """What came since the last whole 1xx response; None once the final response has begun."""
        self.answered = False
        """Whether a byte came back since the last request."""

    def asked(self, *, watch: bool) -> None:
        """A request goes out: a new head begins."""
        self._watching = watch
        self._bytes = self._interim = 0
        self._unread = b""
        self.answered = False

    def check(self) -> None:
        """Before reading on: LimitError when the head should have ended by now."""
        if self._watching and self._bytes >= self._limits.head_bytes:
            raise LimitError(f"the response head does not end within {self._limits.head_bytes} bytes")

    def received(self, data: bytes) -> None:
        """Count what came; LimitError when it holds one 1xx response too many."""
        self.answered = self.answered or bool(data)
        if not self._watching:
            return
        self._bytes += len(data)
        if self._unread is None:
            return
        self._unread += data
        while self._unread.startswith(_INTERIM) and (end := self._unread.find(b"\r\n\r\n")) >= 0:
            self._unread = self._unread[end + 4 :]
            self._interim += 1
            if self._interim > self._limits.interim_responses:
                raise LimitError(
                    f"more than {self._limits.interim_responses} interim responses came before the final one"
                )
        if not _INTERIM.startswith(self._unread[: len(_INTERIM)]):
            self._unread = None

    def head_complete(self) -> None:
        """Stop counting: what follows is the body."""
        self._watching = False


async def discard(reply: Reply, *, most: int = 65_536, within: float = 0.5) -> None:
    """Let go of a reply; a short body is read to its end first, so that the connection can be used again."""
    if reply.is_over:
        await reply.close()
        return
    length = reply.head.content_length
    try:
        if length is not None and length <= most:
            async with asyncio.timeout(within):
                left = length + 1
                while left > 0 and (block := await reply.read_block()):
                    left -= len(block)
    except (Setback, TimeoutError):
        return  # nobody wants this body; the connection that broke or stalled under it is closed below
    finally:
        await reply.close()
