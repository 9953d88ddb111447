"""One plain file while its bytes come in: a `.part` beside its name, renamed when it is whole.

For single downloads; objects of a bundle are `partial`'s. Blocking work is done in a thread of the caller's event loop.
Fits the transfer's idea of a sink. What the bytes so far are worth to another process is the caller's to write down.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from hlsdl.bundle.durable import (
    BLOCK,
    flush,
    kick_writeback,
    lock_alone,
    sync_directory,
    translating,
    write_all,
)
from hlsdl.bundle.page_cache import page_cache_of
from hlsdl.bundle.threads import in_thread
from hlsdl.errors import IntegrityError, LimitError, LockedError, PolicyError

PART = ".part"
BEGINNING = 64 * 1024
"""Bytes by which a `.part` is known again: another file may have taken its place."""
FLUSH_EVERY = 64 * 1024 * 1024
"""Bytes that a power cut may cost: after so many, what has come is brought to the device."""


class PlainFile:
    """A file on its way in. `write`, `restart` and `finish` are awaited one after another."""

    def __init__(
        self,
        path: Path,
        *,
        limit: int,
        validator: Any = None,
        boot: str | None = None,
        flushed: int = 0,
        beginning: str | None = None,
    ) -> None:
        """For the file at `path`; what an earlier process knew of its `.part` are the others.

        Only looks yet. What is left is believed as far as it was flushed, and all of it in the same page cache only: a
        power cut leaves a file its size, and zeros in it. Without a validator, or with another `beginning` (None: it is
        not compared; empty: nothing of it is ours), it is worth nothing. What is not believed is cut off before the
        first byte is written.
        """
        self.path = path
        self.part = path.with_name(path.name + PART)
        self.restarted: Callable[[], None] = lambda: None
        """Told when bytes that were held are given up."""
        self.described: Callable[[Any], None] = lambda validator: None
        """Told the validator of the bytes that come, before the first of them."""
        self.written: Callable[[], None] = lambda: None
        """Told when a block has been written."""
        self._limit = limit
        self._validator = validator
        self._descriptor = -1
        self._kicked = 0
        self._boot = page_cache_of(str(path.parent))
        self._beginning = bytearray()
        left = self._left(beginning)
        is_of_this_boot = boot is not None and boot == self._boot
        self._size = 0 if validator is None else left if is_of_this_boot else min(left, flushed)
        self._is_all_held = self._size == left
        self._flushed = min(flushed, self._size)
        del self._beginning[self._size :]
        self._mark = _mark(self._beginning)

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    @property
    def validator(self) -> Any:
        """What `describe` was given last: the transfer's own value."""
        return self._validator

    @property
    def boot(self) -> str | None:
        """The page cache in which all that stands in the `.part` is held; None before, and where it has no name."""
        return self._boot if self._is_all_held else None

    @property
    def flushed(self) -> int:
        """Bytes held that a power cut leaves alone."""
        return self._flushed

    @property
    def beginning(self) -> str:
        """What the first bytes held are recognised by: how many, and their SHA-256; empty when there are none."""
        return self._mark

    def take(self) -> None:
        """Hold what is left, if anything is, before more of it is asked for: then nobody else changes it. Blocks.

        Raises:
            LockedError: somebody else writes it.
            DiskError: it cannot be opened.
        """
        if self._size:
            self._open()

    def describe(self, *, validator: Any, length_verified: bool) -> None:
        """Keep what the response head says; an end that cannot be seen makes no difference here."""
        del length_verified
        self._validator = validator
        self.described(validator)

    async def write(self, block: bytes) -> None:
        """Append. LimitError beyond the limit, DiskError when the disk refuses."""
        if self._size + len(block) > self._limit:
            raise LimitError(f"`{self.path.name}` grows beyond {self._limit} bytes")
        await in_thread(partial(self._append, bytes(block)))
        self.written()

    async def restart(self) -> None:
        """Forget all bytes."""
        had = self._size > 0
        await in_thread(self._empty)
        self._validator = None
        if had:
            self.restarted()

    async def finish(self) -> None:
        """Everything is there: flush, and give it its name, replacing what is called that."""
        await in_thread(self._commit)

    def close(self) -> None:
        """Bring what is held to the device, and let go of the `.part`, which stays; DiskError when it refuses."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with translating(self.part.name):
                try:
                    self._flush(descriptor)
                finally:
                    os.close(descriptor)

    def digest(self) -> str:
        """SHA-256 of the bytes held; blocks."""
        digest, left = sha256(), self._size
        with translating(self.part.name), self.part.open("rb") as file:
            while left and (block := file.read(min(left, BLOCK))):
                digest.update(block)
                left -= len(block)
        return digest.hexdigest()

    def _left(self, beginning: str | None) -> int:
        """Bytes of what is there, if it is known again by its beginning."""
        with translating(self.part.name):
            if self.part.is_symlink() or not self.part.is_file():
                return 0
            with self.part.open("rb") as file:
                self._beginning += file.read(BEGINNING)
                size = os.fstat(file.fileno()).st_size
        if beginning is None:
            return size
        length = int(beginning.partition(":")[0] or "0")
        return size if length and _mark(self._beginning[:length]) == beginning else 0

    def _open(self) -> int:
        if self._descriptor < 0:
            with translating(self.part.name):
                self._must_be_replaceable()
                self.part.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
                self._descriptor = self._taken(flags | getattr(os, "O_BINARY", 0))
                self._boot = page_cache_of(self._descriptor)
                held = os.read(self._descriptor, len(self._beginning))
                if held != self._beginning or os.fstat(self._descriptor).st_size < self._size:
                    self._forget()  # it is another one by now
                os.ftruncate(self._descriptor, self._size)
                os.lseek(self._descriptor, self._size, os.SEEK_SET)
                self._kicked = self._size
                self._is_all_held = True
        return self._descriptor

    def _taken(self, flags: int) -> int:
        """The `.part`, opened and locked: two that write one file would mix it.

        Raises:
            LockedError: somebody else writes it.
        """
        while True:
            descriptor = os.open(self.part, flags, 0o600)
            try:
                lock_alone(descriptor)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), os.lstat(self.part)):
                        return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise LockedError(f"something else is writing `{self.path}`", hint="wait for it") from None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # it got its name a moment ago; this one is another

    def _must_be_replaceable(self) -> None:
        """PolicyError when what has the file's name is no file: a folder, a device, a socket."""
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise PolicyError(f"`{self.path}` is {what}, and a file cannot replace it")

    def _append(self, block: bytes) -> None:
        before, descriptor = self._size, self._open()
        if self._size != before:
            raise IntegrityError(f"`{self.part.name}` was replaced meanwhile", hint="start the file over")
        with translating(self.part.name):
            write_all(descriptor, block)
        if len(self._beginning) < BEGINNING:
            self._beginning += block[: BEGINNING - len(self._beginning)]
            self._mark = _mark(self._beginning)
        self._size += len(block)
        if self._size - self._kicked >= BLOCK:
            kick_writeback(descriptor, self._kicked, self._size - self._kicked)
            self._kicked = self._size
        if self._size - self._flushed >= FLUSH_EVERY:
            with translating(self.part.name):
                self._flush(descriptor)

    def _flush(self, descriptor: int) -> None:
        """OSError when the device refuses: then what was not there before may have been lost, though it can be read."""
        try:
            flush(descriptor)
        except OSError:
            self._size, self._is_all_held = self._flushed, False
            raise
        self._flushed = self._size

    def _forget(self) -> None:
        self._size = self._flushed = self._kicked = 0
        self._validator = None
        self._beginning.clear()
        self._mark = ""

    def _empty(self) -> None:
        self._forget()
        descriptor = self._open()
        with translating(self.part.name):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)

    def _commit(self) -> None:
        descriptor = self._open()  # an empty resource has had no block
        with translating(self.path.name):
            self._flush(descriptor)
            self._must_be_replaceable()
            if not os.path.samestat(os.fstat(descriptor), self.part.lstat()):
                raise IntegrityError(f"`{self.part.name}` was replaced meanwhile", hint="start the file over")
            if sys.platform == "win32":
                self.close()  # what is open cannot be renamed there
            self.part.replace(self.path)
            sync_directory(self.path.parent)
        self.close()


def _mark(beginning: bytes | bytearray) -> str:
    return f"{len(beginning)}:{sha256(beginning).hexdigest()}" if beginning else ""
