"""Deleting a bundle: whole or not at all, nothing else, and never under somebody's hands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundle.shelves import VIDEO, manifest, sealed
from hlsdl.bundle import contents, removal
from hlsdl.bundle.durable import Folder
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.removal import remove_bundle, size_on_disk, sweep, who_uses
from hlsdl.bundle.watching import Watch
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, LimitError, LockedError, UsageError
from hlsdl.verification import inventory

posix = pytest.mark.skipif(os.name != "posix", reason="locks of folders are POSIX")


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_bundle_is_deleted_with_all_that_is_in_it(tmp_path: Path) -> None:
    """It says how many bytes that gave back; neighbours stay."""
    gone, stays = sealed(tmp_path / "A.movpkg"), sealed(tmp_path / "B.movpkg")
    size = sum(file.stat().st_size for file in gone.rglob("*") if file.is_file())
    assert size_on_disk(gone) == size
    assert remove_bundle(gone) == size
    assert names(tmp_path) == ["B.movpkg"]
    assert Bundle.open(stays).is_playable_offline


def test_what_was_looked_at_is_not_asked_for_its_size_again(tmp_path: Path) -> None:
    """The sum is that of all files there are now: strangers count, and what is gone does not."""
    path = sealed(tmp_path / "A.movpkg", segments=5)
    seen = {name: size for name, size in Bundle.open(path).sizes().items() if name.endswith(".m4s")}
    (path / "notes.txt").write_bytes(bytes(77))
    (path / "keys" / "more.key").write_bytes(bytes(5))
    (path / VIDEO / "000000004.m4s").unlink()
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert size_on_disk(path, seen) == size_on_disk(path) == size
    (path / VIDEO / "000000003.m4s").write_bytes(bytes(1))
    assert size_on_disk(path, seen) == size


def test_an_unfinished_bundle_is_deleted_too(tmp_path: Path) -> None:
    """Nobody writes it any more."""
    with BundleWriter.open(tmp_path / "A.movpkg") as writer:
        writer.save_manifest(manifest())
    remove_bundle(tmp_path / "A.movpkg")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "content", [None, b"{}", b'{"schema": "something/1", "title": "x"}', b"\xff\x00", b'{"manifest_version": 3}']
)
def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path, content: bytes | None) -> None:
    """A folder without a manifest, and one with the manifest of something else: exit code 2, nothing changed."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    if content is not None:
        (folder / "manifest.json").write_bytes(content)
    before = names(folder)
    with pytest.raises(UsageError):
        remove_bundle(folder)
    assert names(folder) == before


def test_a_file_and_nothing_are_refused(tmp_path: Path) -> None:
    """Exit code 2."""
    (tmp_path / "A.movpkg").write_text("a file")
    for name in ("A.movpkg", "B.movpkg"):
        with pytest.raises(UsageError):
            remove_bundle(tmp_path / name)
    assert names(tmp_path) == ["A.movpkg"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither the link nor what it leads to goes; links inside a bundle go, what they lead to stays."""
    bundle = sealed(tmp_path / "A.movpkg")
    (tmp_path / "link.movpkg").symlink_to(bundle)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="link"):
        remove_bundle(tmp_path / "link.movpkg")
    assert Bundle.open(bundle).is_playable_offline
    (bundle / "elsewhere").symlink_to(tmp_path / "outside")
    remove_bundle(bundle)
    assert (tmp_path / "outside" / "mine").read_text() == "mine"


def test_a_bundle_that_is_written_stays(tmp_path: Path) -> None:
    """LockedError, and it is as it was; afterwards it may go."""
    bundle = sealed(tmp_path / "A.movpkg")
    with BundleWriter.open(bundle):
        assert who_uses(bundle) == "written"
        with pytest.raises(LockedError):
            remove_bundle(bundle)
    assert Bundle.open(bundle).is_playable_offline
    assert who_uses(bundle) is None
    remove_bundle(bundle)


@posix
def test_a_bundle_that_is_played_stays(tmp_path: Path) -> None:
    """However many play it; when the last one has stopped it may go."""
    bundle = sealed(tmp_path / "A.movpkg")
    with Watch.begin(bundle):
        with Watch.begin(bundle):
            assert who_uses(bundle) == "played"
        with pytest.raises(LockedError, match="being played"):
            remove_bundle(bundle)
        assert Bundle.open(bundle).is_playable_offline
    assert who_uses(bundle) is None
    remove_bundle(bundle)


@posix
def test_a_bundle_may_be_written_while_it_is_played(tmp_path: Path) -> None:
    """Watching it grow is the point of building it in place."""
    bundle = sealed(tmp_path / "A.movpkg")
    with Watch.begin(bundle), BundleWriter.open(bundle):
        assert who_uses(bundle) == "written"


@posix
def test_a_player_cannot_begin_with_what_is_being_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is held until the last file is gone, so no player finds half a bundle."""
    bundle = sealed(tmp_path / "A.movpkg")
    seen: list[str] = []
    empty = removal._empty

    def look(trash: Path) -> None:
        with pytest.raises(LockedError, match="being deleted"):
            Watch.begin(trash)
        with pytest.raises(LockedError):
            BundleWriter.open(trash)
        assert sweep(tmp_path) == []
        seen.append(trash.name)
        empty(trash)

    monkeypatch.setattr("hlsdl.bundle.watching.PATIENCE", 0.02)
    monkeypatch.setattr(removal, "_empty", look)
    remove_bundle(bundle)
    assert len(seen) == 1
    assert names(tmp_path) == []


KILLED = """
import shutil, sys
from pathlib import Path
from hlsdl.bundle import removal
real, count = shutil.os.unlink, 0
def unlink(*arguments, **more):
    global count
    real(*arguments, **more)
    count += 1
    if count == int(sys.argv[2]):
        print("here", flush=True)
        sys.stdin.read()
shutil.os.unlink = unlink
removal.remove_bundle(Path(sys.argv[1]))
"""


@posix
@pytest.mark.parametrize("files", [1, 2, 3, 5])
def test_a_killed_removal_leaves_no_half_bundle(tmp_path: Path, files: int) -> None:
    """kill -9 after some files: nothing there is a bundle, nothing has its name, and the next one cleans up."""
    bundle = sealed(tmp_path / "A.movpkg")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(bundle), str(files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.kill()
    process.communicate()
    [trash] = tmp_path.iterdir()
    with pytest.raises(UsageError, match="no bundle"):
        Bundle.open(trash)
    assert not bundle.exists()
    assert len(sweep(tmp_path)) == 1
    assert names(tmp_path) == []


@posix
def test_a_folder_in_it_may_be_as_deep_as_it_likes(tmp_path: Path) -> None:
    """Deeper than Python recurses and paths are long; files, links and folders stand on each of its levels."""
    bundle, stays = sealed(tmp_path / "A.movpkg"), sealed(tmp_path / "B.movpkg")
    here = os.open(bundle, os.O_RDONLY)
    for _ in range(3000):
        for name in ("deep", "empty"):
            os.mkdir(name, dir_fd=here)
        os.close(os.open("file", os.O_CREAT, dir_fd=here))
        os.symlink(stays, "link", dir_fd=here)
        above, here = here, os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(above)
    os.close(here)
    remove_bundle(bundle)
    assert names(tmp_path) == ["B.movpkg"]
    assert Bundle.open(stays).is_playable_offline


@posix
def test_what_stands_where_a_folder_in_it_is_moved_to_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 9, and the rest goes later: the way back up leads elsewhere, where something has the same name."""
    bundle, mine = sealed(tmp_path / "A.movpkg"), tmp_path / "mine"
    (bundle / "outer" / "inner").mkdir(parents=True)
    (bundle / "outer" / "inner" / "last").touch()
    (mine / "inner").mkdir(parents=True)
    unlink = os.unlink

    def moved(name: str, *, dir_fd: int | None = None) -> None:
        unlink(name, dir_fd=dir_fd)
        if name == "last":
            next(tmp_path.glob("*.trash/outer/inner")).rename(mine / "moved")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", moved)
        with pytest.raises(DiskError, match="moves folders about"):
            remove_bundle(bundle)
    assert names(mine) == ["inner", "moved"]
    assert len(sweep(tmp_path)) == 1
    assert (names(tmp_path), names(mine)) == (["mine"], ["inner", "moved"])


@posix
def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time that thousands of folders in one take grows with their square."""
    bundle = sealed(tmp_path / "A.movpkg")
    for number in range(40):
        (bundle / f"{number:02}").mkdir()
        (bundle / f"{number:02}" / "file").touch()
    folders = 1 + sum(one.is_dir() for one in bundle.rglob("*"))
    listed, scandir = [], os.scandir

    def counted(folder: int) -> object:
        listed.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    removal._remove_tree(bundle)
    assert len(listed) <= folders
    assert names(tmp_path) == []


def test_an_interruption_right_after_the_renaming_is_cleaned_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name says that it is trash, though its manifest is still there; the name it had is free."""
    bundle = sealed(tmp_path / "A.movpkg")

    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_empty", stop)
        with pytest.raises(KeyboardInterrupt):
            remove_bundle(bundle)
    sealed(bundle)
    assert len(sweep(tmp_path)) == 1
    assert names(tmp_path) == ["A.movpkg"]
    assert Bundle.open(bundle).is_playable_offline


def test_sweeping_touches_nothing_with_another_name(tmp_path: Path) -> None:
    """Files and links with such a name, folders with nearly such a name, and a folder that is not there."""
    trash = ".hlsdl-0123456789abcdef.trash"
    (tmp_path / trash).write_text("a file")
    (tmp_path / "target").mkdir()
    (tmp_path / ".hlsdl-0123456789abcde0.trash").symlink_to(tmp_path / "target")
    (tmp_path / (trash + "2")).mkdir()
    (tmp_path / "trash").mkdir()
    before = names(tmp_path)
    assert sweep(tmp_path) == []
    assert names(tmp_path) == before
    assert sweep(tmp_path / "nowhere") == []


def test_a_disk_that_refuses_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 9; what could not be deleted is trash, and is deleted later."""
    bundle = sealed(tmp_path / "A.movpkg")

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_remove_tree", refuse)
        with pytest.raises(DiskError):
            remove_bundle(bundle)
        assert not bundle.exists()
        assert sweep(tmp_path) == []
    assert len(sweep(tmp_path)) == 1
    assert names(tmp_path) == []


def test_a_bundle_may_hold_so_many_files_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More names than hlsdl ever makes are somebody's trap."""
    bundle = sealed(tmp_path / "a.movpkg")
    names = sum(1 for _ in bundle.rglob("*"))
    files = sum(1 for one in bundle.rglob("*") if one.is_file())
    for module, most in ((contents, names), (inventory, files)):
        with Folder.open(bundle) as root:
            look = contents.sizes_below if module is contents else inventory.scan
            monkeypatch.setattr(module, "MOST_FILES", most)
            assert len(look(root)) == files
            monkeypatch.setattr(module, "MOST_FILES", most - 1)
            with pytest.raises(LimitError, match="holds more than"):
                look(root)
