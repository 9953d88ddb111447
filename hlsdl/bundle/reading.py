"""Reading: a bundle as it lies there, for info, verify and play.

    bundle = Bundle.open(Path("A film.movpkg"))
    bundle.title, bundle.duration, bundle.is_playable_offline

Takes no lock and changes nothing, so it may be used while a writer is at work. Everything inside is treated as made
by a stranger: sizes are bounded, paths checked, links not followed. Whether the bytes are right is left to
`verification`.
"""

from __future__ import annotations

import builtins
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Self

from hlsdl.bundle import contents, durable
from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.journal import Entry, JournalState, replay
from hlsdl.bundle.layout import (
    INDEX,
    JOURNAL,
    MANIFEST,
    final_name,
    is_media,
    is_safe_path,
    path_given,
    split_path,
)
from hlsdl.bundle.ledger import LARGEST_JOURNAL
from hlsdl.bundle.manifest import LARGEST_MANIFEST, Manifest, StoredStream, as_json, count_segments, shortfalls
from hlsdl.errors import IntegrityError, PolicyError, UsageError, redact_typed

LARGEST_READ = 64 * 1024 * 1024


class Bundle:
    """A read-only view, taken when it was opened; only `shortfalls` and the readers look at the disk again."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        state: JournalState,
        *,
        is_seal_intact: bool,
        is_fresh: bool = False,
    ) -> None:
        """For `open` and `as_written` only."""
        self.path = path
        """Where the bundle lies, as given."""
        self.manifest = manifest
        self.journal = state
        """What the journal said."""
        self.entries: Mapping[str, Entry] = MappingProxyType(state.entries)
        """What the journal says is stored, by relative path."""
        self.damaged_lines = state.damaged
        """Journal lines that could not be believed."""
        self.is_seal_intact = is_seal_intact
        """Whether the journal still begins with what was sealed; True for a partial bundle."""
        self._is_fresh = is_fresh
        """Whether it was sealed just now: every file was compared with what is said here."""
        self._segments, self._bytes = (_claimed(manifest, self.entries) if is_fresh else None) or _counted(self.entries)

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r}, {self.state})"

    def __reduce__(self) -> tuple[Callable[[Path], Bundle], tuple[Path]]:
        """For another process: what is there then."""
        return type(self).open, (self.path,)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Look into a bundle. UsageError when there is none, IntegrityError when its manifest is unreadable."""
        root = _open_bundle(path)
        with root, translating(str(path)):
            manifest = _decode_manifest(root)
            has_journal = root.status(JOURNAL) is not None
            journal = durable.read_file(root, JOURNAL, limit=LARGEST_JOURNAL) if has_journal else b""
        length, sha256 = manifest.journal_bytes, manifest.journal_sha256
        intact = length is None or hashlib.sha256(memoryview(journal)[:length]).hexdigest() == sha256
        return cls(path, manifest, replay(journal), is_seal_intact=intact)

    @classmethod
    def as_written(cls, path: Path, manifest: Manifest, entries: Mapping[str, Entry]) -> Self:
        """The view of a bundle that was sealed just now, for the one who did it and need not read it back."""
        state = JournalState(entries=dict(entries), is_clean=True)
        return cls(path, manifest, state, is_seal_intact=True, is_fresh=True)

    @property
    def title(self) -> str:
        """As shown to people."""
        return self.manifest.title

    @property
    def state(self) -> str:
        """`partial` or `complete`."""
        return self.manifest.state

    @property
    def streams(self) -> tuple[StoredStream, ...]:
        """What is, or will be, in the bundle."""
        return self.manifest.streams

    @property
    def duration(self) -> float:
        """Seconds of the longest stream."""
        return max((stream.duration for stream in self.streams), default=0.0)

    @property
    def bytes(self) -> int:
        """Of the media stored now: segments and init sections."""
        return sum(self._bytes.get(stream.id, 0) for stream in self.streams)

    @property
    def segments(self) -> int:
        """How many media segments are stored now."""
        return sum(self._segments.get(stream.id, 0) for stream in self.streams)

    @property
    def seen(self) -> dict[str, int]:
        """Bytes, by path, of the files that were looked at on disk a moment ago, by `as_written`'s seal; else none."""
        if not self._is_fresh:
            return {}
        return {
            **{path: entry.size for path, entry in self.entries.items()},
            **{file.path: file.size for file in self.manifest.files},
        }

    @property
    def is_playable_offline(self) -> bool:
        """Whether everything is here: sealed, every file there with its size, keys included, nothing `protected`.

        What was sealed plays also while something is added to it, or when that was interrupted.
        """
        if any(stream.protected for stream in self.streams):
            return False
        if self.state == "complete":
            return not self.shortfalls()
        return not self._shortfalls_of_sealed()

    def _shortfalls_of_sealed(self) -> tuple[str, ...]:
        """The same as `shortfalls`, of what was sealed before something was added."""
        sealed = self.manifest.sealed_part()
        if not sealed.streams or INDEX not in {file.path for file in sealed.files}:
            return ("nothing of it was sealed",)
        folders, keys = {stream.id for stream in sealed.streams}, {key.path for key in sealed.keys}
        entries = {path: one for path, one in self.entries.items() if path in keys or split_path(path)[0] in folders}
        return shortfalls(sealed, entries, self.sizes())

    def shortfalls(self) -> tuple[str, ...]:
        """Return what is missing or has another size than it should, one sentence each; looks at the disk now."""
        sizes = self.sizes()
        problems = shortfalls(self.manifest, self.entries, sizes)
        if INDEX not in sizes:
            problems = (f"`{INDEX}` is missing", *problems)
        return problems if self.is_seal_intact else ("`journal.jsonl` is not what was sealed", *problems)

    def leftovers(self) -> tuple[str, ...]:
        """Return the temporaries that an interrupted run has left, by path: whoever opens the bundle removes them."""
        return tuple(path for path in self.sizes() if final_name(split_path(path)[1]) is not None)

    def sizes(self) -> dict[str, int]:
        """Return the regular files on disk now: bytes by relative path, child bundles included."""
        with _open_bundle(self.path) as root:
            return contents.sizes_below(root)

    def open_file(self, path: str) -> BinaryIO:
        """Open one file for reading by its relative path, no link followed.

        Raises PolicyError for an unsafe path, a link or a special file, IntegrityError when it is not there.
        """
        if not is_safe_path(path):
            raise PolicyError(f"a file of a bundle may not be called {path[:200]!a}")
        folder, name = split_path(path)
        with _open_bundle(self.path) as root:
            try:
                with root.descend(folder) as handle:
                    return os.fdopen(handle.open_file(name), "rb")
            except FileNotFoundError:
                raise IntegrityError(f"`{path}` is missing", hint="`hlsdl repair` fetches it again") from None
            except OSError as error:
                raise durable.disk_error(error, path) from error

    def read(self, path: str, *, limit: int = LARGEST_READ) -> builtins.bytes:
        """Return the content of one file of at most `limit` bytes; raises as `open_file` does."""
        with self.open_file(path) as file, translating(path):
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise IntegrityError(f"`{path}` has more than {limit} bytes")
            return file.read(size)  # the limit would be allocated as a whole

    def document(self) -> dict[str, Any]:
        """Return the `hlsdl.bundle/1` document: plain JSON values. Counts are of what is stored now."""
        return {
            "schema": "hlsdl.bundle/1",
            "path": str(self.path),
            "title": self.title,
            "source": self.manifest.source_url,
            "state": self.state,
            "playable_offline": self.is_playable_offline,
            "created": self.manifest.created,
            "duration": self.duration,
            "bytes": self.bytes,
            "segments": self.segments,
            "streams": [self._stream_document(stream) for stream in self.streams],
        }

    def _stream_document(self, stream: StoredStream) -> dict[str, Any]:
        names = (
            "bandwidth average_bandwidth resolution frame_rate codecs video_range language name group channels default"
            " forced characteristics encryption"
        )
        described = as_json(stream)
        return {
            "id": stream.id,
            "kind": stream.kind,
            "playlist": stream.playlist,
            "source": stream.source_url,
            **{name: described[name] for name in names.split()},
            "segments": self._segments.get(stream.id, 0),
            "gaps": stream.gaps,
            "bytes": self._bytes.get(stream.id, 0),
            "duration": stream.duration,
            "complete": stream.complete,
        }


def _counted(entries: Mapping[str, Entry]) -> tuple[dict[str, int], dict[str, int]]:
    """How many segments are stored, and how many bytes of media, by stream folder."""
    sizes: dict[str, int] = {}
    for file, entry in entries.items():
        if is_media(file):
            folder = split_path(file)[0]
            sizes[folder] = sizes.get(folder, 0) + entry.size
    return count_segments(entries), sizes


def _claimed(manifest: Manifest, entries: Mapping[str, Entry]) -> tuple[dict[str, int], dict[str, int]] | None:
    """What `_counted` would say of a bundle that was sealed just now, by its manifest; None: only counting can tell.

    The seal has compared how many segments each stream has. So when the streams, documents and keys that the manifest
    lists have all the bytes that are stored, no other media is there.
    """
    others = {item.path for items in (manifest.documents, manifest.keys) for item in items}
    stored = sum(entry.size for entry in entries.values())
    media = {stream.id: stream.bytes for stream in manifest.streams}
    if stored != sum(media.values()) + sum(entries[path].size for path in others if path in entries):
        return None
    return {stream.id: stream.segments for stream in manifest.streams}, media


def path_of(named: str | Path) -> Path:
    """The path of a bundle, as somebody named it; UsageError when that is a URL, nothing, or neither text nor path."""
    if "://" in str(named):
        raise UsageError(
            f"a URL was given where a bundle is meant: `{redact_typed(str(named))}`",
            hint="`hlsdl fetch URL` makes a bundle of it; a bundle is a folder that ends in `.movpkg`",
        )
    return path_given(named, "the path of a bundle")


def read_manifest(path: Path) -> Manifest:
    """Read the manifest alone, which is quick however many segments there are; raises as `Bundle.open` does."""
    with _open_bundle(path) as root, translating(str(path)):
        return _decode_manifest(root)


def _decode_manifest(root: Folder) -> Manifest:
    return Manifest.decode(durable.read_file(root, MANIFEST, limit=LARGEST_MANIFEST))


def _open_bundle(path: Path) -> Folder:
    """Open the folder of a bundle; UsageError when it is none."""
    with translating(str(path)):
        if not path.exists():
            raise UsageError(f"nothing is there: `{path}`")
        if not path.is_dir():
            raise UsageError(f"`{path}` is no bundle but a file", hint="a bundle is a folder that ends in `.movpkg`")
        root = Folder.open(path, follow=True)
        if root.status(MANIFEST) is None:
            root.close()
            hint = "another program made it: `hlsdl import` brings it in" if (path / "boot.xml").exists() else None
            raise UsageError(f"`{path}` is no bundle: it has no `{MANIFEST}`", hint=hint)
        return root
