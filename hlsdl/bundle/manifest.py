"""The manifest: what a bundle is, as it stands in `manifest.json` (docs/bundle-format.md §4).

The one place of this room where pydantic stands, since the file may come from anyone. Reading and replacing the file is
left to `reading` and `writing`; which object is stored is the journal's business, never the manifest's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hlsdl.bundle.journal import LARGEST_NUMBER, Entry
from hlsdl.bundle.layout import is_safe_path, is_segment, split_path
from hlsdl.errors import IntegrityError

SCHEMA: Literal["hlsdl.manifest/1"] = "hlsdl.manifest/1"
LARGEST_MANIFEST = 64 * 1024 * 1024
"""Bytes; a manifest has no line per segment, so a larger one is not ours."""

StreamKind = Annotated[str, Field(pattern=r"^(video|audio|subtitles|iframes|images)$")]
State = Literal["partial", "complete"]
KeyPolicy = Literal["stored", "sealed", "clear"]


def utc_now() -> str:
    """The present moment as ISO 8601 in UTC, to the second: `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _safe(path: str) -> str:
    if not is_safe_path(path):
        raise ValueError("not a safe relative path")
    return path


SafePath = Annotated[str, AfterValidator(_safe)]
Count = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, Field(repr=False)]
"""With its query, where tokens live: never in a `repr`."""


class _Stored(BaseModel):
    """Unknown fields are kept, so that an older version does not lose what a newer one wrote."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class StoredStream(_Stored):
    """One stream of the bundle: a video, an audio rendition, subtitles, or trick play."""

    id: SafePath
    """The stream's folder."""
    kind: StreamKind
    playlist: SafePath
    """The local media playlist, relative to the bundle."""
    source_url: Url
    final_url: Url
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
    duration: Annotated[float, Field(ge=0)] = 0.0
    """Seconds."""
    complete: bool = False


class Document(_Stored):
    """A stored playlist as fetched, a piece of session data, or artwork."""

    path: SafePath
    url: Url
    final_url: Url
    category: str
    """`master`, `media`, `session-data`, `artwork` …"""


class StoredKey(_Stored):
    """Where a content key lies; never the key itself."""

    path: SafePath
    url: Url


class DerivedFile(_Stored):
    """A local playlist or XML file as it was at seal."""

    path: SafePath
    size: Count
    sha256: Sha256


class WrittenIn(_Stored):
    """Where and in which boot the manifest was written: evidence for recovery when the journal is lost."""

    boot: str | None = None
    device: int
    inode: int


class Manifest(_Stored):
    """Everything a bundle says about itself."""

    # `schema` is a method of BaseModel, so the attribute has another name than the field in the file.
    schema_name: Literal["hlsdl.manifest/1"] = Field(default=SCHEMA, alias="schema")
    id: str = Field(default_factory=lambda: str(uuid4()))
    state: State = "partial"
    title: str
    source_url: Url
    final_url: Url
    created: str = Field(default_factory=utc_now)
    updated: str = Field(default_factory=utc_now)
    hlsdl_version: str = ""
    choices: dict[str, Any] = Field(default_factory=dict)
    """The preferences used, as JSON: recognises the same choices, and makes them again."""
    key_policy: KeyPolicy = "stored"
    streams: tuple[StoredStream, ...] = ()
    documents: tuple[Document, ...] = ()
    keys: tuple[StoredKey, ...] = ()
    files: tuple[DerivedFile, ...] = ()
    """Set at seal."""
    journal_bytes: Count | None = None
    journal_sha256: Sha256 | None = None
    """Of the first `journal_bytes` bytes of the journal; set at seal."""
    written_in: WrittenIn | None = None
    warnings: tuple[str, ...] = ()
    checksum: Sha256 | None = None
    """SHA-256 of this file's text with `null` here: accidental damage to the manifest itself is found by it."""

    def encode(self) -> bytes:
        """Return the text of `manifest.json`: indented, keys in the order of the format, its checksum filled in."""
        return _text(self.model_copy(update={"checksum": self._digest()}))

    @property
    def is_intact(self) -> bool:
        """Whether the checksum fits; True where an older version wrote none."""
        return self.checksum is None or self.checksum == self._digest()

    def _digest(self) -> str:
        return hashlib.sha256(_text(self.model_copy(update={"checksum": None}))).hexdigest()

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read `manifest.json`; IntegrityError names the first field that is wrong, never its value."""
        hint = "a newer hlsdl may be able to read it; `--force` starts over"
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise IntegrityError(f"`manifest.json` cannot be read: `{place}`: {first['msg']}", hint=hint) from None
        if "schema_name" not in manifest.model_fields_set:
            raise IntegrityError("`manifest.json` cannot be read: `schema` is missing", hint=hint)
        return manifest


def _text(manifest: Manifest) -> bytes:
    return manifest.model_dump_json(indent=2, by_alias=True).encode() + b"\n"


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
    counts = count_segments(entries)
    for stream in manifest.streams:
        if stream.playlist not in sizes:
            problems.append(f"`{stream.playlist}` is missing")
        if not stream.complete:
            problems.append(f"stream `{stream.id}` is not complete")
        elif counts.get(stream.id, 0) != stream.segments:
            problems.append(f"stream `{stream.id}` has {counts.get(stream.id, 0)} of {stream.segments} segments")
    return tuple(problems)


def count_segments(entries: Mapping[str, Entry]) -> dict[str, int]:
    """How many media segments are stored, by stream folder."""
    counts: dict[str, int] = {}
    for path in entries:
        if is_segment(path):
            folder = split_path(path)[0]
            counts[folder] = counts.get(folder, 0) + 1
    return counts
