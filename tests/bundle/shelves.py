"""Builders for the tests of the bundle room: paths, bodies, manifests, and bundles in a few lines."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hlsdl.bundle.journal import Entry, replay
from hlsdl.bundle.manifest import Manifest, StoredDocument, StoredKey, StoredStream
from hlsdl.bundle.writing import BundleWriter

VIDEO = "0-" + "A" * 32 + "-800000"
AUDIO = "1-" + "B" * 32 + "-0"
SOURCE = "https://media.example/film/master.m3u8?token=secret-token"


def segment_path(number: int, stream: str = VIDEO) -> str:
    return f"{stream}/{number:09d}.m4s"


def body(number: int, size: int = 2000) -> bytes:
    """Bytes that belong to one segment number and no other."""
    return hashlib.sha256(str(number).encode()).digest() * (size // 32) + bytes(size % 32)


def entry_for(path: str, data: bytes) -> Entry:
    return Entry(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def stream(segments: int, *, complete: bool = True, stream_id: str = VIDEO, protected: bool = False) -> StoredStream:
    return StoredStream(
        id=stream_id,
        kind="video",
        playlist=f"{stream_id}/index.m3u8",
        source_url="https://media.example/film/v.m3u8?token=secret-token",
        final_url="https://media.example/film/v.m3u8?token=secret-token",
        bandwidth=800_000,
        resolution=(1280, 720),
        frame_rate=25.0,
        codecs=("avc1.64001f",),
        video_range="SDR",
        encryption="AES-128",
        segments=segments,
        bytes=segments * 2000,
        duration=segments * 4.0,
        complete=complete,
        protected=protected,
    )


def manifest(*streams: StoredStream, **fields: Any) -> Manifest:
    values: dict[str, Any] = {
        "title": "A film",
        "source_url": SOURCE,
        "final_url": SOURCE,
        "choices": {"audio": ["default"], "min_bitrate": None},
        "streams": streams,
        **fields,
    }
    return Manifest(**values)


def fill(writer: BundleWriter, numbers: range, stream_id: str = VIDEO) -> None:
    for number in numbers:
        writer.put(segment_path(number, stream_id), body(number))


def write_derived(writer: BundleWriter, stream_id: str = VIDEO) -> None:
    writer.write_text_file("index.m3u8", b"#EXTM3U\n")
    writer.write_text_file("root.xml", b"<MoviePackage/>\n")
    writer.write_text_file("boot.xml", b"<HLSMoviePackage/>\n")
    writer.write_text_file(f"{stream_id}/index.m3u8", b"#EXTM3U\n")
    writer.write_text_file(f"{stream_id}/StreamInfoBoot.xml", b"<StreamInfo/>\n")


def sealed(path: Path, segments: int = 3, **fields: Any) -> Path:
    """A whole bundle at `path` with one stream, one key and the master playlist."""
    with BundleWriter.open(path) as writer:
        draft = manifest(
            stream(segments),
            documents=(StoredDocument(path="Data/master.m3u8", url=SOURCE, final_url=SOURCE, category="master"),),
            keys=(StoredKey(path="keys/K.key", url="https://keys.example/k?id=1"),),
            **fields,
        )
        writer.save_manifest(draft)
        writer.put("Data/master.m3u8", b"#EXTM3U\n#EXT-X-VERSION:7\n")
        writer.put("keys/K.key", bytes(16))
        fill(writer, range(segments))
        write_derived(writer)
        writer.seal(draft)
    return path


def tree(path: Path) -> dict[str, bytes]:
    """Every file below `path` with its content."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def require_true(path: Path) -> dict[str, Entry]:
    """The bundle's promise: each entry's file is there with the right bytes, no segment lacks an entry, no temporary."""
    entries = replay((path / "journal.jsonl").read_bytes()).entries if (path / "journal.jsonl").exists() else {}
    for entry in entries.values():
        assert entry_for(entry.path, (path / entry.path).read_bytes()).sha256 == entry.sha256, entry.path
    names = [str(file.relative_to(path)) for file in path.rglob("*")]
    assert [name for name in names if name.endswith(".part")] == []
    assert {name for name in names if name.endswith(".m4s")} == {name for name in entries if name.endswith(".m4s")}
    return entries
