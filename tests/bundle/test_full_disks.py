"""Disks that are full, read-only or forbidden: told, and nothing finished is lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, HlsdlError

from .shelves import (
    body,
    fill,
    require_true,
    segment_path,
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB with room for 64 names."""
    place = tmp_path / "disk"
    place.mkdir()
    options = "size=4m,nr_inodes=64"
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root on Linux")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill_until_refused(writer: BundleWriter, size: int) -> tuple[int, HlsdlError]:
    for number in range(1000):
        try:
            writer.put(segment_path(number), body(number, size))
        except HlsdlError as error:
            return number, error
    raise AssertionError("the disk never became full")


@pytest.mark.parametrize("size", [300_000, 10])
def test_a_full_disk_costs_no_finished_object(small_disk: Path, size: int) -> None:
    """Out of bytes or out of names: exit code 9, everything stored stays, and it goes on when there is room."""
    path = small_disk / "A.movpkg"
    writer = BundleWriter.open(path)
    stored, error = fill_until_refused(writer, size)
    assert (error.code, error.resumable) == (9, True)
    assert "the disk is full" in error.message
    assert stored > 5
    writer.close(reason=error.message)
    assert len(require_true(path)) == stored
    subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=10000", str(small_disk)], check=True)
    with BundleWriter.open(path) as writer:
        assert len(writer.entries) == stored
        writer.put(segment_path(stored), body(stored, size))
    assert len(require_true(path)) == stored + 1


def test_a_file_system_that_becomes_read_only_is_told(small_disk: Path) -> None:
    """EROFS in the middle of the work is a DiskError, and what was stored is there when it is writable again."""
    path = small_disk / "A.movpkg"
    writer = BundleWriter.open(path)
    fill(writer, range(3))
    writer.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DiskError, match="read-only"):
        BundleWriter.open(path)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with BundleWriter.open(path) as again:
        assert len(again.entries) == 3


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    """EACCES becomes a sentence and a hint."""
    (tmp_path / "closed").mkdir(mode=0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write everywhere, so this is asked as nobody
    try:
        with pytest.raises(DiskError, match="permission denied") as caught:
            BundleWriter.open(tmp_path / "closed" / "A.movpkg")
    finally:
        os.seteuid(user)
    assert caught.value.hint


def test_a_recovery_that_cannot_write_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "A.movpkg"
    with BundleWriter.open(path) as writer:
        fill(writer, range(2))
    (path / segment_path(0)).unlink()  # recovery has something to write down

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("hlsdl.bundle.ledger.write_all", full)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DiskError):
        BundleWriter.open(path)
    assert len(os.listdir("/proc/self/fd")) == before
