"""The index of bundles: it follows the disk, and keeps what only it knows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle.shelves import SOURCE, fill, manifest, sealed, stream

from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import UsageError
from hlsdl.library.bundles import DAMAGED, BundleIndex
from hlsdl.library.retention import Priority


@pytest.fixture
def index(tmp_path: Path) -> Iterator[BundleIndex]:
    with BundleIndex.open(tmp_path / "data" / "library.sqlite") as opened:
        yield opened


def size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_a_recorded_bundle_is_known_with_what_it_is(index: BundleIndex, tmp_path: Path) -> None:
    """Title, source, state and all its bytes; no policy yet."""
    path = sealed(tmp_path / "A.movpkg")
    index.record(path, now=5.0)
    [known] = index.all()
    assert (known.path, known.title, known.source, known.state) == (path, "A film", SOURCE, "complete")
    assert (known.bytes, known.added, known.last_used) == (size_of(path), 5.0, 5.0)
    assert (known.priority, known.expires) == (None, None)
    assert index.get(path) == known


def test_recording_again_keeps_the_policy_and_when_it_was_added(index: BundleIndex, tmp_path: Path) -> None:
    """A later run of `fetch` on the same bundle is a use, and nothing more."""
    path = sealed(tmp_path / "A.movpkg")
    index.record(path, now=5.0)
    index.set_policy(path, priority=Priority.IMPORTANT, expires=99.0)
    index.record(path, now=7.0, used=7.0)
    index.record(path, now=9.0)
    known = index.get(path)
    assert known is not None
    assert (known.added, known.last_used, known.priority, known.expires) == (5.0, 7.0, Priority.IMPORTANT, 99.0)


def test_a_bundle_has_one_row_however_it_is_named(
    index: BundleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths and links to folders lead to the same bundle."""
    (tmp_path / "films").mkdir()
    path = sealed(tmp_path / "films" / "A.movpkg")
    (tmp_path / "link").symlink_to(tmp_path / "films")
    monkeypatch.chdir(tmp_path)
    for name in (path, Path("films/A.movpkg"), Path("link/A.movpkg"), Path("films/../films/A.movpkg")):
        index.record(name, now=1.0)
    assert [one.path for one in index.all()] == [path]


def test_only_a_known_bundle_is_used_or_kept(index: BundleIndex, tmp_path: Path) -> None:
    """Playing a bundle from a stick does not make it one that `gc` may choose."""
    path = sealed(tmp_path / "A.movpkg")
    assert index.use(path, now=3.0) is False
    with pytest.raises(UsageError, match="does not know"):
        index.set_policy(path, priority=Priority.DEFAULT, expires=None)
    assert index.all() == ()
    index.record(path, now=1.0)
    assert index.use(path, now=3.0) is True
    assert index.all()[0].last_used == 3.0


def test_what_is_no_bundle_is_not_recorded(index: BundleIndex, tmp_path: Path) -> None:
    """UsageError, and no row."""
    with pytest.raises(UsageError):
        index.record(tmp_path, now=1.0)
    assert index.all() == ()


def test_a_bundle_that_is_gone_is_dropped(index: BundleIndex, tmp_path: Path) -> None:
    """Deleted, moved, or another folder in its place."""
    paths = [sealed(tmp_path / f"{name}.movpkg") for name in "ABC"]
    for path in paths:
        index.record(path, now=1.0)
    shutil.rmtree(paths[0])
    (paths[1] / "manifest.json").unlink()
    index.refresh([], now=2.0)
    assert [one.path for one in index.all()] == [paths[2]]


def test_a_bundle_that_changed_is_measured_again(index: BundleIndex, tmp_path: Path) -> None:
    """One that grew has more bytes, and its new state."""
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        writer.save_manifest(manifest(stream(3)))
        index.record(path, now=1.0)
        fill(writer, range(3))
    before = index.all()[0]
    shutil.rmtree(path)
    sealed(path)
    index.refresh([], now=2.0)
    after = index.all()[0]
    assert (before.state, after.state) == ("partial", "complete")
    assert before.bytes < after.bytes == size_of(path)
    assert (after.added, after.last_used) == (1.0, 1.0)


def test_a_damaged_bundle_stays_known(index: BundleIndex, tmp_path: Path) -> None:
    """It still takes room, and its policy is not lost by an accident; when it is mended it is as before."""
    path = sealed(tmp_path / "A.movpkg")
    index.record(path, now=1.0)
    index.set_policy(path, priority=Priority.IMPORTANT, expires=None)
    whole = (path / "manifest.json").read_bytes()
    (path / "manifest.json").write_bytes(whole[:100])
    index.refresh([], now=2.0)
    assert (index.all()[0].state, index.all()[0].priority) == (DAMAGED, Priority.IMPORTANT)
    (path / "manifest.json").write_bytes(whole)
    index.refresh([], now=3.0)
    assert index.all()[0].state == "complete"


def test_bundles_in_a_folder_are_taken_in(index: BundleIndex, tmp_path: Path) -> None:
    """Those that can be read, directly in it; used last when they changed last; the others are passed over."""
    path = sealed(tmp_path / "A.movpkg")
    os.utime(path / "manifest.json", (50.0, 50.0))
    (tmp_path / "deeper").mkdir()
    sealed(tmp_path / "deeper" / "B.movpkg")
    (tmp_path / "C.movpkg").mkdir()
    broken = tmp_path / "D.movpkg"
    broken.mkdir()
    (broken / "manifest.json").write_text("{}")
    for _ in range(2):
        index.refresh([tmp_path, tmp_path / "nowhere"], now=100.0)
        [known] = index.all()
        assert (known.path, known.added, known.last_used) == (path, 100.0, 50.0)


def test_a_name_that_is_no_text_is_kept(index: BundleIndex, tmp_path: Path) -> None:
    """Names are bytes on Linux; the path leads to the bundle all the same."""
    name = os.fsdecode(b"caf\xe9.movpkg")
    try:
        path = sealed(tmp_path / name)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    index.record(path, now=1.0)
    index.refresh([tmp_path], now=2.0)
    assert [one.path for one in index.all()] == [path]
    assert index.get(path) is not None


def test_forgetting_leaves_the_bundle(index: BundleIndex, tmp_path: Path) -> None:
    """The index is not the bundle."""
    path = sealed(tmp_path / "A.movpkg")
    index.record(path, now=1.0)
    index.forget(path)
    index.forget(path)
    assert index.all() == ()
    assert path.is_dir()
