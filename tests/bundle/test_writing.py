"""One bundle open for one writer: made, continued, sealed, started over, and refused where it must be."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hlsdl.bundle import durable, ledger
from hlsdl.bundle.journal import entry_line, replay
from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.page_cache import page_cache_of
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.recovery import Cause
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, IntegrityError, LockedError, PolicyError, UsageError

from .shelves import (
    AUDIO,
    VIDEO,
    body,
    fill,
    manifest,
    require_true,
    sealed,
    segment_path,
    stream,
    tree,
    write_derived,
)


def test_a_new_bundle_is_private_and_holds_a_lock(tmp_path: Path) -> None:
    """The folder is made with its parents, 0700; nothing but the lock is in it."""
    path = tmp_path / "deep" / "A.movpkg"
    with BundleWriter.open(path) as writer:
        assert writer.manifest is None
        assert writer.recovery.cause is Cause.NEW
        assert path.stat().st_mode & 0o777 == 0o700
        assert os.listdir(path) == ["lock"]


def test_what_was_stored_is_there_again(tmp_path: Path) -> None:
    """A second writer finds the manifest and the entries, and stores the rest."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        writer.save_manifest(manifest(stream(4, complete=False)))
        fill(writer, range(2))
    with BundleWriter.open(path) as writer:
        assert writer.manifest is not None
        assert writer.manifest.title == "A film"
        assert [writer.is_stored(segment_path(number)) for number in range(3)] == [True, True, False]
        assert writer.read(segment_path(1)) == body(1)
        fill(writer, range(2, 4))
    assert len(require_true(path)) == 4


def test_what_a_reader_knew_is_believed_only_while_it_is_true(tmp_path: Path) -> None:
    """The same journal is not gone through twice; one that has changed since the reader looked is."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        writer.save_manifest(manifest(stream(4, complete=False)))
        fill(writer, range(2))
    before = Bundle.open(path).journal
    assert replay((path / "journal.jsonl").read_bytes(), before) is before
    with BundleWriter.open(path, known=before) as writer:
        assert writer.recovery.cause is Cause.CLEAN
        assert len(writer.entries) == 2
        fill(writer, range(2, 3))
    assert len(before.entries) == 2
    with BundleWriter.open(path, known=before) as writer:
        assert len(writer.entries) == 3
    with BundleWriter.open(path, force=True, known=before) as writer:
        assert len(writer.entries) == 0


def test_a_sealed_bundle_says_so_and_holds_its_hashes(tmp_path: Path) -> None:
    """The manifest is complete, names every derived file, and vouches for the compacted journal."""
    path = sealed(tmp_path / "A.movpkg")
    saved = Manifest.decode((path / "manifest.json").read_bytes())
    journal = (path / "journal.jsonl").read_bytes()
    assert saved.state == "complete"
    assert (saved.journal_bytes, saved.journal_sha256) == (len(journal), hashlib.sha256(journal).hexdigest())
    assert {file.path for file in saved.files} == {
        "index.m3u8", "root.xml", "boot.xml", f"{VIDEO}/index.m3u8", f"{VIDEO}/StreamInfoBoot.xml",
    }  # fmt: skip
    for file in saved.files:
        assert hashlib.sha256((path / file.path).read_bytes()).hexdigest() == file.sha256
    assert replay(journal).is_clean
    assert str(tmp_path) not in "".join(map(str, tree(path).values()))


def test_the_manifest_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment the sealed manifest is written, everything else has been written."""
    order: list[str] = []
    replace = durable.replace_durably

    def spy(folder: durable.Folder, name: str, data: bytes) -> None:
        order.append(name)
        replace(folder, name, data)

    monkeypatch.setattr(durable, "replace_durably", spy)
    monkeypatch.setattr(ledger, "replace_durably", spy)
    sealed(tmp_path / "A.movpkg")
    assert order[0] == "manifest.json"
    assert order[-2:] == ["journal.jsonl", "manifest.json"]


def test_a_bundle_that_is_not_whole_is_not_sealed(tmp_path: Path) -> None:
    """A missing segment, a truncated one, or a missing playlist stops the seal with an IntegrityError."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        fill(writer, range(2))
        write_derived(writer)
        with pytest.raises(IntegrityError, match="2 of 3"):
            writer.seal(manifest(stream(3)))
        (path / segment_path(1)).write_bytes(b"short")
        with pytest.raises(IntegrityError, match="5 bytes instead of 2000"):
            writer.seal(manifest(stream(2)))
    assert not (path / "manifest.json").exists()


def test_a_derived_file_that_was_changed_behind_our_back_is_not_sealed_over(tmp_path: Path) -> None:
    """Its hash is that of what was written: another size stops the seal, and other bytes are found by `verify`."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        fill(writer, range(3))
        write_derived(writer)
        kept = (path / "index.m3u8").read_bytes()
        (path / "index.m3u8").write_bytes(kept + b"#")
        with pytest.raises(IntegrityError, match=r"index\.m3u8"):
            writer.seal(manifest(stream(3)))
        (path / "index.m3u8").write_bytes(kept[::-1])
        writer.seal(manifest(stream(3)))
        assert writer.manifest is not None
        hashes = {file.path: file.sha256 for file in writer.manifest.files}
    assert hashes["index.m3u8"] == hashlib.sha256(kept).hexdigest()


def test_a_writer_knows_whether_its_bundle_was_moved(tmp_path: Path) -> None:
    """A folder that was renamed, or replaced by another, is not at its place; the bundle stays whole where it is."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        fill(writer, range(2))
        assert writer.is_at_its_place
        path.rename(tmp_path / "B.movpkg")
        assert not writer.is_at_its_place
        path.mkdir()
        assert not writer.is_at_its_place
    assert len(require_true(tmp_path / "B.movpkg")) == 2


def test_saving_a_manifest_never_says_complete(tmp_path: Path) -> None:
    """Only `seal` completes: adding to a sealed bundle makes it partial until it is sealed again."""
    path = sealed(tmp_path / "A.movpkg")
    with BundleWriter.open(path) as writer:
        assert writer.manifest is not None
        first = writer.manifest
        writer.save_manifest(first)
        saved = Manifest.decode((path / "manifest.json").read_bytes())
        assert (saved.state, saved.journal_sha256, saved.id) == ("partial", None, first.id)
        fill(writer, range(2), AUDIO)
        writer.write_text_file(f"{AUDIO}/index.m3u8", b"#EXTM3U\n")
        writer.seal(replace(first, streams=(*first.streams, stream(2, stream_id=AUDIO))))
    assert Manifest.decode((path / "manifest.json").read_bytes()).state == "complete"
    require_true(path)


def test_looking_at_a_sealed_bundle_changes_nothing(tmp_path: Path) -> None:
    """Opening and closing a complete bundle leaves every byte as it is."""
    path = sealed(tmp_path / "A.movpkg")
    before = tree(path)
    with BundleWriter.open(path) as writer:
        assert writer.recovery.cause is Cause.CLEAN
    assert tree(path) == before


def test_the_second_writer_is_told(tmp_path: Path) -> None:
    """Another writer, in this process or another, gets LockedError and changes nothing."""
    path = tmp_path / "A.movpkg"
    program = "import sys, pathlib; from hlsdl.bundle.writing import BundleWriter as W; from hlsdl.errors import LockedError\n"
    program += "try: W.open(pathlib.Path(sys.argv[1]), force=True)\nexcept LockedError as e: sys.exit(e.code)"
    with BundleWriter.open(path) as writer:
        fill(writer, range(2))
        with pytest.raises(LockedError):
            BundleWriter.open(path)
        assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 11
        assert writer.is_stored(segment_path(1))
    with BundleWriter.open(path) as writer:
        assert len(writer.entries) == 2


def test_a_path_that_is_something_else_is_refused(tmp_path: Path) -> None:
    """A file, a folder with other things in it, or a foreign package is not written into."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "photo.jpg").write_bytes(b"x")
    (tmp_path / "foreign.movpkg").mkdir()
    (tmp_path / "foreign.movpkg" / "boot.xml").write_bytes(b"x")
    before = tree(tmp_path)
    for name, words in (("file", "no folder"), ("folder", "other files"), ("foreign.movpkg", "other files")):
        for force in (False, True):
            with pytest.raises(UsageError, match=words):
                BundleWriter.open(tmp_path / name, force=force)
    assert tree(tmp_path) == before


def test_a_linked_bundle_folder_is_not_written_through(tmp_path: Path) -> None:
    """A link planted at the bundle's own path is refused."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "A.movpkg").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PolicyError):
        BundleWriter.open(tmp_path / "A.movpkg")
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("path", ["../x", "/x", "manifest.json", "lock", "journal.jsonl", "a\\b", ".x", "x\x1b[31m"])
def test_unsafe_paths_never_reach_the_disk(tmp_path: Path, path: str) -> None:
    """Every way of writing refuses an unsafe or reserved path, without printing it raw."""
    with BundleWriter.open(tmp_path / "A.movpkg") as writer:
        for act in (
            lambda: writer.put(path, b""),
            lambda: writer.sink(path, limit=1),
            lambda: writer.write_text_file(path, b""),
            lambda: writer.forget(path),
        ):
            with pytest.raises(PolicyError) as caught:
                act()
            assert "\x1b" not in caught.value.message
    assert os.listdir(tmp_path) == ["A.movpkg"]


def test_links_planted_in_a_bundle_are_not_followed(tmp_path: Path) -> None:
    """At a final name a link is replaced; at a folder, the lock or the journal it stops the work."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"precious")
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        (path / VIDEO).mkdir()
        (path / segment_path(1)).symlink_to(outside / "victim")
        (path / "index.m3u8").symlink_to(outside / "victim")
        (path / "manifest.json").symlink_to(outside / "victim")
        writer.put(segment_path(1), body(1))
        writer.write_text_file("index.m3u8", b"#EXTM3U\n")
        writer.save_manifest(manifest())
        (path / AUDIO).symlink_to(outside)
        with pytest.raises(PolicyError):
            writer.put(segment_path(1, AUDIO), body(1))
    for name in ("lock", "journal.jsonl"):
        saved = (path / name).read_bytes()
        (path / name).unlink()
        (path / name).symlink_to(outside / "victim")
        with pytest.raises(PolicyError):
            BundleWriter.open(path)
        (path / name).unlink()
        (path / name).write_bytes(saved)
    assert tree(outside) == {"victim": b"precious"}


def test_forgetting_removes_file_entry_and_empty_folder(tmp_path: Path) -> None:
    """After `forget` the object is gone from disk and journal; forgetting it twice is fine."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        fill(writer, range(2))
        for _ in range(2):
            writer.forget(segment_path(0))
        assert not writer.is_stored(segment_path(0))
        writer.put(segment_path(0), b"repaired")
        assert writer.read(segment_path(0)) == b"repaired"
        for number in range(2):
            writer.forget(segment_path(number))
        assert not (path / VIDEO).exists()
    assert require_true(path) == {}


def test_starting_over_removes_ours_and_leaves_theirs(tmp_path: Path) -> None:
    """`force` leaves the lock and foreign files, nothing else; an unreadable manifest is no obstacle."""
    path = sealed(tmp_path / "A.movpkg")
    foreign = {"notes.txt": b"mine", f"{VIDEO}/notes.txt": b"mine"}
    for name, data in foreign.items():
        (path / name).write_bytes(data)
    (path / VIDEO / ".000000009.m4s.0badcafe.part").write_bytes(b"left over")
    (path / "manifest.json").write_bytes(b"not json")
    with pytest.raises(IntegrityError):
        BundleWriter.open(path)
    with BundleWriter.open(path, force=True) as writer:
        assert writer.manifest is None
        assert dict(writer.entries) == {}
        assert {name: data for name, data in tree(path).items() if data} == foreign


def test_a_reason_to_pause_is_kept(tmp_path: Path) -> None:
    """`close` with a reason writes it down before the clean end."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        fill(writer, range(1))
        writer.close(reason="the disk is full")
        writer.close()
    lines = (path / "journal.jsonl").read_bytes().splitlines()
    assert json.loads(lines[-2][9:]) == {"t": "pause", "reason": "the disk is full"}
    assert replay((path / "journal.jsonl").read_bytes()).is_clean


def test_an_error_in_the_block_is_not_hidden_by_the_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When both fail, the first error is the one that is told; the lock is free afterwards."""

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "broken")

    def fail_twice() -> None:
        with BundleWriter.open(tmp_path / "A.movpkg") as writer:
            fill(writer, range(1))
            monkeypatch.setattr(ledger, "flush", broken)
            raise UsageError("the story")

    with pytest.raises(UsageError, match="the story"):
        fail_twice()
    monkeypatch.undo()
    with BundleWriter.open(tmp_path / "A.movpkg") as writer:
        fill(writer, range(1))
        monkeypatch.setattr(ledger, "flush", broken)
        with pytest.raises(DiskError, match="I/O error"):
            writer.close()
    monkeypatch.undo()
    BundleWriter.open(tmp_path / "A.movpkg").close()


def test_resuming_ten_thousand_objects(tmp_path: Path) -> None:
    """Ten thousand finished objects are found again without reading one; the time is printed."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        first = writer.put(segment_path(0), body(0))
        writer.close(clean=False)
    # One file with ten thousand names: making as many files takes longer than everything else here.
    with (path / "journal.jsonl").open("ab") as journal:
        for number in range(1, 10_000):
            os.link(path / segment_path(0), path / segment_path(number))
            journal.write(entry_line(replace(first, path=segment_path(number))))
    started = time.perf_counter()
    with BundleWriter.open(path) as writer:
        print(f"\nresume of 10,000 objects: {time.perf_counter() - started:.3f} s, {writer.recovery.cause}")
        assert writer.recovery.kept == 10_000
        if page_cache_of(str(path)) is not None:
            assert writer.recovery.hashed == 0
        writer.close(clean=False)


def test_a_whole_file_is_stored_with_its_size_and_its_hash_or_not_at_all(tmp_path: Path) -> None:
    with BundleWriter.open(tmp_path / "A.movpkg") as writer:
        (tmp_path / "file").write_bytes(data := bytes(3 << 20))
        for size, proof in ((len(data) - 1, None), (len(data) + 1, None), (len(data), "0" * 64)):
            with (tmp_path / "file").open("rb") as file, pytest.raises(IntegrityError):
                writer.put_file(segment_path(0), file, size=size, sha256=proof)
            assert not writer.is_stored(segment_path(0))
        with (tmp_path / "file").open("rb") as file:
            entry = writer.put_file(segment_path(0), file, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        assert (entry.size, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [one.name for one in (tmp_path / "A.movpkg").rglob("*.part")] == []
