"""Storage: how long bundles are kept, what there is, and making room (AVAssetDownloadStorageManager).

    storage = StorageManager()
    storage.set_policy(bundle.path, StorageManagementPolicy(priority=StorageManagementPriority.IMPORTANT))
    storage.collect(free=5_000_000_000, dry_run=True).evicted

Which bundles go, `library.retention` decides; what is known of them is in `library.bundles`. Nothing here runs by
itself: room is made when `collect` is called.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hlsdl.bundle.reading import path_of
from hlsdl.bundle.removal import remove_bundle, sweep, who_uses
from hlsdl.errors import DiskError, HlsdlError, LockedError, UsageError
from hlsdl.library.bundles import BundleIndex, IndexedBundle
from hlsdl.library.places import data_folder, index_file, library_folder
from hlsdl.library.retention import Candidate, Eviction, Plan, plan_evictions
from hlsdl.library.retention import Priority as StorageManagementPriority

__all__ = [
    "Collection",
    "LibraryBundle",
    "StorageManagementPolicy",
    "StorageManagementPriority",
    "StorageManager",
]


logger = logging.getLogger(__name__)

_LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageManagementPolicy:
    """How long one bundle is kept (AVAssetDownloadStorageManagementPolicy)."""

    priority: StorageManagementPriority = StorageManagementPriority.DEFAULT
    """`default` goes before `important`."""
    expiration_date: datetime | None = None
    """From then on the bundle goes before all that have not expired; None: never. With a time zone."""

    def __post_init__(self) -> None:
        if self.expiration_date is not None and self.expiration_date.tzinfo is None:
            raise UsageError("a date without a time zone could be any moment", hint="give it one, such as UTC")

    def document(self) -> dict[str, Any]:
        """Plain JSON values."""
        expires = self.expiration_date
        return {"priority": self.priority.value, "expires": None if expires is None else _text(expires.timestamp())}


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryBundle:
    """A bundle that the library knows."""

    path: Path
    title: str
    source: str = field(repr=False)
    """With its query: in documents (contract §3), never in messages."""
    state: str
    """`partial`, `complete`, or `damaged` when its manifest cannot be read."""
    bytes: int
    """Of all its files."""
    added: datetime
    last_used: datetime
    """When it was last fetched or played."""
    policy: StorageManagementPolicy | None
    """None: none was ever set."""

    def document(self) -> dict[str, Any]:
        """Plain JSON values; one entry of `hlsdl.library/1`."""
        return {
            "path": str(self.path),
            "title": self.title,
            "source": self.source,
            "state": self.state,
            "bytes": self.bytes,
            "added": _text(self.added.timestamp()),
            "last_used": _text(self.last_used.timestamp()),
            **(self.policy or StorageManagementPolicy()).document(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What `collect` did, or would do."""

    evicted: tuple[Eviction, ...]
    """In this order: path, bytes and reason of each."""
    bytes: int
    """What that gave back, or would."""
    needed: int
    """What had to be given back; 0 when only expired bundles were asked for."""
    is_enough: bool
    spared: dict[str, str]
    """Path -> why it stayed: `written`, `played`, or the error that deleting it met."""
    dry_run: bool

    def document(self) -> dict[str, Any]:
        """The `hlsdl.collection/1` document."""
        return {
            "schema": "hlsdl.collection/1",
            "dry_run": self.dry_run,
            "needed": self.needed,
            "freed": self.bytes,
            "enough": self.is_enough,
            "evicted": [{"path": one.path, "bytes": one.bytes, "because": one.reason.value} for one in self.evicted],
            "spared": [{"path": path, "because": why} for path, why in self.spared.items()],
        }


class StorageManager:
    """The library of one user. Blocking; any thread, any number of processes.

    Every method raises DiskError, LockedError or IntegrityError when the index cannot be used; UsageError when what
    should be the path of a bundle is a URL or empty.

    Args:
        root: the data folder. None: `$HLSDL_DATA`, else the usual one of the system.

    Source: AVAssetDownloadStorageManager.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else data_folder()
        """The data folder."""
        self.folder = library_folder(self.root)
        """Where sessions put bundles whose configuration names no destination."""

    def set_policy(self, path: str | Path, policy: StorageManagementPolicy) -> None:
        """Say how long the bundle at `path` is kept; the library knows it from then on.

        Raises:
            UsageError: there is no bundle.

        Source: setStorageManagementPolicy(_:for:).
        """
        place, expires = path_of(path), policy.expiration_date
        with self._index() as index:
            index.record(place, now=time.time())
            index.set_policy(place, priority=policy.priority, expires=expires.timestamp() if expires else None)

    def policy(self, path: str | Path) -> StorageManagementPolicy | None:
        """The policy of the bundle at `path`, None when none was set (storageManagementPolicy(for:))."""
        with self._index() as index:
            found = index.get(path_of(path))
        return _policy(found) if found is not None else None

    def bundles(self, folders: Iterable[Path] = ()) -> tuple[LibraryBundle, ...]:
        """Every bundle that there is, by path, looked at anew.

        Args:
            folders: also take in the bundles directly in these.
        """
        with self._looked_at([self.folder, *folders], now=time.time()) as index:
            return tuple(map(_library_bundle, index.all()))

    def record(self, path: str | Path) -> None:
        """Tell the library of a bundle that was just stored; UsageError when there is none."""
        now = time.time()
        with self._index() as index:
            index.record(path_of(path), now=now, used=now)

    def use(self, path: str | Path) -> bool:
        """Tell the library that a bundle is being used; False when it does not know it, and need not."""
        place = path_of(path)
        if not index_file(self.root).exists():
            return False
        with self._index() as index:
            return index.use(place, now=time.time())

    def remove(self, path: str | Path) -> int:
        """Delete the bundle at `path` and return the bytes that gave back; it need not be in the library.

        Where there is nothing any more, it is what was left in that folder by removals that were interrupted.

        Raises:
            UsageError: there is no bundle, or `path` is a link.
            LockedError: it is being written or played.
        """
        named = path_of(path)
        place = named.resolve()
        try:
            freed = remove_bundle(named)
        except UsageError:
            if os.path.lexists(named) or not (left := sweep(place.parent)):
                raise
            freed = sum(left)
        sweep(place.parent)
        if index_file(self.root).exists():
            with _told_only(place), self._index() as index:
                index.forget(place)
        return freed

    def collect(self, *, free: int | None = None, quota: int | None = None, dry_run: bool = False) -> Collection:
        """Make room: expired bundles first, then those of default priority, then important ones, by last use.

        A bundle that is being written or played stays. No more goes than is needed.

        Args:
            free: bytes to give back.
            quota: bytes that all bundles of the library may have together. With neither, everything that has expired
                goes, and nothing else.
            dry_run: only say what would be done.

        Raises:
            UsageError: a negative number.
        """
        if (free is not None and free < 0) or (quota is not None and quota < 0):
            raise UsageError("a number of bytes is not negative")
        now = time.time()
        look = self._copy if dry_run and index_file(self.root).exists() else self._looked_at
        with look([self.folder], now=now) as index:
            bundles = [_candidate(one) for one in index.all()]
            if not dry_run:
                for folder in {self.folder, *(Path(one.path).parent for one in bundles)}:
                    sweep(folder)
            done = self._collect(index, bundles, now=now, free=free, quota=quota, dry_run=dry_run)
        if index.is_copy and done.evicted and not dry_run:
            with _told_only(self.folder), self._index() as index:  # there is room for it now
                index.refresh([self.folder], now=now)
        return done

    def _collect(
        self,
        index: BundleIndex,
        bundles: Sequence[Candidate],
        *,
        now: float,
        free: int | None,
        quota: int | None,
        dry_run: bool,
    ) -> Collection:
        """Carry out the plan one by one; when a bundle turns out to be in use, or gone, plan again without it."""
        there = {one.path: one for one in bundles}
        evicted: dict[str, Eviction] = {}
        in_use: dict[str, str] = {}

        def planned() -> Plan:
            return plan_evictions(tuple(there.values()), now=now, free=free, quota=quota, in_use=in_use)

        plan = planned()
        while (one := next((one for one in plan.evictions if one.path not in evicted), None)) is not None:
            stays = self._evict(index, one, dry_run=dry_run)
            if stays is None:
                evicted[one.path] = one
                continue
            in_use[one.path] = stays
            # What somebody else deletes meanwhile neither stays nor counts, and nothing else has to go in its place.
            for path in [path for path in in_use if not os.path.lexists(path)]:
                del in_use[path], there[path]
            plan = planned()
        freed = sum(one.bytes for one in evicted.values())
        return Collection(
            evicted=tuple(evicted.values()),
            bytes=freed,
            needed=plan.needed,
            is_enough=freed >= plan.needed,
            spared={path: why for path, why in in_use.items() if os.path.lexists(path)},
            dry_run=dry_run,
        )

    @staticmethod
    def _evict(index: BundleIndex, one: Eviction, *, dry_run: bool) -> str | None:
        """Delete one bundle; returns why it stays, or None."""
        path = Path(one.path)
        try:
            if (why := who_uses(path)) is not None:
                return why
            if not dry_run:
                remove_bundle(path)
                with _told_only(path):
                    index.forget(path)
        except LockedError:
            with suppress(HlsdlError):  # it may be gone by now
                return who_uses(path) or "written"
            return "written"
        except HlsdlError as error:
            return error.message
        return None

    def _index(self) -> BundleIndex:
        return BundleIndex.open(index_file(self.root))

    def _looked_at(self, folders: Sequence[Path], *, now: float) -> BundleIndex:
        """The index after a new look at the disk; where that cannot be written down, a copy in memory.

        A full disk must not keep anybody from making room on it.
        """
        try:
            with ExitStack() as stack:
                index = stack.enter_context(self._index())
                index.refresh(folders, now=now)
                stack.pop_all()
                return index
        except DiskError as error:
            try:
                return self._copy(folders, now=now)
            except HlsdlError:
                raise error from None

    def _copy(self, folders: Sequence[Path], *, now: float) -> BundleIndex:
        """The same, and nothing of it is written down."""
        index = BundleIndex.open_copy(index_file(self.root))
        index.refresh(folders, now=now)
        return index


@contextmanager
def _told_only(path: Path) -> Iterator[None]:
    """What is at `path` has changed; that the index says otherwise is told, and whoever looks next finds that out."""
    try:
        yield
    except HlsdlError as error:
        logger.warning("the library still lists what was in `%s`: %s", path, error.message)


def _candidate(one: IndexedBundle) -> Candidate:
    return Candidate(
        path=str(one.path),
        bytes=one.bytes,
        last_used=one.last_used,
        priority=one.priority or StorageManagementPriority.DEFAULT,
        expires=one.expires,
    )


def _policy(one: IndexedBundle) -> StorageManagementPolicy | None:
    if one.priority is None:
        return None
    return StorageManagementPolicy(
        priority=one.priority,
        expiration_date=None if one.expires is None else _moment(one.expires),
    )


def _library_bundle(one: IndexedBundle) -> LibraryBundle:
    return LibraryBundle(
        path=one.path,
        title=one.title,
        source=one.source,
        state=one.state,
        bytes=one.bytes,
        added=_moment(one.added),
        last_used=_moment(one.last_used),
        policy=_policy(one),
    )


def _moment(seconds: float) -> datetime:
    """The end of the year 9999 in some zone may be later than UTC can write down."""
    return datetime.fromtimestamp(min(seconds, _LAST_SECOND), UTC)


def _text(seconds: float) -> str:
    return _moment(seconds).isoformat(timespec="seconds").replace("+00:00", "Z")
