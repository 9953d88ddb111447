"""The ledger: the journal on disk, and the one lock under which it and the final names change.

A `seg` line and the rename it announces happen together, so that the length of the journal at any moment speaks only of
objects that have their names. Flushing is left to `checkpoint`, judging what was found to `recovery`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from hlsdl.bundle.durable import Folder, disk_error, flush, read_file, replace_durably, translating, write_all
from hlsdl.bundle.journal import (
    Entry,
    JournalState,
    Opening,
    checkpoint_line,
    close_line,
    compact_journal,
    drop_line,
    entry_line,
    opening_line,
    pause_line,
    replay,
    want_line,
)
from hlsdl.bundle.layout import JOURNAL, split_path
from hlsdl.errors import HlsdlError, IntegrityError

LARGEST_JOURNAL = 2 * 1024**3
"""Bytes; four million entries take about 1.2 GB."""


def this_opening(root: Folder) -> Opening:
    """This process, this page cache, this folder."""
    device, inode = root.identity()
    return Opening(boot=root.page_cache(), device=device, inode=inode, pid=os.getpid())


def load_journal(root: Folder, known: JournalState | None = None) -> JournalState:
    """Replay the journal of a bundle, unless it still says what is `known`; an empty state when there is none."""
    with translating(JOURNAL):
        if root.status(JOURNAL) is None:
            return JournalState()
        return replay(read_file(root, JOURNAL, limit=LARGEST_JOURNAL), known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one checkpoint is about to flush."""

    paths: tuple[str, ...]
    upto: int
    """Length of the journal when the batch was taken."""


@dataclass(slots=True, kw_only=True)
class Ready:
    """A whole object that only lacks its journal line and its name."""

    entry: Entry
    folder: Folder
    """Where it lies."""
    temporary: str
    """Its name there; empty once it has its final one."""


class Ledger:
    """The entries of a bundle that is open for writing. Its methods may be called from any thread."""

    def __init__(self, root: Folder, state: JournalState) -> None:
        """Continue the journal whose content is `state`; `root` stays the caller's."""
        self._root = root
        self._opening = this_opening(root)
        self._entries = dict(state.entries)
        self._pending = dict.fromkeys(state.unsynced - state.wanted)
        self._superseded: set[str] = set()
        """Paths that the journal *on the device* may still call checkpointed with bytes that are gone."""
        self._wanted = {path: self._entries.pop(path) for path in state.wanted}
        self._lock = threading.Lock()
        self._is_open = False
        self._is_clean = state.is_clean and state.opening is not None
        self._is_torn = state.is_torn
        self._descriptor: int | None = None
        self._end = 0
        self._expected = dict(state.expected)
        self.entries: Mapping[str, Entry] = MappingProxyType(self._entries)
        """By path; a live view. What is wanted is not among them."""
        self.expected: Mapping[str, str] = MappingProxyType(self._expected)
        """Path -> the SHA-256 that an object must have when it comes again; nothing else is ever stored there."""
        self.wanted: Mapping[str, Entry] = MappingProxyType(self._wanted)
        """Damaged objects by path, which stay under their names until their like has come; a live view."""

    @property
    def is_clean(self) -> bool:
        """Whether the journal's last line is `close`."""
        return self._is_clean

    @property
    def pending(self) -> int:
        """Objects that no checkpoint covers yet."""
        return len(self._pending)

    def commit(self, ready: Ready) -> None:
        """Steps 3 and 4 of the write order for one object; raises why it cannot be."""
        (refusal,) = self.commit_all((ready,))
        if refusal is not None:
            raise refusal

    def commit_all(self, ready: Sequence[Ready]) -> list[HlsdlError | None]:
        """Steps 3 and 4 of the write order: the `seg` lines in one write, then each final name.

        Returns for each why it was refused, or None. One that is refused leaves the others alone.
        """
        with self._lock:
            refused = [self._other_than_expected(one.entry) for one in ready]
            rest = [one for one, refusal in zip(ready, refused, strict=True) if refusal is None]
            paths = {one.entry.path for one in rest}
            is_new = len(paths) == len(rest) and all(
                known.isdisjoint(paths) for known in (self._entries.keys(), self._superseded, self._wanted.keys())
            )
            # What replaces something goes by itself: when its line cannot be written, the old one must go on counting.
            groups = [rest] if is_new else [[one] for one in rest]
            answers = iter([refusal for group in groups if group for refusal in self._commit(group)])
            return [refusal or next(answers) for refusal in refused]

    def drop(self, path: str) -> None:
        """Say that an object is gone; its file must be removed already. What must come again is not forgotten."""
        with self._lock:
            self._drop(path)

    def drop_gone(self, path: str) -> None:
        """As `drop`, of an object whose file was not there any more, unless another has been stored meanwhile."""
        with self._lock:
            if path not in self._pending:
                self._drop(path)

    def _drop(self, path: str) -> None:
        with translating(path):
            self._change(drop_line(path, self._expected.get(path)))
            self._remove(path)

    def want(self, path: str, sha256: str | None = None) -> None:
        """Say that an object is damaged: it counts as not stored, and stays until another has come.

        `sha256`: what that must have.
        """
        with self._lock, translating(path):
            if path in self._wanted and self._expected.get(path) == sha256:
                return
            self._change(want_line(path, sha256))
            self._set_aside(path, sha256)

    def settle(
        self,
        *,
        dropped: Mapping[str, str | None],
        wanted: Mapping[str, tuple[Entry, str | None]],
        adopted: Iterable[Entry],
    ) -> None:
        """Write down what recovery found, *before* the `open` line: its boot id vouches for what follows it only.

        `dropped`: by path, the SHA-256 that the object must have when it comes again. `wanted`: before that, its entry.
        """
        adopted = tuple(adopted)
        lines = [drop_line(path, was) for path, was in dropped.items()]
        lines += [self._wanting(path, entry, was) for path, (entry, was) in wanted.items()]
        lines += [entry_line(entry) for entry in adopted]
        with self._lock, translating(JOURNAL):
            if lines:
                self._append(b"".join(lines))
                self._is_clean = False
            for path, was in dropped.items():
                self._remove(path)
                if was is not None:
                    self._expected[path] = was
            for path, (entry, was) in wanted.items():
                self._entries[path] = entry
                self._set_aside(path, was)
            for entry in adopted:
                self._wanted.pop(entry.path, None)
                self._entries[entry.path] = entry
                self._pending[entry.path] = None

    def distrust(self) -> None:
        """Forget that anything was flushed: this is another folder than the one the checkpoints speak of."""
        self._pending = dict.fromkeys(self._entries)
        self._is_clean = False

    def take_batch(self) -> Batch:
        """Hand out everything pending, with the length of the journal that a checkpoint of it may name."""
        with self._lock, translating(JOURNAL):
            if self._pending:
                self._file()  # so that its length is known, also when nothing was appended yet
            batch = Batch(paths=tuple(self._pending), upto=self._end)
            self._pending.clear()
            return batch

    def return_batch(self, batch: Batch) -> None:
        """Take back what could not be flushed."""
        with self._lock:
            self._pending.update(dict.fromkeys(path for path in batch.paths if path in self._entries))

    def mark_checkpoint(self, batch: Batch) -> None:
        """Step 6: the `ckpt` line, flushed."""
        with translating(JOURNAL):
            with self._lock:
                self._change(checkpoint_line(batch.upto))
                descriptor, superseded = self._file(), set(self._superseded)
            flush(descriptor)
            with self._lock:
                self._superseded -= superseded

    def compact(self) -> tuple[int, str]:
        """Rewrite the journal, which must be checkpointed, as its shortest form; return (bytes, SHA-256)."""
        with self._lock, translating(JOURNAL):
            wanted = {path: self._expected.get(path) for path in self._wanted}
            entries = {**self._entries, **self._wanted} if wanted else self._entries
            data = compact_journal(entries, self._opening, wanted)
            replace_durably(self._root, JOURNAL, data)
            for path in self._expected.keys() - wanted.keys():
                del self._expected[path]
            self._close_file()
            self._is_open, self._is_clean, self._is_torn, self._end = False, True, False, len(data)
        return len(data), hashlib.sha256(data).hexdigest()

    def finish(self, reason: str | None) -> None:
        """Write `pause` (with a reason) and `close`, flushed; everything must be checkpointed."""
        with self._lock, translating(JOURNAL):
            self._change((pause_line(reason) if reason else b"") + close_line())
            self._is_clean = True
            flush(self._file())

    def close(self) -> None:
        """Let go of the file; nothing is written."""
        with self._lock, translating(JOURNAL):
            self._close_file()

    def _commit(self, ready: Sequence[Ready]) -> list[HlsdlError | None]:
        try:
            self._change(b"".join([entry_line(one.entry) for one in ready]))
        except OSError as error:
            if len(ready) > 1:
                # The first of them may be whole in the journal. Without room for this, recovery drops them: no file.
                with suppress(OSError):
                    self._change(b"".join([drop_line(one.entry.path) for one in ready]))
            return [_refusal(error, one.entry.path) for one in ready]
        return [self._name(one) for one in ready]

    def _name(self, ready: Ready) -> HlsdlError | None:
        """Give the announced object its name, or take the announcement back."""
        path = ready.entry.path
        name = split_path(path)[1]
        try:
            try:
                replaced = path in self._entries and path not in self._pending
                if path in self._wanted:
                    self._flush_temporary(ready)  # what it replaces is gone with its name
                if replaced or path in self._superseded or path in self._wanted:
                    # After a power cut the old line must not vouch, by its size alone, for what the name leads to now.
                    flush(self._file())
                ready.folder.rename(ready.temporary, name)
            except OSError:
                # The line promised a name that could not be given: what stood there before is not what it describes.
                if path in self._wanted:
                    self._change(self._wanting(path, self._wanted[path], self._expected.get(path)))
                    raise
                with suppress(OSError):
                    ready.folder.unlink(name)
                self._remove(path)
                self._change(drop_line(path, self._expected.get(path)))
                raise
        except OSError as error:
            return _refusal(error, path)
        ready.temporary = ""
        self._wanted.pop(path, None)
        self._entries[path] = ready.entry
        self._pending[path] = None
        return None

    def _other_than_expected(self, entry: Entry) -> HlsdlError | None:
        """Why an object is refused that is not what must come; before anything of it is written down."""
        if self._expected.get(entry.path, entry.sha256) == entry.sha256:
            return None
        return IntegrityError(
            f"`{entry.path}` has other bytes now than it had, which are not stored in its place",
            hint="what is stored stays as it is; where there is another copy of the bundle, its file can be put back",
        )

    @staticmethod
    def _wanting(path: str, entry: Entry, must_have: str | None) -> bytes:
        """The lines that say that what stands under this name is a damaged object, and which."""
        return entry_line(entry) + want_line(path, must_have)

    @staticmethod
    def _flush_temporary(ready: Ready) -> None:
        descriptor = ready.folder.open_to_flush(ready.temporary)
        try:
            flush(descriptor)
        finally:
            os.close(descriptor)

    def _set_aside(self, path: str, sha256: str | None) -> None:
        entry = self._entries.get(path)
        if entry is not None:
            self._remove(path)
            self._wanted[path] = entry
        if sha256 is None:
            self._expected.pop(path, None)
        else:
            self._expected[path] = sha256

    def _remove(self, path: str) -> None:
        self._wanted.pop(path, None)
        self._entries.pop(path, None)
        if path in self._pending:
            del self._pending[path]
        else:
            self._superseded.add(path)

    def _change(self, lines: bytes) -> None:
        """Append, with the `open` line first when this is the first change."""
        self._append(lines if self._is_open else opening_line(self._opening) + lines)
        self._is_open, self._is_clean = True, False

    def _append(self, lines: bytes) -> None:
        descriptor = self._file()
        data = b"\n" + lines if self._is_torn else lines
        # If this fails half way, the next line must not be glued to what is left of this one.
        self._is_torn = True
        write_all(descriptor, data)
        self._is_torn = False
        self._end += len(data)

    def _file(self) -> int:
        if self._descriptor is None:
            self._unlink_from_others()
            self._descriptor = self._root.open_file(JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self._end = os.fstat(self._descriptor).st_size
        return self._descriptor

    def _unlink_from_others(self) -> None:
        """Copy a journal that has a second name (a hard-linked backup), so that appending leaves the other alone."""
        status = self._root.status(JOURNAL)
        if status is not None and status.st_nlink > 1:
            replace_durably(self._root, JOURNAL, read_file(self._root, JOURNAL, limit=LARGEST_JOURNAL))

    def _close_file(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def _refusal(error: OSError, path: str) -> HlsdlError:
    refusal = disk_error(error, path)
    refusal.__cause__ = error
    return refusal
