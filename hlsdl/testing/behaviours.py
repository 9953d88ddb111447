"""Ways in which an origin misbehaves: each turns the right answer into another one.

A behaviour is a value; `ScriptedOrigin.script` queues them, one for each request, and `ScriptedOrigin.always`
applies one to every request. Sending is left to `origin`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Event
from typing import Literal, Protocol

from hlsdl.testing.answers import Answer, Request

Framing = Literal["length", "chunked", "close"]


class Behaviour(Protocol):
    """Anything that bends an answer; write your own where the ones here do not suffice."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Return what is to be sent in place of `answer`."""
        ...


def with_header(answer: Answer, name: str, value: str | None) -> Answer:
    """`answer` with one header replaced, or removed when `value` is None."""
    kept = tuple(pair for pair in answer.headers if pair[0].lower() != name.lower())
    return replace(answer, headers=kept if value is None else (*kept, (name, value)))


@dataclass(frozen=True, slots=True)
class Serve:
    """Normal service: a pause between two faults in a script."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Return `answer` as it is."""
        return answer


@dataclass(frozen=True, slots=True)
class Status:
    """Another status, body and headers instead of the object."""

    code: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Replace the answer as a whole."""
        return Answer(status=self.code, headers=tuple(self.headers.items()), body=self.body)


@dataclass(frozen=True, slots=True)
class Body:
    """Other bytes under the same name, as when two servers disagree; honours no range."""

    body: bytes
    content_type: str = "application/octet-stream"
    etag: str | None = None

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Replace body and validators."""
        headers = [("Content-Type", self.content_type)]
        if self.etag is not None:
            headers.append(("ETag", self.etag))
        return Answer(headers=tuple(headers), body=self.body)


@dataclass(frozen=True, slots=True)
class Html:
    """A 200 with an HTML page where media was asked for."""

    body: bytes = b"<!DOCTYPE html><html><body>Please sign in</body></html>"

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Replace the object with the page."""
        return Answer(headers=(("Content-Type", "text/html"),), body=self.body)


@dataclass(frozen=True, slots=True)
class Json:
    """A 200 with a JSON error document where media was asked for."""

    body: bytes = b'{"error":"quota exceeded"}'

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Replace the object with the document."""
        return Answer(headers=(("Content-Type", "application/json"),), body=self.body)


@dataclass(frozen=True, slots=True)
class Empty:
    """A 200 without a single byte."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Drop the body."""
        return replace(with_header(answer, "Content-Range", None), status=200, body=b"")


@dataclass(frozen=True, slots=True)
class Cut:
    """FIN after `after` body bytes; the head promised more (unless framed by `close`)."""

    after: int
    framing: Framing = "length"

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Close early."""
        return replace(answer, stop_after=self.after, ending="close", framing=self.framing)


@dataclass(frozen=True, slots=True)
class Reset:
    """RST after `after` body bytes."""

    after: int = 0

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Reset the connection."""
        return replace(answer, stop_after=self.after, ending="reset")


@dataclass(frozen=True, slots=True)
class Stall:
    """Head and `after` body bytes, then nothing more, the connection left open."""

    after: int = 0

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Stall."""
        return replace(answer, stop_after=self.after, ending="stall")


@dataclass(frozen=True, slots=True)
class Silence:
    """The request is read, and nothing is ever answered."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Say nothing."""
        return replace(answer, silent=True, ending="stall")


@dataclass(frozen=True, slots=True)
class HangUp:
    """The request is read, and the connection is closed without an answer (a keep-alive race)."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Close without a byte."""
        return replace(answer, silent=True, ending="close")


@dataclass(frozen=True, slots=True)
class Close:
    """A whole answer, after which the connection is closed though the head did not say so."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Close afterwards."""
        return replace(answer, ending="close")


@dataclass(frozen=True, slots=True)
class Drip:
    """`size` bytes, a pause of `every` seconds, and so on."""

    size: int = 1
    every: float = 0.1

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Slow down."""
        return replace(answer, block=self.size, pause=self.every)


@dataclass(frozen=True, slots=True)
class Delay:
    """Think for `seconds` before the head."""

    seconds: float

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Wait first."""
        return replace(answer, delay=self.seconds)


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait for `event` after `after` body bytes (None: before the head)."""

    event: Event
    after: int | None = None

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Wait for the test's permission."""
        return replace(answer, hold=self.event, hold_after=self.after)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the client to `to`, absolute or relative."""

    to: str
    status: int = 302

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Redirect."""
        return Answer(status=self.status, headers=(("Location", self.to),))


@dataclass(frozen=True, slots=True)
class Headers:
    """Additional response headers; names may repeat."""

    pairs: Iterable[tuple[str, str]]

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Add them."""
        return replace(answer, headers=(*answer.headers, *self.pairs))


@dataclass(frozen=True, slots=True)
class Without:
    """Leave one header out, such as `ETag` or `Content-Range`."""

    name: str

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Remove it."""
        return with_header(answer, self.name, None)


@dataclass(frozen=True, slots=True)
class Chunked:
    """Transfer-Encoding: chunked instead of a length."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Change the framing."""
        return replace(answer, framing="chunked")


@dataclass(frozen=True, slots=True)
class CloseDelimited:
    """Neither length nor chunks: the body ends when the connection does."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Change the framing."""
        return replace(answer, framing="close", ending="close")


@dataclass(frozen=True, slots=True)
class Longer:
    """More bytes than Content-Length says."""

    extra: bytes = b"surplus"

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Append bytes that the head does not count."""
        return replace(answer, body=answer.body + self.extra, declared_length=len(answer.body), ending="close")


@dataclass(frozen=True, slots=True)
class Endless:
    """The body over and over, chunked, until the client goes away."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Never end."""
        return replace(
            answer, framing="chunked", endless=True, body=answer.body * (1 + 65_536 // (len(answer.body) + 1))
        )


@dataclass(frozen=True, slots=True)
class EarlyHints:
    """`count` interim 103 responses before the answer; None: without end."""

    count: int | None = None

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Put them first."""
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        return replace(answer, interim=hint * (self.count or 50), endless_interim=self.count is None)


@dataclass(frozen=True, slots=True)
class Gzip:
    """Content-Encoding: gzip, `layers` deep, whether asked for or not; optionally cut after `cut` encoded bytes.

    The Content-Length fits what is sent, so only a decoder that asks for its end notices a cut.
    """

    layers: int = 1
    cut: int | None = None

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Encode the body."""
        body = answer.body
        for _ in range(self.layers):
            body = gzip.compress(body, mtime=0)
        told = ", ".join(["gzip"] * self.layers)
        return with_header(replace(answer, body=body[: self.cut]), "Content-Encoding", told)


@dataclass(frozen=True, slots=True)
class GzipBomb:
    """A few bytes of gzip that decode to `size` zero bytes after `prefix`."""

    size: int = 64 * 1024 * 1024
    prefix: bytes = b"#EXTM3U\n"

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Replace the body with the bomb."""
        return with_header(replace(answer, body=_bomb(self.size, self.prefix)), "Content-Encoding", "gzip")


@lru_cache(maxsize=4)
def _bomb(size: int, prefix: bytes) -> bytes:
    encoder = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    parts = [encoder.compress(prefix)]
    parts += [encoder.compress(zeros) for _ in range(size // len(zeros))]
    parts.append(encoder.compress(bytes(size % len(zeros))))
    return b"".join(parts) + encoder.flush()


@dataclass(frozen=True, slots=True)
class FlipBit:
    """One flipped bit, undetectable by HTTP; of what is shorter the last one, of nothing none."""

    at: int = 0

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Damage the body."""
        damaged = bytearray(answer.body)
        if damaged:
            damaged[min(self.at, len(damaged) - 1)] ^= 1
        return replace(answer, body=bytes(damaged))


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes instead of a response, then FIN: broken heads, wrong versions, anything."""

    data: bytes

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Replace the whole exchange."""
        return replace(answer, raw=self.data)
