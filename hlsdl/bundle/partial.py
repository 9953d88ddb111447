"""Partial files: one object while its bytes come in.

A small object is kept in memory and stored whole: up to 128 KiB by the thread that takes all of them together that are
ready, above that by one of two workers. A larger one goes to its temporary in blocks, always on the same one of those
two, so that its bytes stay in order without a lock. Nothing of it is done on the event loop, which a disk may not hold
up. A `PartialFile` fits the transfer's idea of a sink; retries are the transfer's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hlsdl.bundle.journal import Entry
from hlsdl.bundle.objects import HasValidators, ObjectStore, Temporary, Whole
from hlsdl.bundle.workers import Gatherer, Worker, Workers
from hlsdl.errors import HlsdlError, LimitError

SMALL = 1024 * 1024
"""Bytes; objects up to this size are stored in one go."""

TINY = 128 * 1024
"""Bytes; objects up to this size are stored together with others."""

T = TypeVar("T")


class PartialFile:
    """One object on its way in. `write`, `restart` and `finish` are awaited one after another."""

    __slots__ = (
        "_blocks",
        "_gatherer",
        "_length_verified",
        "_limit",
        "_store",
        "_temporary",
        "_worker",
        "_workers",
        "path",
        "size",
        "validator",
    )

    def __init__(
        self, store: ObjectStore, path: str, *, limit: int, workers: Workers, gatherer: Gatherer[Whole, Entry]
    ) -> None:
        """For the object `path` of at most `limit` bytes; touches nothing yet."""
        self.path = path
        self._store = store
        self._limit = limit
        self._workers = workers
        self._gatherer = gatherer
        self._worker: Worker | None = None
        """Whose it is, from its first visit to the disk on; a small object never has one."""
        self._blocks: list[bytes] = []
        self._temporary: Temporary | None = None
        self._length_verified = True
        self.size = 0
        """Bytes held so far."""
        self.validator: Any = None
        """What `describe` was given, or None: the transfer's own value, which it gets back unchanged."""

    def describe(self, *, validator: HasValidators | None, length_verified: bool) -> None:
        """Keep what the response head says about the bytes to come."""
        self.validator = validator
        self._length_verified = length_verified

    async def write(self, block: bytes) -> None:
        """Append; LimitError beyond the limit; when the disk refuses, DiskError, and all bytes are forgotten."""
        if self.size + len(block) > self._limit:
            raise LimitError(
                f"`{self.path}` grows beyond {self._limit} bytes", hint="the server sends more than this object can be"
            )
        if self._worker is None and self.size + len(block) <= SMALL:
            self._blocks.append(bytes(block))  # a copy only of what its owner may change
            self.size += len(block)
        else:
            await self._run(lambda: self._append(block))

    async def restart(self) -> None:
        """Forget all bytes."""
        if self._worker is not None:
            await self._run(self._forget)
            self._worker = None
        else:
            self._forget()

    async def finish(self) -> Entry:
        """The object is whole: hash, journal, rename. It survives the death of the process from here on."""
        if self._worker is not None or self.size > TINY:
            return await self._run(self._commit)
        return await self._gatherer.put(self._whole())

    async def _run(self, work: Callable[[], T]) -> T:
        if self._worker is None:
            self._worker = self._workers.next()
        return await self._worker.run(work)

    def _append(self, block: bytes) -> None:
        try:
            if self._temporary is None:
                self._temporary = self._store.begin(self.path)
                for early in self._blocks:
                    self._temporary.append(early)
                self._blocks.clear()
            self._temporary.append(block)
        except HlsdlError:
            self._forget()
            raise
        self.size = self._temporary.size

    def _whole(self) -> Whole:
        """All of it, and nothing is held any more."""
        data = self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks)
        self._blocks.clear()
        return Whole(path=self.path, data=data, validator=self.validator, length_verified=self._length_verified)

    def _commit(self) -> Entry:
        temporary, self._temporary = self._temporary, None
        if temporary is None:
            return self._store.store(self._whole())
        try:
            return self._store.accept(temporary, self.validator, length_verified=self._length_verified)
        finally:
            self._store.discard(temporary)

    def _forget(self) -> None:
        self._blocks.clear()
        self.size = 0
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            self._store.discard(temporary)
