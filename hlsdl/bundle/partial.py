"""Partial files: one object while its bytes come in.

A small object is kept in memory and stored whole. Where the disk is quick that is done at once, on the event loop's
thread: it takes a tenth of a millisecond, and to wake another thread and take turns with it costs more than it brings.
Where the disk lets us wait, and for all but the smallest, a worker does it in one hop. A larger object goes to its
temporary in blocks, always on the same one of two single-threaded workers, so that its bytes stay in order without a
lock. A `PartialFile` fits the transfer's idea of a sink; retries are the transfer's.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, Protocol, TypeVar

from hlsdl.bundle.checkpoint import Checkpointer
from hlsdl.bundle.durable import BLOCK, Folder, kick_writeback, translating, write_all
from hlsdl.bundle.journal import LONGEST_VALIDATOR, Entry
from hlsdl.bundle.layout import split_path, temporary_name
from hlsdl.bundle.ledger import Ledger
from hlsdl.bundle.workers import Worker
from hlsdl.errors import HlsdlError, LimitError

SMALL = 1024 * 1024
"""Bytes; objects up to this size are stored in one go."""

AT_ONCE = 128 * 1024
"""Bytes; objects up to this size are stored without a hop, while the disk is quick."""
SLOW = 0.05
"""Seconds that storing one of them may take; after that the workers do it for a while."""
WHILE = 2.0
"""Seconds."""
OPEN_FOLDERS = 16
"""Folders kept open; a bundle has one for each stream."""

T = TypeVar("T")

_tokens = count(secrets.randbits(32))
"""Numbers for the names of temporaries: two writers of one bundle cannot be, and a left-over is never written to."""


class HasValidators(Protocol):
    """What of the transfer's validator is kept."""

    @property
    def etag(self) -> str | None: ...
    @property
    def last_modified(self) -> str | None: ...


class ObjectStore:
    """Where finished objects go: a folder, its ledger and its checkpoints. Blocking; any thread."""

    def __init__(self, root: Folder, ledger: Ledger, checkpointer: Checkpointer) -> None:
        self._root = root
        self._ledger = ledger
        self._checkpointer = checkpointer
        self._growing: set[Temporary] = set()
        self._folders: dict[str, Folder] = {}
        """Those that objects went to last, kept open: walking there anew for each object costs more than its journal
        line."""
        self._folders_lock = threading.Lock()
        self._is_slow_until = float("-inf")

    def begin(self, path: str) -> Temporary:
        """Open a temporary beside `path`, making its folder when it is not there."""
        folder, name = split_path(path)
        with translating(path):
            try:
                temporary = Temporary(self._folder(folder), path, name)
            except FileNotFoundError:
                self._close_folders()  # it was removed behind our back: make it again
                temporary = Temporary(self._folder(folder), path, name)
        self._growing.add(temporary)
        return temporary

    def _folder(self, relative: str) -> Folder:
        """A handle of one's own on a folder of the bundle."""
        with self._folders_lock:
            known = self._folders.get(relative)
            if known is None:
                known = self._root.descend(relative, create=True)
                if len(self._folders) >= OPEN_FOLDERS:
                    self._folders.pop(next(iter(self._folders))).close()
                self._folders[relative] = known
            return known.again()

    def _close_folders(self) -> None:
        with self._folders_lock:
            folders, self._folders = self._folders, {}
        for folder in folders.values():
            folder.close()

    def discard(self, temporary: Temporary) -> None:
        """Close a temporary, and remove it unless it was accepted."""
        self._growing.discard(temporary)
        temporary.discard()

    def discard_all(self) -> None:
        """Remove every temporary that nobody finished; no worker may be busy."""
        for temporary in tuple(self._growing):
            self.discard(temporary)
        self._close_folders()

    @property
    def is_quick(self) -> bool:
        """Whether the disk has not let anybody wait lately."""
        return time.monotonic() >= self._is_slow_until

    def took(self, seconds: float) -> None:
        """Told how long storing a small object took."""
        if seconds > SLOW:
            self._is_slow_until = time.monotonic() + WHILE

    def store(self, path: str, data: bytes, validator: HasValidators | None, *, length_verified: bool) -> Entry:
        """Store a whole object: write order 1 to 4."""
        temporary = self.begin(path)
        try:
            temporary.append(data)
            return self.accept(temporary, validator, length_verified=length_verified)
        finally:
            self.discard(temporary)

    def accept(self, temporary: Temporary, validator: HasValidators | None, *, length_verified: bool) -> Entry:
        """Close a temporary that holds a whole object, journal it, and give it its name."""
        size, sha256 = temporary.finish()
        entry = Entry(
            path=temporary.path,
            size=size,
            sha256=sha256,
            etag=_kept(validator.etag) if validator else None,
            last_modified=_kept(validator.last_modified) if validator else None,
            length_verified=length_verified,
        )
        temporary.commit(self._ledger, entry)
        self._checkpointer.object_stored()
        return entry


class Temporary:
    """One `.part` file: created, grown, hashed on the way, then named or removed. One thread at a time."""

    __slots__ = ("_descriptor", "_digest", "_folder", "_kicked", "_name", "path", "size")

    def __init__(self, folder: Folder, path: str, name: str) -> None:
        """Create it in `folder`, which it closes in the end; raises OSError."""
        self.path = path
        self.size = 0
        self._folder = folder
        self._digest = hashlib.sha256()
        self._kicked = 0
        self._descriptor = -1
        self._name = temporary_name(name, f"{next(_tokens) % 2**32:08x}")
        try:
            self._descriptor = folder.create(self._name)
        except OSError:
            folder.close()
            raise

    def append(self, data: bytes) -> None:
        """Write and hash one block."""
        with translating(self.path):
            write_all(self._descriptor, data)
        self._digest.update(data)
        self.size += len(data)
        if self.size - self._kicked >= BLOCK:
            kick_writeback(self._descriptor, self._kicked, self.size - self._kicked)
            self._kicked = self.size

    def finish(self) -> tuple[int, str]:
        """Close the file, looking at close's answer; return (bytes, SHA-256)."""
        descriptor, self._descriptor = self._descriptor, -1
        with translating(self.path):
            os.close(descriptor)
        return self.size, self._digest.hexdigest()

    def commit(self, ledger: Ledger, entry: Entry) -> None:
        """Journal and rename; from here on there is nothing to discard."""
        ledger.commit(entry, self._folder, self._name)
        self._name = ""

    def discard(self) -> None:
        """Close and remove what is left; after `commit` only the folder's handle is left."""
        descriptor, self._descriptor = self._descriptor, -1
        name, self._name = self._name, ""
        with translating(self.path), self._folder:
            if descriptor >= 0:
                os.close(descriptor)
            if name:
                self._folder.unlink(name)


class PartialFile:
    """One object on its way in. `write`, `restart` and `finish` are awaited one after another."""

    __slots__ = (
        "_blocks",
        "_is_with_worker",
        "_length_verified",
        "_limit",
        "_size",
        "_store",
        "_temporary",
        "_validator",
        "_worker",
        "path",
    )

    def __init__(self, store: ObjectStore, path: str, *, limit: int, worker: Worker) -> None:
        """For the object `path` of at most `limit` bytes; touches nothing yet."""
        self.path = path
        self._store = store
        self._limit = limit
        self._worker = worker
        self._is_with_worker = False
        self._blocks: list[bytes] = []
        self._size = 0
        self._temporary: Temporary | None = None
        self._validator: Any = None
        self._length_verified = True

    @property
    def size(self) -> int:
        """Bytes held so far."""
        return self._size

    @property
    def validator(self) -> Any:
        """What `describe` was given, or None: the transfer's own value, which it gets back unchanged."""
        return self._validator

    def describe(self, *, validator: HasValidators | None, length_verified: bool) -> None:
        """Keep what the response head says about the bytes to come."""
        self._validator = validator
        self._length_verified = length_verified

    async def write(self, block: bytes) -> None:
        """Append; LimitError beyond the limit; when the disk refuses, DiskError, and all bytes are forgotten."""
        if self._size + len(block) > self._limit:
            raise LimitError(
                f"`{self.path}` grows beyond {self._limit} bytes", hint="the server sends more than this object can be"
            )
        if not self._is_with_worker and self._size + len(block) <= SMALL:
            self._blocks.append(bytes(block))  # a copy only of what its owner may change
            self._size += len(block)
        else:
            await self._run(lambda: self._append(block))

    async def restart(self) -> None:
        """Forget all bytes."""
        if self._is_with_worker:
            await self._run(self._forget)
            self._is_with_worker = False
        else:
            self._forget()

    async def finish(self) -> Entry:
        """The object is whole: hash, journal, rename. It survives the death of the process from here on."""
        if self._is_with_worker or self._size > AT_ONCE or not self._store.is_quick:
            return await self._run(self._commit)
        started = time.monotonic()
        try:
            return self._commit()
        finally:
            self._store.took(time.monotonic() - started)

    def discard(self) -> None:
        """Give up, and remove what was written. Returns at once: the worker does it after what it is doing."""
        if self._is_with_worker:
            self._worker.post(self._abandon)
        else:
            self._forget()

    async def _run(self, work: Callable[[], T]) -> T:
        self._is_with_worker = True
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
        self._size = self._temporary.size

    def _commit(self) -> Entry:
        temporary, self._temporary = self._temporary, None
        if temporary is None:
            data = self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks)
            self._blocks.clear()
            return self._store.store(self.path, data, self._validator, length_verified=self._length_verified)
        try:
            return self._store.accept(temporary, self._validator, length_verified=self._length_verified)
        finally:
            self._store.discard(temporary)

    def _forget(self) -> None:
        self._blocks.clear()
        self._size = 0
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            self._store.discard(temporary)

    def _abandon(self) -> None:
        # Nobody waits for an answer; a temporary that cannot be removed now is removed by the next recovery.
        with suppress(HlsdlError):
            self._forget()


def _kept(validator: str | None) -> str | None:
    return validator if validator is not None and len(validator) <= LONGEST_VALIDATOR else None
