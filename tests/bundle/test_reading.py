"""Looking into a bundle that anyone may have made."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hlsdl.bundle.journal import encode_line
from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.reading import Bundle, read_manifest
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import IntegrityError, PolicyError, UsageError

from .shelves import AUDIO, SOURCE, VIDEO, body, fill, manifest, sealed, segment_path, stream, tree, write_derived


def test_a_sealed_bundle_is_described(tmp_path: Path) -> None:
    """Title, state, sizes and the JSON document say what was stored."""
    path = sealed(tmp_path / "A.movpkg")
    bundle = Bundle.open(path)
    assert (bundle.title, bundle.state, bundle.duration, bundle.path) == ("A film", "complete", 12.0, path)
    assert (bundle.segments, bundle.bytes) == (3, 6000)
    assert bundle.is_playable_offline
    document = bundle.document()
    assert list(document) == [
        "schema", "path", "title", "source", "state", "playable_offline", "created", "duration", "bytes", "segments",
        "streams",
    ]  # fmt: skip
    assert document["schema"] == "hlsdl.bundle/1"
    assert document["source"] == SOURCE
    assert document["playable_offline"] is True
    (described,) = document["streams"]
    assert list(described) == [
        "id", "kind", "playlist", "source", "bandwidth", "average_bandwidth", "resolution", "frame_rate", "codecs",
        "video_range", "language", "name", "group", "channels", "default", "forced", "characteristics", "encryption",
        "segments", "gaps", "bytes", "duration", "complete",
    ]  # fmt: skip
    assert described["resolution"] == [1280, 720]
    assert (described["segments"], described["bytes"], described["complete"]) == (3, 6000, True)


def test_the_view_of_the_writer_is_that_of_a_reader(tmp_path: Path) -> None:
    """What the one who sealed a bundle knows of it, without reading it back, is what everybody else reads."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        fill(writer, range(3))
        write_derived(writer)
        writer.seal(manifest(stream(3)))
        assert writer.manifest is not None
        view = Bundle.as_written(path, writer.manifest, writer.entries)
    opened = Bundle.open(path)
    assert view.entries == opened.entries
    assert view.document() == opened.document()
    assert view.shortfalls() == opened.shortfalls() == ()
    assert view.manifest == replace(opened.manifest, checksum=None)
    sizes = opened.sizes()
    assert view.seen == {name: sizes[name] for name in sizes if name not in {"manifest.json", "journal.jsonl", "lock"}}
    assert opened.seen == {}


@pytest.mark.parametrize(
    ("path", "size"),
    [
        (f"{VIDEO}/000000000.init.mp4", 700),
        (f"{VIDEO}/000000001.init.mp4", 0),
        (f"{AUDIO}/{0:09d}.m4s", 900),
        ("Data/notes.txt", 50),
    ],
)
def test_the_view_of_the_writer_counts_what_the_manifest_does_not_know(tmp_path: Path, path: str, size: int) -> None:
    """Media that no stream claims is counted as everybody else does, wherever it lies."""
    place = tmp_path / "A.movpkg"
    with BundleWriter.open(place) as writer:
        fill(writer, range(3))
        writer.put(path, bytes(size))
        write_derived(writer)
        writer.seal(manifest(stream(3)))
        assert writer.manifest is not None
        view = Bundle.as_written(place, writer.manifest, writer.entries)
    opened = Bundle.open(place)
    assert (view.segments, view.bytes) == (opened.segments, opened.bytes)
    assert view.document() == opened.document()


def test_a_growing_bundle_counts_what_is_there(tmp_path: Path) -> None:
    """While a writer is at work, a reader sees the stored part, and it is not playable offline."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        writer.save_manifest(manifest(stream(4, complete=False)))
        fill(writer, range(2))
        bundle = Bundle.open(path)
        assert (bundle.state, bundle.segments, bundle.bytes) == ("partial", 2, 4000)
        assert not bundle.is_playable_offline
        assert bundle.document()["streams"][0]["segments"] == 2


@pytest.mark.parametrize(
    "name", [segment_path(1), "keys/K.key", "Data/master.m3u8", "index.m3u8", f"{VIDEO}/index.m3u8", "boot.xml"]
)
def test_a_bundle_that_lacks_anything_is_not_playable(tmp_path: Path, name: str) -> None:
    """A missing or shortened segment, key, playlist or package file is noticed and named."""
    path = sealed(tmp_path / "A.movpkg")
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[:-1])
    bundle = Bundle.open(path)
    assert not bundle.is_playable_offline
    assert any(name in problem for problem in bundle.shortfalls())
    (path / name).unlink()
    assert not bundle.is_playable_offline
    (path / name).write_bytes(data)
    assert bundle.is_playable_offline


def test_a_changed_journal_breaks_the_seal(tmp_path: Path) -> None:
    """The sealed beginning of the journal must be what it was; lines after it may come."""
    path = sealed(tmp_path / "A.movpkg")
    journal = (path / "journal.jsonl").read_bytes()
    (path / "journal.jsonl").write_bytes(journal + encode_line({"t": "future"}))
    assert Bundle.open(path).is_playable_offline
    (path / "journal.jsonl").write_bytes(b"\n" + journal)
    assert not Bundle.open(path).is_seal_intact
    assert not Bundle.open(path).is_playable_offline
    (path / "journal.jsonl").unlink()
    assert not Bundle.open(path).is_playable_offline


def test_ciphertext_for_someone_else_is_not_playable(tmp_path: Path) -> None:
    """A protected stream is whole, and still cannot be played here."""
    path = sealed(tmp_path / "A.movpkg")
    saved = read_manifest(path)
    streams = (replace(saved.streams[0], protected=True),)
    (path / "manifest.json").write_bytes(replace(saved, streams=streams).encode())
    bundle = Bundle.open(path)
    assert bundle.shortfalls() == ()
    assert not bundle.is_playable_offline


def test_what_is_no_bundle_is_a_usage_error(tmp_path: Path) -> None:
    """Nothing there, a file, an empty folder, a foreign package: exit code 2, and nothing is made."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "boot.xml").write_bytes(b"<x/>")
    before = tree(tmp_path)
    for name in ("absent", "file", "empty", "foreign"):
        for read in (Bundle.open, read_manifest):
            with pytest.raises(UsageError) as caught:
                read(tmp_path / name)
            assert caught.value.code == 2
    assert tree(tmp_path) == before


def test_a_broken_or_huge_manifest_is_an_integrity_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that is damaged, or larger than it may be, is exit code 8."""
    from hlsdl.bundle import reading

    path = sealed(tmp_path / "A.movpkg")
    monkeypatch.setattr(reading, "LARGEST_MANIFEST", 100)
    with pytest.raises(IntegrityError, match="more than the 100"):
        Bundle.open(path)
    monkeypatch.undo()
    (path / "manifest.json").write_bytes(b'{"schema":')
    with pytest.raises(IntegrityError) as caught:
        Bundle.open(path)
    assert caught.value.code == 8


def test_links_and_special_files_are_not_read(tmp_path: Path) -> None:
    """A manifest, a file or a folder that is a link is refused, and a pipe does not make the reader wait."""
    path = sealed(tmp_path / "A.movpkg")
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 2000)
    bundle = Bundle.open(path)
    (path / segment_path(1)).unlink()
    (path / segment_path(1)).symlink_to(secret)
    with pytest.raises(PolicyError):
        bundle.read(segment_path(1))
    assert not bundle.is_playable_offline
    (path / segment_path(1)).unlink()
    os.mkfifo(path / segment_path(1))
    with pytest.raises(PolicyError):
        bundle.read(segment_path(1))
    shutil.rmtree(path / VIDEO)
    (path / VIDEO).symlink_to(tmp_path)
    with pytest.raises(PolicyError):
        bundle.read(f"{VIDEO}/secret")
    (path / "manifest.json").rename(tmp_path / "manifest.json")
    (path / "manifest.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(PolicyError):
        Bundle.open(path)


def test_a_link_to_a_bundle_may_be_read(tmp_path: Path) -> None:
    """The path itself is the user's own, and may be a link."""
    sealed(tmp_path / "A.movpkg")
    (tmp_path / "link").symlink_to("A.movpkg")
    assert Bundle.open(tmp_path / "link").is_playable_offline


def test_files_are_read_by_safe_path_and_within_bounds(tmp_path: Path) -> None:
    """A stored file is read whole; a missing, oversized or unsafe one is refused, each with its own error."""
    bundle = Bundle.open(sealed(tmp_path / "A.movpkg"))
    assert bundle.read(segment_path(2)) == body(2)
    with bundle.open_file(segment_path(2)) as file:
        file.seek(100)
        assert file.read(10) == body(2)[100:110]
    with pytest.raises(IntegrityError, match="more than 10"):
        bundle.read(segment_path(2), limit=10)
    with pytest.raises(IntegrityError, match="missing"):
        bundle.read("keys/absent.key")
    for unsafe in ("../secret", "/etc/passwd", "a\\b", ""):
        with pytest.raises(PolicyError):
            bundle.read(unsafe)


def test_every_file_is_counted_and_links_are_not(tmp_path: Path) -> None:
    """`sizes` lists regular files of the bundle and its child bundles by relative path."""
    path = sealed(tmp_path / "A.movpkg")
    sealed(path / "InterstitialAssets" / "x.movpkg")
    (path / "link").symlink_to("/etc/passwd")
    (path / "loop").symlink_to(path)
    sizes = Bundle.open(path).sizes()
    assert sizes == {name: len(data) for name, data in tree(path).items() if name != "link" and "loop" not in name}
    assert f"InterstitialAssets/x.movpkg/{segment_path(0)}" in sizes


def test_reading_changes_nothing(tmp_path: Path) -> None:
    """Opening, describing and checking a bundle leaves every byte and every name as it was."""
    path = sealed(tmp_path / "A.movpkg")
    before = tree(path)
    Bundle.open(path).document()
    assert tree(path) == before
    assert read_manifest(path) == Manifest.decode(before["manifest.json"])


def test_a_bundle_can_go_to_another_process_and_says_what_it_is(tmp_path: Path) -> None:
    bundle = Bundle.open(sealed(tmp_path / "A.movpkg"))
    read = pickle.loads(pickle.dumps(bundle))
    assert (read.path, read.entries, repr(read)) == (bundle.path, bundle.entries, f"Bundle('{bundle.path}', complete)")
