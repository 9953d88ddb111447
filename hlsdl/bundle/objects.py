"""Objects: how a whole object gets its place on disk, in the order that survives any interruption.

Write order 1 to 4 of docs/bundle-format.md §6: a temporary beside the name, hashed; the journal's line; the name. A
small object takes the short way, in a folder that is kept open; a larger one grows as a `Temporary`. Which thread calls
is left to `partial`, the lines to `ledger`, flushing to `checkpoint`.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from contextlib import suppress
from hashlib import sha256
from itertools import count
from typing import Protocol

from hlsdl.bundle.checkpoint import Checkpointer
from hlsdl.bundle.durable import BLOCK, Folder, disk_error, kick_writeback, translating, write_all
from hlsdl.bundle.journal import LONGEST_VALIDATOR, Entry
from hlsdl.bundle.layout import split_path, temporary_name
from hlsdl.bundle.ledger import Ledger

SLOW = 0.05
"""Seconds that storing a small object may take; a disk that lets us wait longer is not quick for a while."""
WHILE = 2.0
"""Seconds."""
OPEN_FOLDERS = 64
"""Folders kept open; a bundle has one for each stream."""

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
        """Kept open, and used by all threads: walking there anew for each object costs more than its journal line."""
        self._handles: list[Folder] = []
        """Every folder that was opened; one that vanished stays, since a thread may still be using it."""
        self._folders_lock = threading.Lock()
        self._is_slow_until = float("-inf")

    def begin(self, path: str) -> Temporary:
        """Open a temporary beside `path`, making its folder when it is not there."""
        folder, name = split_path(path)
        with translating(path):
            temporary = Temporary(self._root.descend(folder, create=True), path, name)
        self._growing.add(temporary)
        return temporary

    def _create(self, folder: str, name: str) -> tuple[Folder, int] | None:
        """A new file in a folder that is kept open; None when there are too many of them."""
        known = self._folders.get(folder)
        if known is not None:
            try:
                return known, known.create(name)
            except FileNotFoundError:
                self._folders.pop(folder, None)  # it was removed behind our back: make it again
        made = self._keep_open(folder)
        return None if made is None else (made, made.create(name))

    def _keep_open(self, folder: str) -> Folder | None:
        with self._folders_lock:
            if len(self._handles) >= OPEN_FOLDERS:
                return None
            handle = self._root.descend(folder, create=True)
            self._handles.append(handle)
            self._folders[folder] = handle
            return handle

    def _close_folders(self) -> None:
        with self._folders_lock:
            handles, self._handles, self._folders = self._handles, [], {}
        for handle in handles:
            handle.close()

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
        folder, name = split_path(path)
        temporary = temporary_name(name, f"{next(_tokens) % 2**32:08x}")
        try:
            created = self._create(folder, temporary)
            if created is None:
                return self._store_apart(path, data, validator, length_verified=length_verified)
            handle, descriptor = created
            try:
                try:
                    write_all(descriptor, data)
                finally:
                    os.close(descriptor)
                entry = _entry(path, len(data), sha256(data).hexdigest(), validator, length_verified=length_verified)
                self._ledger.commit(entry, handle, temporary)
            except BaseException:
                with suppress(OSError):  # what cannot be removed now is removed by the next recovery
                    handle.unlink(temporary)
                raise
        except OSError as error:
            raise disk_error(error, path) from error
        self._checkpointer.object_stored()
        return entry

    def _store_apart(self, path: str, data: bytes, validator: HasValidators | None, *, length_verified: bool) -> Entry:
        """The same in a folder that is opened for this object only."""
        temporary = self.begin(path)
        try:
            temporary.append(data)
            return self.accept(temporary, validator, length_verified=length_verified)
        finally:
            self.discard(temporary)

    def accept(self, temporary: Temporary, validator: HasValidators | None, *, length_verified: bool) -> Entry:
        """Close a temporary that holds a whole object, journal it, and give it its name."""
        size, digest = temporary.finish()
        entry = _entry(temporary.path, size, digest, validator, length_verified=length_verified)
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
        self._digest = sha256()
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


def _entry(path: str, size: int, digest: str, validator: HasValidators | None, *, length_verified: bool) -> Entry:
    return Entry(
        path=path,
        size=size,
        sha256=digest,
        etag=_kept(validator.etag) if validator else None,
        last_modified=_kept(validator.last_modified) if validator else None,
        length_verified=length_verified,
    )


def _kept(validator: str | None) -> str | None:
    return validator if validator is not None and len(validator) <= LONGEST_VALIDATOR else None
