"""The manifest: what a bundle is, as it stands in `manifest.json` (docs/bundle-format.md §4).

Values, and their text. Reading a text that may come from anyone is `stranger`'s part, which brings pydantic and is
loaded when there is one to read; opening and replacing the file is left to `reading` and `writing`. Which object is
stored is the journal's business, never the manifest's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from hlsdl.bundle.journal import Entry
from hlsdl.bundle.layout import is_segment, split_path

SCHEMA = "hlsdl.manifest/1"
GAPS = "gaps"
"""In `choices`: the paths of segments that the bundle does without."""
LARGEST_MANIFEST = 64 * 1024 * 1024
"""Bytes; a manifest has a line for a gap and none for a segment, so a larger one is not ours."""

# What a field may hold; `stranger` holds what is read to it.
SafePath: TypeAlias = str
"""A path below the bundle (`layout.is_safe_path`)."""
Count: TypeAlias = int
"""From 0 to `journal.LARGEST_NUMBER`."""
Seconds: TypeAlias = float
"""From 0."""
Json: TypeAlias = dict[str, Any]
"""An object of plain JSON values."""
Sha256: TypeAlias = str
"""64 hexadecimal digits in lower case."""
StreamKind: TypeAlias = str
"""`video`, `audio`, `subtitles`, `iframes` or `images`."""
State: TypeAlias = Literal["partial", "complete"]
KeyPolicy: TypeAlias = Literal["stored", "sealed", "clear"]


def utc_now() -> str:
    """The present moment as ISO 8601 in UTC, to the second: `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What all parts of a manifest have. A URL has its query, where tokens live: it is in no `repr`."""

    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    """Fields that a newer version wrote, as JSON: they are written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStream(Stored):
    """One stream of the bundle: a video, an audio rendition, subtitles, or trick play."""

    id: SafePath
    """The stream's folder."""
    kind: StreamKind
    playlist: SafePath
    """The local media playlist, relative to the bundle."""
    source_url: str = field(repr=False)
    final_url: str = field(repr=False)
    bandwidth: Count = 0
    average_bandwidth: Count | None = None
    resolution: tuple[Count, Count] | None = None
    """(width, height) in pixels."""
    frame_rate: float | None = None
    codecs: tuple[str, ...] = ()
    video_range: str | None = None
    language: str | None = None
    name: str | None = None
    group: str | None = None
    channels: str | None = None
    default: bool = False
    forced: bool = False
    characteristics: tuple[str, ...] = ()
    encryption: str = "none"
    """`none`, or the METHOD of the source's keys."""
    protected: bool = False
    """Ciphertext that nothing here can play."""
    segments: Count = 0
    """Media segment files to be stored; gaps and init sections are not counted."""
    gaps: Count = 0
    """Segments that the source itself declares absent (EXT-X-GAP)."""
    bytes: Count = 0
    """Of media segments and init sections."""
    duration: Seconds = 0.0
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument(Stored):
    """A stored playlist as fetched, a piece of session data, or artwork."""

    path: SafePath
    url: str = field(repr=False)
    final_url: str = field(repr=False)
    category: str
    """`master`, `media`, `session-data`, `artwork` …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey(Stored):
    """Where a content key lies; never the key itself."""

    path: SafePath
    url: str = field(repr=False)
    sealed: bool = False
    """While something is added: whether what was sealed before needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFile(Stored):
    """A local playlist or XML file as it was at seal."""

    path: SafePath
    size: Count
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenIn(Stored):
    """Where, and into which page cache, the manifest was written: evidence for recovery when the journal is lost."""

    boot: str | None = None
    device: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Stored):
    """Everything a bundle says about itself."""

    id: str = field(default_factory=lambda: str(uuid4()))
    state: State = "partial"
    title: str
    source_url: str = field(repr=False)
    final_url: str = field(repr=False)
    created: str = field(default_factory=utc_now)
    updated: str = field(default_factory=utc_now)
    hlsdl_version: str = ""
    choices: Json = field(default_factory=dict, repr=False)
    """The preferences used, as JSON: recognises the same choices, and makes them again."""
    key_policy: KeyPolicy = "stored"
    streams: tuple[StoredStream, ...] = ()
    documents: tuple[StoredDocument, ...] = ()
    keys: tuple[StoredKey, ...] = ()
    files: tuple[DerivedFile, ...] = ()
    """Set at seal, and kept while something is added: what was sealed plays all the while."""
    journal_bytes: Count | None = None
    journal_sha256: Sha256 | None = None
    """Of the first `journal_bytes` bytes of the journal; set at seal."""
    written_in: WrittenIn | None = None
    warnings: tuple[str, ...] = ()
    checksum: Sha256 | None = None
    """SHA-256 of this file's text with `null` here: accidental damage to the manifest itself is found by it."""

    @property
    def gaps(self) -> frozenset[str]:
        """The paths of segments that the bundle does without, since their source had lost them (`choices.gaps`)."""
        return self.texts_in(GAPS)

    def texts_in(self, choice: str) -> frozenset[str]:
        """The texts that stand in one of the `choices`, whatever else does: that may be a stranger's."""
        named = self.choices.get(choice)
        return frozenset(one for one in (named if isinstance(named, list | tuple) else ()) if isinstance(one, str))

    def sealed_part(self) -> Manifest:
        """What was sealed, of a bundle to which something is added since: its streams, keys and derived files."""
        playlists = {file.path for file in self.files}
        is_complete = self.state == "complete"
        return replace(
            self,
            streams=tuple(one for one in self.streams if one.playlist in playlists),
            keys=tuple(one for one in self.keys if is_complete or one.sealed),
            documents=(),
        )

    def encode(self) -> bytes:
        """Return the text of `manifest.json`: indented, keys in the order of the format, its checksum filled in."""
        return _text(replace(self, checksum=self._digest()))

    @property
    def is_intact(self) -> bool:
        """Whether the checksum fits; True where an older version wrote none."""
        return self.checksum is None or self.checksum == self._digest()

    def _digest(self) -> str:
        return hashlib.sha256(_text(replace(self, checksum=None))).hexdigest()

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read `manifest.json`; IntegrityError names the first field that is wrong, never its value."""
        from hlsdl.bundle import stranger  # a new bundle has no manifest to read

        parts = (StoredStream, StoredDocument, StoredKey, DerivedFile, WrittenIn)
        manifest: Manifest = stranger.read(data, cls, SCHEMA, parts=parts)
        return manifest


def as_json(value: Any) -> Any:
    """A manifest or a part of it as JSON values, the fields in the order of the format."""
    if isinstance(value, tuple):
        return [as_json(item) for item in value]
    if not isinstance(value, Stored):
        return value
    known = {one.name: as_json(getattr(value, one.name)) for one in fields(value) if one.name != "unknown"}
    return {**known, **value.unknown}


def _text(manifest: Manifest) -> bytes:
    document = {"schema": SCHEMA, **as_json(manifest)}
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def shortfalls(manifest: Manifest, entries: Mapping[str, Entry], sizes: Mapping[str, int]) -> tuple[str, ...]:
    """Return what keeps the bundle from being whole, one sentence each; empty when it is.

    `sizes` holds the regular files on disk by relative path. Content is not looked at: that is `verify`.
    """
    problems = [
        f"`{path}` has {sizes[path]} bytes instead of {entry.size}" if path in sizes else f"`{path}` is missing"
        for path, entry in entries.items()
        if sizes.get(path) != entry.size
    ]
    named = [document.path for document in manifest.documents] + [key.path for key in manifest.keys]
    problems += [f"`{path}` is not stored" for path in named if path not in entries]
    problems += [
        f"`{file.path}` is missing or has another size" for file in manifest.files if sizes.get(file.path) != file.size
    ]
    # A gap whose segment has come since counts when the bundle is sealed again.
    counts = count_segments(entries.keys() - manifest.gaps if manifest.gaps else entries)
    for stream in manifest.streams:
        if stream.playlist not in sizes:
            problems.append(f"`{stream.playlist}` is missing")
        if not stream.complete:
            problems.append(f"stream `{stream.id}` is not complete")
        elif counts.get(stream.id, 0) != stream.segments:
            problems.append(f"stream `{stream.id}` has {counts.get(stream.id, 0)} of {stream.segments} segments")
    return tuple(problems)


def count_segments(entries: Iterable[str]) -> dict[str, int]:
    """How many media segments are stored, by stream folder."""
    counts: dict[str, int] = {}
    for path in entries:
        if is_segment(path):
            folder = split_path(path)[0]
            counts[folder] = counts.get(folder, 0) + 1
    return counts
