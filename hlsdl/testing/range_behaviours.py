"""Wrong and unusual answers to byte ranges; the other behaviours are in `behaviours`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hlsdl.testing.answers import Answer, Request
from hlsdl.testing.behaviours import with_header


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Claim this Content-Range on a 206, whatever is sent."""

    value: str

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Lie about the range."""
        return with_header(answer, "Content-Range", self.value)


@dataclass(frozen=True, slots=True)
class WrongRange:
    """A 206 whose Content-Range and bytes start `shift` bytes too late."""

    shift: int = 1

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Shift the range."""
        if answer.status != 206:
            return answer
        span, _, total = dict(answer.headers)["Content-Range"].removeprefix("bytes ").partition("/")
        first, _, last = span.partition("-")
        lie = f"bytes {int(first) + self.shift}-{last}/{total}"
        return with_header(replace(answer, body=answer.body[self.shift :]), "Content-Range", lie)


@dataclass(frozen=True, slots=True)
class ShortRange:
    """A legal 206 with only the first `length` bytes of what was asked for."""

    length: int

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Shorten the range."""
        if answer.status != 206 or len(answer.body) <= self.length:
            return answer
        span, _, total = dict(answer.headers)["Content-Range"].removeprefix("bytes ").partition("/")
        first = int(span.partition("-")[0])
        told = f"bytes {first}-{first + self.length - 1}/{total}"
        return with_header(replace(answer, body=answer.body[: self.length]), "Content-Range", told)


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """A 200 with the whole object though a range was asked for."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Marked here; `ScriptedOrigin` answers as if no Range had been sent."""
        return answer


@dataclass(frozen=True, slots=True)
class Multipart:
    """A 206 as `multipart/byteranges`, which nobody asked for."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        """Wrap the body in one part."""
        told = dict(answer.headers).get("Content-Range", "bytes 0-0/1")
        body = b"--x\r\nContent-Range: " + told.encode() + b"\r\n\r\n" + answer.body + b"\r\n--x--\r\n"
        headers = (("Content-Type", "multipart/byteranges; boundary=x"),)
        return Answer(status=206, headers=headers, body=body)
