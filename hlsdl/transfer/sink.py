"""Where the bytes of one resource go, and how we recognise that they are still the same resource.

`bundle`'s partial files fit `Sink`; so does `MemorySink`. Nothing here knows about disks or HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True, kw_only=True)
class Validator:
    """What identifies one version of a resource (RFC 9110 §8.8). Nobody changes one; see `doors.Question`."""

    etag: str | None = None
    last_modified: str | None = None
    complete_length: int | None = None
    """Bytes of the whole resource (RFC 9110 §14.4), where a byte range has no ETag to be recognised by."""
    place: str | None = None
    """Where it came from, after redirects and without its query: a validator tells versions of one resource apart (RFC
    9110 §8.8), and says nothing of another one. None: it is not known."""
    strong: bool = False
    """Whether it proves byte equality: a strong ETag, or without any ETag a Last-Modified date that was at least 60 s
    old when it was given (RFC 9110 §8.8.2.2). Only then may bytes be appended."""


class Sink(Protocol):
    """Holds the bytes of one resource; finishing it (hash, journal, rename) is its owner's business."""

    @property
    def size(self) -> int:
        """Bytes held so far, perhaps from an earlier run."""
        ...

    @property
    def validator(self) -> Validator | None:
        """What was described for the bytes held, or None."""
        ...

    def describe(self, *, validator: Validator, length_verified: bool) -> None:
        """Told before the first write of a response: its validator, and whether its end can be recognised.

        `length_verified=False`: the body ends when the connection does, so that a cut cannot be told from an end.
        """
        ...

    async def write(self, block: bytes) -> None:
        """Append: the whole body when it is small, else blocks of at most `Limits.block` bytes."""
        ...

    async def restart(self) -> None:
        """Forget all bytes and the validator."""
        ...


class MemorySink:
    """A sink in memory, for small resources, tests and programs without a disk."""

    def __init__(self, data: bytes = b"", validator: Validator | None = None) -> None:
        self._blocks = [data] if data else []
        self._size = len(data)
        self._validator = validator
        self.length_verified = True
        self.restarts = 0

    def __repr__(self) -> str:
        return f"MemorySink({self._size} bytes)"

    @property
    def size(self) -> int:
        """Bytes held so far."""
        return self._size

    @property
    def validator(self) -> Validator | None:
        """What was described last."""
        return self._validator

    @property
    def data(self) -> bytes:
        """All bytes held."""
        return b"".join(self._blocks)

    @property
    def blocks(self) -> tuple[bytes, ...]:
        """The bytes as they were written."""
        return tuple(self._blocks)

    def describe(self, *, validator: Validator, length_verified: bool) -> None:
        """Remember both."""
        self._validator, self.length_verified = validator, length_verified

    async def write(self, block: bytes) -> None:
        """Append."""
        self._blocks.append(block)
        self._size += len(block)

    async def restart(self) -> None:
        """Start anew."""
        self._blocks.clear()
        self._size, self._validator = 0, None
        self.restarts += 1
