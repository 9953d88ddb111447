"""Writing: one bundle, open for one writer.

    with BundleWriter.open(path) as writer:       # takes the lock, recovers
        writer.save_manifest(manifest)            # partial, before the first object
        writer.put("Data/master.m3u8", data)
        sink = writer.sink(resource.path, limit=resource.limit)
        ...                                       # the transfer fills it; then: await sink.finish()
        writer.write_text_file("index.m3u8", text)
        writer.seal(manifest)                     # the manifest says complete, last of all

What is fetched, and what the manifest says, is left to the session. `sink` and `put_soon` are for the event loop; all
else blocks, and any thread may call.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from hlsdl.bundle import contents, durable
from hlsdl.bundle.checkpoint import Checkpointer
from hlsdl.bundle.durable import BundleLock, Folder, translating
from hlsdl.bundle.journal import Entry, JournalState
from hlsdl.bundle.layout import (
    JOURNAL,
    LOCK,
    MANIFEST,
    is_bundle_name,
    is_derived,
    is_first_moment_name,
    is_object_path,
    is_safe_path,
    split_path,
)
from hlsdl.bundle.ledger import Ledger, load_journal, this_opening
from hlsdl.bundle.manifest import LARGEST_MANIFEST, DerivedFile, Manifest, WrittenIn, shortfalls, utc_now
from hlsdl.bundle.objects import HasValidators, ObjectStore, Whole
from hlsdl.bundle.partial import PartialFile
from hlsdl.bundle.recovery import Recovery, recover, trust_in
from hlsdl.bundle.starting_over import start_over
from hlsdl.bundle.workers import Gatherer, Workers
from hlsdl.errors import HlsdlError, IntegrityError, PolicyError, UsageError

LARGEST_OBJECT = 1024**3
"""Bytes that `read` will hold in memory."""


class BundleWriter:
    """A bundle under this process's lock. Make one with `open`; leave it with `close` or a `with` block."""

    def __init__(self, path: Path, root: Folder, lock: BundleLock, *, known: JournalState | None = None) -> None:
        """For `open` only: recovers what an interrupted writer left."""
        self.path = path
        self._root = root
        self._lock = lock
        self._written: dict[str, DerivedFile] = {}
        """What this writer made itself: it need not be read to know what is in it."""
        self._is_closed = False
        self.manifest: Manifest | None = self._load_manifest()
        """As it stands on disk; None until the first `save_manifest`."""
        state = load_journal(root, known)
        self._ledger = Ledger(root, state)
        try:
            self.recovery: Recovery = recover(
                root, self._ledger, state, trust_in(state, this_opening(root), self.manifest)
            )
            """What was found and mended on opening."""
        except BaseException:
            self._ledger.close()
            raise
        self.entries: Mapping[str, Entry] = self._ledger.entries
        """What is stored, by relative path; a live view."""
        self._checkpointer = Checkpointer(root, self._ledger)
        self._store = ObjectStore(root, self._ledger, self._checkpointer)
        self._store.lock = lock  # whoever drops a writer without closing it keeps others away while threads still store
        self._workers = Workers()
        self._gatherer = Gatherer("hlsdl-disk-small", self._store.store_all)

    @classmethod
    def open(
        cls, path: Path, *, force: bool = False, anew: bool = False, known: JournalState | None = None
    ) -> BundleWriter:
        """Open or make the bundle at `path` (folders are made as needed), take its lock, and recover it.

        `force` starts over: what is ours goes, other files stay. `anew` does so where a journal has no manifest: nobody
        can say then whose the objects are. `known` is what a reader found in the journal a moment ago; it is read
        again, but gone through only when it has changed. Raises LockedError when another process works on it,
        UsageError when something else is there, DiskError, PolicyError, and IntegrityError for an unreadable manifest.
        """
        root = _open_or_make(path)
        lock: BundleLock | None = None
        try:
            with translating(str(path)):
                _require_bundle_or_nothing(path, root)
                lock = BundleLock(root, path)
                has_lost_its_manifest = root.status(MANIFEST) is None and root.status(JOURNAL) is not None
                if force or (anew and has_lost_its_manifest):
                    start_over(root)
                return cls(path, root, lock, known=known)
        except BaseException:
            if lock is not None:
                lock.release()
            root.close()
            raise

    def is_stored(self, path: str) -> bool:
        """Whether an object is whole under its final name."""
        return path in self.entries

    def put(
        self, path: str, data: bytes, *, validator: HasValidators | None = None, length_verified: bool = True
    ) -> Entry:
        """Store a small whole object: a playlist as fetched, a key, session data."""
        _require(is_object_path(path), path)
        return self._store.store(Whole(path=path, data=data, validator=validator, length_verified=length_verified))

    def put_file(
        self,
        path: str,
        file: BinaryIO,
        *,
        size: int,
        sha256: str | None = None,
        validator: HasValidators | None = None,
        length_verified: bool = True,
    ) -> Entry:
        """Store what is left to read of an open file, which must be `size` bytes.

        Raises IntegrityError when it is not, or has not the SHA-256 that it must have; DiskError.
        """
        _require(is_object_path(path), path)
        temporary = self._store.begin(path)
        try:
            while temporary.size <= size and (block := _block_of(file, path)):
                temporary.append(block)
            if temporary.size != size:
                raise IntegrityError(f"`{path}` changed while it was read")
            return self._store.accept(temporary, validator, length_verified=length_verified, sha256=sha256)
        finally:
            self._store.discard(temporary)

    def sink(self, path: str, *, limit: int) -> PartialFile:
        """A place for the bytes of one object of at most `limit` bytes; its `finish` stores it."""
        _require(is_object_path(path), path)
        return PartialFile(self._store, path, limit=limit, workers=self._workers, gatherer=self._gatherer)

    def put_soon(
        self, path: str, data: bytes, *, validator: HasValidators | None, told: Callable[[Entry | BaseException], None]
    ) -> None:
        """Store a whole object of at most `TINY` bytes beside the event loop.

        `told` is called on the loop in the end: with its entry, or with why it is not stored.
        """
        _require(is_object_path(path), path)
        self._gatherer.post(Whole(path=path, data=data, validator=validator), told)

    def write_text_file(self, path: str, data: bytes) -> None:
        """Replace a derived file (local playlist, XML) durably. It is not journalled; `seal` lists and hashes it."""
        _require(is_safe_path(path) and path not in (MANIFEST, JOURNAL, LOCK) and path not in self.entries, path)
        folder, name = split_path(path)
        with translating(path), self._root.descend(folder, create=True) as handle:
            durable.replace_durably(handle, name, data)
        self._written[path] = DerivedFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def read(self, path: str, *, limit: int = LARGEST_OBJECT) -> bytes:
        """The content of a stored file; UsageError when it is not there, IntegrityError beyond `limit` bytes."""
        return read_path(self._root, path, limit=limit)

    @property
    def expected(self) -> Mapping[str, str]:
        """Path -> the SHA-256 of each object that was found lost or damaged since the bundle was sealed last.

        Nothing else is stored in its place: whatever stores it raises IntegrityError.
        """
        return self._ledger.expected

    @property
    def wanted(self) -> Mapping[str, Entry]:
        """Damaged objects that are here, by path: they count as not stored, and stay until their like has come."""
        return self._ledger.wanted

    def want(self, path: str, sha256: str | None = None) -> None:
        """Say that a stored object is damaged; another, of this SHA-256 if one is given, is to take its place."""
        _require(is_object_path(path), path)
        self._ledger.want(path, sha256)

    def forget(self, path: str) -> None:
        """Remove one object or derived file, and its folder when that is empty then; nothing there is fine."""
        _require(is_safe_path(path) and path not in (MANIFEST, JOURNAL, LOCK), path)
        contents.remove_file(self._root, path)
        self._written.pop(path, None)
        if path in self.entries or path in self.wanted:
            self._ledger.drop(path)
        contents.remove_empty_folder(self._root, split_path(path)[0])

    def save_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest durably. It is saved as `partial`, without seals: only `seal` says `complete`."""
        self._save(manifest, {"state": "partial", "journal_bytes": None, "journal_sha256": None})

    def keep_sealed(self, playlists: Iterable[str]) -> None:
        """Of what was sealed these playlists are left, and all that was written meanwhile is as it is now."""
        if self.manifest is None or not self.manifest.files:
            return
        left = {split_path(one)[0] for one in playlists} | {""}
        files = (self._written.get(one.path, one) for one in self.manifest.files if split_path(one.path)[0] in left)
        self.save_manifest(replace(self.manifest, files=tuple(files)))

    def checkpoint(self) -> None:
        """Make everything that is stored by now survive a power cut."""
        self._checkpointer.checkpoint()

    def seal(self, manifest: Manifest, *, keeps_flaws: bool = False) -> None:
        """Say that the bundle is complete; IntegrityError, with what is missing, when it is not.

        A damaged document or picture stays; with `keeps_flaws` so does whatever else is damaged. `verify` says so.
        """
        self.checkpoint()
        stays = self._staying(manifest, keeps_flaws=keeps_flaws)
        files, problems = self._look(manifest, stays)
        if problems:
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise IntegrityError(
                f"the bundle is not whole: {problems[0]}{more}",
                hint="run the same command again to fetch what is missing",
            )
        if self.manifest is not None and self.manifest.state == "complete":
            # Its seal is on the journal that is written anew now.
            self.save_manifest(replace(manifest, files=self.manifest.files))
        for path in self.wanted.keys() - stays.keys():
            self.forget(path)  # nothing asks for it any more
        length, sha256 = self._checkpointer.compact()
        seals = {"state": "complete", "files": files, "journal_bytes": length, "journal_sha256": sha256}
        self._save(manifest, seals)

    def flaws(self) -> dict[str, Entry]:
        """What is damaged of what was sealed."""
        if not self.wanted or self.manifest is None:
            return {}
        sealed = self.manifest.sealed_part()
        folders, keys = {stream.id for stream in sealed.streams}, {key.path for key in sealed.keys}
        return {path: one for path, one in self.wanted.items() if path in keys or split_path(path)[0] in folders}

    @property
    def inode(self) -> int:
        """Of the bundle's folder; it goes with the folder where that is moved, and a copy has another one."""
        with translating(str(self.path)):
            return self._root.identity()[1]

    @property
    def is_at_its_place(self) -> bool:
        """Whether `path` still leads to this bundle: somebody may have moved it away meanwhile."""
        with translating(str(self.path)):
            try:
                there = self.path.stat()
            except FileNotFoundError:
                return False
            return (there.st_dev, there.st_ino) == self._root.identity()

    def close(self, clean: bool = True, *, reason: str | None = None) -> None:
        """Let go of the bundle. Unfinished objects are removed. Closing twice is fine.

        `clean` makes a checkpoint and writes `close`, so that the next start believes everything at once; `reason` is
        kept in the journal (a full disk, a pause). Not clean is how a dying process leaves it.
        """
        if self._is_closed:
            return
        self._is_closed = True
        with ExitStack() as last:  # each of these happens, whatever fails before it
            last.callback(self._root.close)
            last.callback(self._lock.release)
            last.callback(self._ledger.close)
            self._gatherer.stop()
            self._workers.stop()
            self._checkpointer.stop()
            self._store.discard_all()
            if clean and (reason or not self._ledger.is_clean):
                self.checkpoint()
                self._ledger.finish(reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.close()
        except HlsdlError:
            # The first error tells the story; without `close` the next start only looks more closely.
            if error is None:
                raise

    def _load_manifest(self) -> Manifest | None:
        with translating(MANIFEST):
            if self._root.status(MANIFEST) is None:
                return None
            return Manifest.decode(durable.read_file(self._root, MANIFEST, limit=LARGEST_MANIFEST))

    def _save(self, manifest: Manifest, changes: dict[str, Any]) -> None:
        here = this_opening(self._root)
        written_in = WrittenIn(boot=here.boot, device=here.device, inode=here.inode)
        saved = replace(manifest, **changes, updated=utc_now(), written_in=written_in)
        with translating(MANIFEST):
            durable.replace_durably(self._root, MANIFEST, saved.encode())
        self.manifest = saved

    def _look(self, manifest: Manifest, stays: Mapping[str, Entry]) -> tuple[tuple[DerivedFile, ...], tuple[str, ...]]:
        """The derived files that are there, and what keeps the bundle from being whole: one look at the disk."""
        sizes = contents.sizes_below(self._root)
        files = tuple(self._derived_files(sizes))
        named = {**self.entries, **{path: replace(one, size=sizes.get(path, one.size)) for path, one in stays.items()}}
        return files, shortfalls(replace(manifest, files=files), named if stays else self.entries, sizes)

    def _staying(self, manifest: Manifest, *, keeps_flaws: bool) -> dict[str, Entry]:
        """What is damaged of all that a manifest speaks of, and stays."""
        if not self.wanted:
            return {}
        documents = {one.path for one in manifest.documents}
        stays = {path: one for path, one in self.wanted.items() if path in documents}
        if keeps_flaws:
            named = {stream.id for stream in manifest.streams} | {key.path for key in manifest.keys}
            stays |= {
                path: one for path, one in self.flaws().items() if not named.isdisjoint({path, split_path(path)[0]})
            }
        return stays

    def _derived_files(self, sizes: Iterable[str]) -> Iterable[DerivedFile]:
        """Every derived file among the paths on disk, with its hash, sorted by path."""
        known = self._written.keys() | {file.path for file in (self.manifest.files if self.manifest else ())}
        for path in sorted(path for path in sizes if path not in self.entries and (path in known or is_derived(path))):
            if (written := self._written.get(path)) is not None:
                yield written
                continue
            folder, name = split_path(path)
            with translating(path), self._root.descend(folder) as handle:
                size, sha256 = durable.hash_file(handle, name)
            yield DerivedFile(path=path, size=size, sha256=sha256)


def read_path(root: Folder, path: str, *, limit: int) -> bytes:
    """Read one file of a bundle by its relative path, links not followed."""
    _require(is_safe_path(path), path)
    folder, name = split_path(path)
    try:
        with root.descend(folder) as handle:
            return durable.read_file(handle, name, limit=limit)
    except FileNotFoundError:
        raise UsageError(f"`{path}` is not in the bundle") from None
    except OSError as error:
        raise durable.disk_error(error, path) from error


def _block_of(file: BinaryIO, path: str) -> bytes:
    with translating(path):
        return file.read(durable.BLOCK)


def _open_or_make(path: Path) -> Folder:
    with translating(str(path)):
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=durable.FOLDER_MODE, exist_ok=True)
            durable.sync_directory(path.parent)
        elif not path.is_dir():
            raise UsageError(f"`{path}` is there already and is no folder", hint="choose another name with `-o`")
        return Folder.open(path)


def _require_bundle_or_nothing(path: Path, root: Folder) -> None:
    """A folder is ours to write when it is a bundle, empty, or holds only what the first moments of one leave."""
    with translating(str(path)), root.scan() as entries:
        names = {entry.name for entry in entries}
    if not any(is_bundle_name(name) for name in names) and not all(is_first_moment_name(name) for name in names):
        raise UsageError(f"`{path}` holds other files and is no bundle of hlsdl", hint="choose another name with `-o`")


def _require(allowed: bool, path: str) -> None:
    if not allowed:
        raise PolicyError(f"a file of a bundle may not be called {path[:200]!a}")
