"""Objects: how whole objects get their place on disk, in the order that survives any interruption.

Write order 1 to 4 of docs/bundle-format.md §6: a temporary beside the name, hashed; the journal's line; the name. Small
objects come several at a time and share one write to the journal; a larger one grows as a `Temporary`. Which thread
calls is left to `partial`, the lines to `ledger`, flushing to `checkpoint`.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Protocol

from hlsdl.bundle.checkpoint import Checkpointer
from hlsdl.bundle.durable import BLOCK, Folder, disk_error, kick_writeback, translating, write_all
from hlsdl.bundle.journal import LONGEST_VALIDATOR, Entry, new_entry
from hlsdl.bundle.layout import split_path, temporary_name
from hlsdl.bundle.ledger import Ledger, Ready
from hlsdl.errors import HlsdlError, IntegrityError

OPEN_FOLDERS = 32
"""Folders kept open; a bundle has one for each stream."""

_tokens = count(secrets.randbits(32))
"""Numbers for the names of temporaries: two writers of one bundle cannot be, and a left-over is never written to."""


class HasValidators(Protocol):
    """What of the transfer's validator is kept."""

    @property
    def etag(self) -> str | None: ...
    @property
    def last_modified(self) -> str | None: ...
    @property
    def complete_length(self) -> int | None: ...


@dataclass(slots=True, kw_only=True)
class Whole:
    """A small object, all of it."""

    path: str
    data: bytes = field(repr=False)
    validator: HasValidators | None = None
    length_verified: bool = True


class ObjectStore:
    """Where finished objects go: a folder, its ledger and its checkpoints. Blocking; any thread."""

    def __init__(self, root: Folder, ledger: Ledger, checkpointer: Checkpointer) -> None:
        self.lock: object = None
        """The bundle's, held for as long as anything stores."""
        self._root = root
        self._ledger = ledger
        self._checkpointer = checkpointer
        self._growing: set[Temporary] = set()
        self._folders: dict[str, Folder] = {}
        """Kept open, and used by all threads: walking there anew for each object costs more than its journal line."""
        self._handles: list[Folder] = []
        """Every folder that was opened; one that vanished stays, since a thread may still be using it."""
        self._folders_lock = threading.Lock()
        checkpointer.found_gone = self._forget_folders

    def begin(self, path: str) -> Temporary:
        """Open a temporary beside `path`, making its folder when it is not there."""
        folder, name = split_path(path)
        with translating(path):
            temporary = Temporary(self._root.descend(folder, create=True), path, name)
        self._growing.add(temporary)
        return temporary

    def _create(self, relative: str, name: str, apart: list[Folder]) -> tuple[Folder, int]:
        """A new file in a folder that is kept open, or in one of its own when there are too many of them."""
        known = self._folders.get(relative)
        if known is not None:
            try:
                return known, known.create(name)
            except FileNotFoundError:
                self._folders.pop(relative, None)  # it was removed behind our back: make it again
        folder = self._keep_open(relative)
        if folder is None:
            folder = self._root.descend(relative, create=True)
            apart.append(folder)
        return folder, folder.create(name)

    def _keep_open(self, folder: str) -> Folder | None:
        with self._folders_lock:
            if len(self._handles) >= OPEN_FOLDERS:
                return None
            handle = self._root.descend(folder, create=True)
            self._handles.append(handle)
            self._folders[folder] = handle
            return handle

    def _forget_folders(self) -> None:
        """Walk there anew: what is gone may have been moved away together with the folder that is kept open."""
        with self._folders_lock:
            self._folders.clear()

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

    def store(self, one: Whole) -> Entry:
        """Store one whole object; raises why it cannot be."""
        (answer,) = self.store_all((one,))
        if isinstance(answer, HlsdlError):
            raise answer
        return answer

    def store_all(self, objects: Sequence[Whole]) -> list[Entry | HlsdlError]:
        """Store whole objects: write order 1 and 2 for each, then 3 for all together, then 4 for each.

        Returns for each its entry, or why it was refused; one that is refused leaves the others alone.
        """
        answers: dict[int, Entry | HlsdlError] = {}
        ready: dict[int, Ready] = {}
        apart: list[Folder] = []
        try:
            for place, one in enumerate(objects):
                try:
                    ready[place] = self._write(one, apart)
                except HlsdlError as refusal:
                    answers[place] = refusal
            refusals = self._ledger.commit_all(tuple(ready.values()))
            for (place, written), refused in zip(ready.items(), refusals, strict=True):
                answers[place] = refused or written.entry
        finally:
            for written in ready.values():
                if written.temporary:
                    _remove_left_over(written.folder, written.temporary)
            for folder in apart:
                folder.close()
        try:
            self._checkpointer.object_stored()
        except HlsdlError as failure:
            return [failure] * len(objects)
        return [answers[place] for place in range(len(objects))]

    def _write(self, one: Whole, apart: list[Folder]) -> Ready:
        """Write order 1 and 2: a whole temporary, closed and hashed. `apart` gets a folder that is not kept open."""
        relative, name = split_path(one.path)
        temporary = temporary_name(name, f"{next(_tokens) % 2**32:08x}")
        try:
            folder, descriptor = self._create(relative, temporary, apart)
            try:
                try:
                    write_all(descriptor, one.data)
                finally:
                    os.close(descriptor)
            except BaseException:
                _remove_left_over(folder, temporary)
                raise
        except OSError as error:
            raise disk_error(error, one.path) from error
        digest = sha256(one.data).hexdigest()
        entry = _entry(one.path, len(one.data), digest, one.validator, length_verified=one.length_verified)
        return Ready(entry=entry, folder=folder, temporary=temporary)

    def accept(
        self,
        temporary: Temporary,
        validator: HasValidators | None,
        *,
        length_verified: bool,
        sha256: str | None = None,
    ) -> Entry:
        """Close a temporary that holds a whole object, journal it, and give it its name.

        `sha256`: what it must have; IntegrityError, and no name, when it has another.
        """
        size, digest = temporary.finish()
        if sha256 not in (None, digest):
            raise IntegrityError(f"`{temporary.path}` is damaged: it has other bytes than it had")
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
        ledger.commit(Ready(entry=entry, folder=self._folder, temporary=self._name))
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


def _remove_left_over(folder: Folder, temporary: str) -> None:
    """Remove a temporary that got no name; one that cannot be removed now is removed by the next recovery."""
    with suppress(OSError):
        folder.unlink(temporary)


def _entry(path: str, size: int, digest: str, validator: HasValidators | None, *, length_verified: bool) -> Entry:
    etag = last_modified = complete_length = None
    if validator is not None:
        etag, last_modified, complete_length = validator.etag, validator.last_modified, validator.complete_length
        if etag is not None and len(etag) > LONGEST_VALIDATOR:
            etag = None
        if last_modified is not None and len(last_modified) > LONGEST_VALIDATOR:
            last_modified = None
    return new_entry(
        path,
        size,
        digest,
        etag=etag,
        last_modified=last_modified,
        complete_length=complete_length,
        length_verified=length_verified,
    )
