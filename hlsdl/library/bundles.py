"""Bundles: the index of what a user has stored, wherever it is, with what is known of its use and how long to keep it.

The bundles themselves are the truth: a row of one that is gone is dropped, what is measured is measured again when a
bundle has changed. Only the times and the policy live here alone. What goes when room is needed, `retention` decides.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hlsdl.bundle.layout import JOURNAL, MANIFEST, SUFFIX
from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.reading import Bundle, read_manifest
from hlsdl.bundle.removal import size_on_disk, sweep
from hlsdl.errors import DiskError, HlsdlError, IntegrityError, UsageError
from hlsdl.library.database import Database, Row, Schema, Tables
from hlsdl.library.places import index_file
from hlsdl.library.retention import Priority

logger = logging.getLogger(__name__)

SCHEMA = Schema(
    application=0x686C6C62,  # "hllb"
    is_durable=False,  # nearly all of it can be seen on the disk again, and every fetch ends with a change here
    steps=(
        (
            """CREATE TABLE bundles (
                path TEXT PRIMARY KEY,
                title TEXT NOT NULL,
                source TEXT NOT NULL,
                state TEXT NOT NULL,
                bytes INTEGER NOT NULL,
                signature TEXT NOT NULL,
                added REAL NOT NULL,
                last_used REAL NOT NULL,
                priority TEXT,
                expires REAL
            ) WITHOUT ROWID""",
        ),
    ),
)

DAMAGED = "damaged"
"""The state of a bundle whose manifest cannot be read; otherwise it is the manifest's own."""

_INSERT = """INSERT INTO bundles (path, title, source, state, bytes, signature, added, last_used)
    VALUES (:path, :title, :source, :state, :bytes, :signature, :now, :used)
    ON CONFLICT (path) DO UPDATE SET title = excluded.title, source = excluded.source, state = excluded.state,
    bytes = excluded.bytes, signature = excluded.signature"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedBundle:
    """One bundle as the index knows it. Times are seconds since 1970 (UTC)."""

    path: Path
    title: str
    source: str = field(repr=False)
    """With its query: never shown unredacted, except in documents (contract §3)."""
    state: str
    """`partial`, `complete` or `damaged`."""
    bytes: int
    """Of all its files."""
    added: float
    last_used: float
    """When it was last fetched or played."""
    priority: Priority | None = None
    """None: no policy was ever set, which counts as `default`."""
    expires: float | None = None


class BundleIndex(Tables):
    """The index in one database. Any thread; blocking. All methods raise as `Database` does."""

    is_copy = False
    """Whether nothing that is changed here is kept."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the index; the file and its folder are made when they are not there."""
        return cls(Database.open(path, SCHEMA))

    @classmethod
    def open_copy(cls, path: Path) -> Self:
        """What the index says now, in memory: for a disk on which it can be read and not written."""
        index = cls(Database.copy_of(path, SCHEMA))
        index.is_copy = True
        return index

    def record(
        self,
        path: Path,
        *,
        now: float,
        used: float | None = None,
        manifest: Manifest | None = None,
        seen: Mapping[str, int] | None = None,
    ) -> None:
        """Take a bundle in, or measure it anew; its policy stays.

        Args:
            path: the bundle's folder.
            now: the time; a bundle that is new here was added then.
            used: when it was used last; None: a new one `now`, a known one as before.
            manifest: what the bundle's manifest says, for who has just written it; None: it is read.
            seen: bytes of the files that were looked at just now (`Bundle.seen`); the others are looked at.

        Raises:
            UsageError: there is no bundle.
        """
        self._write(_facts(path.resolve(), manifest, seen), now=now, used=used)

    def _write(self, facts: dict[str, Any], *, now: float, used: float | None = None) -> None:
        facts = {**facts, "now": now, "used": now if used is None else used}
        changes: list[tuple[str, dict[str, Any]]] = [(_INSERT, facts)]
        if used is not None:
            changes.append(("UPDATE bundles SET last_used = max(last_used, :used) WHERE path = :path", facts))
        self._database.change_all(changes)

    def use(self, path: Path, *, now: float) -> bool:
        """Note that a bundle is used; False when the index does not know it, and then it stays so."""
        values = {"now": now, "path": str(path.resolve())}
        return self._database.change("UPDATE bundles SET last_used = :now WHERE path = :path", values) > 0

    def set_policy(self, path: Path, *, priority: Priority, expires: float | None) -> None:
        """Say how long a known bundle is kept; UsageError when the index does not know it."""
        values = {"priority": priority.value, "expires": expires, "path": str(path.resolve())}
        statement = "UPDATE bundles SET priority = :priority, expires = :expires WHERE path = :path"
        if not self._database.change(statement, values):
            raise UsageError(f"the library does not know `{path}`")

    def get(self, path: Path) -> IndexedBundle | None:
        """What is known of one bundle, or None."""
        found = self._database.rows("SELECT * FROM bundles WHERE path = ?", (str(path.resolve()),))
        return _bundle(found[0]) if found else None

    def all(self) -> tuple[IndexedBundle, ...]:
        """Every bundle, by path."""
        return tuple(map(_bundle, self._database.rows("SELECT * FROM bundles ORDER BY path")))

    def forget(self, path: Path) -> None:
        """Drop a bundle from the index; the bundle itself stays. Nothing there is fine."""
        self._database.change("DELETE FROM bundles WHERE path = ?", (str(path.resolve()),))

    def refresh(self, folders: Iterable[Path], *, now: float) -> None:
        """Look again: drop what is gone, measure what has changed, take in every bundle directly in `folders`.

        Where a bundle is gone, removals that were interrupted are brought to their end, but not by a copy.

        What is wrong with a bundle is logged; only what is wrong with the index is raised.
        """
        for row in self._database.rows("SELECT * FROM bundles"):
            self._look_again(row, now)
        known = {str(one.path) for one in self.all()}
        for folder in folders:
            for path in _bundles_in(folder):
                place = path.resolve()
                if str(place) not in known:
                    self._take_in(place, now)

    def _look_again(self, row: Row, now: float) -> None:
        path = Path(row["path"])
        try:
            if _signature(path) == row["signature"]:
                return
            facts = _facts(path.resolve())
        except UsageError:
            self.forget(path)
            if not self.is_copy:
                sweep(path.parent)  # its removal may have been interrupted, and nothing else leads there any more
        except IntegrityError:
            values = {"state": DAMAGED, "path": row["path"]}
            self._database.change("UPDATE bundles SET state = :state WHERE path = :path", values)
        except HlsdlError as error:
            logger.warning("`%s` cannot be looked at; what was known of it stays: %s", path, error.message)
        else:
            self._write(facts, now=now)

    def _take_in(self, path: Path, now: float) -> None:
        try:
            facts, used = _facts(path), _last_change(path)
        except (HlsdlError, OSError) as error:
            logger.warning("`%s` is not taken into the library: %s", path, error)
        else:
            self._write(facts, now=now, used=used)


def remember(bundle: Bundle, *, now: float) -> None:
    """Tell the user's library of a bundle that was just fetched; errors as of `BundleIndex.record`."""
    with BundleIndex.open(index_file()) as index:
        index.record(bundle.path, now=now, used=now, manifest=bundle.manifest, seen=bundle.seen)


def _facts(path: Path, manifest: Manifest | None = None, seen: Mapping[str, int] | None = None) -> dict[str, Any]:
    """What can be seen of the bundle at its resolved path."""
    manifest = manifest or read_manifest(path)
    return {
        "path": str(path),
        "title": manifest.title,
        "source": manifest.source_url,
        "state": manifest.state,
        "bytes": size_on_disk(path, seen),
        "signature": _signature(path),
    }


def _signature(path: Path) -> str:
    """Another text when a bundle's content may be another one; UsageError when nothing is there."""
    parts = []
    for name in (MANIFEST, JOURNAL):
        try:
            status = (path / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            if name == MANIFEST:
                raise UsageError(f"`{path}` is no bundle: it has no `{MANIFEST}`") from None
            continue
        except UnicodeEncodeError as error:
            told = f"{str(path)!a} has a name that this locale cannot spell"
            raise DiskError(told, hint="use a UTF-8 locale") from error
        except OSError as error:
            raise DiskError(f"`{path}` cannot be read: {error.strerror}") from error
        parts.append(f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}")
    return " ".join(parts)


def _last_change(path: Path) -> float:
    return (path / MANIFEST).stat().st_mtime


def _bundles_in(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.name.endswith(SUFFIX) and (one / MANIFEST).is_file())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _bundle(row: Row) -> IndexedBundle:
    return IndexedBundle(
        path=Path(row["path"]),
        title=row["title"],
        source=row["source"],
        state=row["state"],
        bytes=row["bytes"],
        added=row["added"],
        last_used=row["last_used"],
        priority=Priority(row["priority"]) if row["priority"] is not None else None,
        expires=row["expires"],
    )
