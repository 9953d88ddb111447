"""Checkpoints: what makes stored objects survive a power cut, kept off the path of the transfer.

One pass flushes every new object, then their folders, then says so in the journal. A background thread makes a pass
after 32 objects, but four times a second at most, and after 5 seconds in any case. It stops at the first error and
keeps it for whoever asks next; nothing is retried on a descriptor whose flush failed, since the kernel may have
forgotten the pages by then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from hlsdl.bundle.contents import ROOT, join_path
from hlsdl.bundle.durable import Folder, disk_error, flush, kick_writeback, translating
from hlsdl.bundle.layout import split_path
from hlsdl.bundle.ledger import Ledger
from hlsdl.bundle.threads import started
from hlsdl.errors import HlsdlError

EVERY_OBJECTS = 32
EVERY_SECONDS = 5.0
LEAST_SECONDS = 0.25
"""From the end of a pass to the next: small objects may come by the thousand each second, 32 within 10 ms."""
_AT_ONCE = 64
"""Descriptors that are open together: writing all out first makes one file system commit serve them all."""


def _at_once() -> int:
    """So many of them as leave three quarters of what this process may open to others."""
    try:
        import resource
    except ImportError:  # Windows
        return _AT_ONCE
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _AT_ONCE if soft == resource.RLIM_INFINITY else max(1, min(_AT_ONCE, soft // 4))


class Checkpointer:
    """Makes checkpoints of one ledger: on demand, and by itself while objects come in."""

    def __init__(self, root: Folder, ledger: Ledger) -> None:
        self.found_gone: Callable[[], None] = lambda: None
        """Told when objects are not there any more, before the ledger is."""
        self._root = root
        self._ledger = ledger
        self._one_at_a_time = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: HlsdlError | None = None

    def object_stored(self) -> None:
        """Told after each object; raises what the background thread met, so that work stops."""
        if self._error is not None:
            raise self._error
        if self._thread is None:
            self._start()
        if self._ledger.pending >= EVERY_OBJECTS and not self._wake.is_set():
            self._wake.set()

    def checkpoint(self) -> None:
        """Flush everything that is stored by now, and say so in the journal."""
        with self._one_at_a_time:
            batch = self._ledger.take_batch()
            if not batch.paths:
                return
            try:
                gone = self._flush_objects(batch.paths)
            except BaseException:
                self._ledger.return_batch(batch)
                raise
            if gone:
                self.found_gone()
            for path in gone:
                self._ledger.drop_gone(path)
            self._ledger.mark_checkpoint(batch)

    def compact(self) -> tuple[int, str]:
        """Checkpoint, then rewrite the journal as its shortest form; return (bytes, SHA-256)."""
        self.checkpoint()
        with self._one_at_a_time:
            return self._ledger.compact()

    def stop(self) -> None:
        """End the background thread, after the pass it is in."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _start(self) -> None:
        with self._one_at_a_time:
            if self._thread is None and not self._stopping.is_set():
                self._thread = started(self._run, "hlsdl-checkpoint", daemon=True)

    def _run(self) -> None:
        passed = float("-inf")
        while self._error is None:
            self._wake.wait(EVERY_SECONDS)
            if self._stopping.wait(max(0.0, passed + LEAST_SECONDS - time.monotonic())):
                return
            self._wake.clear()
            try:
                self.checkpoint()
            except HlsdlError as error:
                self._error = error
            passed = time.monotonic()

    def _flush_objects(self, paths: Sequence[str]) -> list[str]:
        """Flush objects and their folders; return the paths that have vanished. A failed flush removes its object."""
        by_folder: dict[str, list[str]] = {}
        for path in paths:
            relative, name = split_path(path)
            by_folder.setdefault(relative, []).append(name)
        gone: list[str] = []
        for relative, names in by_folder.items():
            with translating(relative or ROOT):
                try:
                    folder = self._root.descend(relative)
                except FileNotFoundError:
                    gone += [join_path(relative, name) for name in names]
                    continue
                with folder:
                    at_once = _at_once()
                    for first in range(0, len(names), at_once):
                        gone += self._flush_some(folder, relative, names[first : first + at_once])
                    folder.sync()
        with translating(ROOT):
            self._root.sync()
        return gone

    def _flush_some(self, folder: Folder, relative: str, names: Sequence[str]) -> list[str]:
        """Flush a few objects of one folder; return those that are not there any more."""
        opened: list[tuple[int, str]] = []
        gone: list[str] = []
        try:
            for name in names:
                try:
                    descriptor = folder.open_to_flush(name)
                except FileNotFoundError:
                    gone.append(join_path(relative, name))
                    continue
                opened.append((descriptor, name))
                kick_writeback(descriptor, 0, 0)
            for descriptor, name in opened:
                try:
                    flush(descriptor)
                except OSError as error:
                    raise self._lost(folder, join_path(relative, name), error) from error
        finally:
            with ExitStack() as closing:  # all of them, whatever one has to say
                for descriptor, _ in opened:
                    closing.callback(os.close, descriptor)
        return gone

    def _lost(self, folder: Folder, path: str, error: OSError) -> HlsdlError:
        """Remove an object whose flush failed: its pages may be gone while its size still looks right."""
        folder.unlink(split_path(path)[1])
        self._ledger.drop(path)
        return disk_error(error, path)
