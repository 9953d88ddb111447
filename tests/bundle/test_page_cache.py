"""The page cache has the name of this boot and this mount: what was mounted anew is another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hlsdl.bundle import page_cache
from hlsdl.bundle.page_cache import page_cache_of

from .handwritten import NEEDS_PAGE_CACHE, Shelf


def system(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A file system of our own, or none where that cannot be."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs Linux and root")
    at = tmp_path / "disk"
    at.mkdir()
    return at


@NEEDS_PAGE_CACHE
def test_an_open_folder_and_its_path_have_the_same(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        assert page_cache_of(descriptor) == page_cache_of(str(tmp_path)) != None  # noqa: E711 - of both
    finally:
        os.close(descriptor)
    (tmp_path / "file").touch()
    assert page_cache_of(str(tmp_path / "file")) == page_cache_of(str(tmp_path))


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    assert page_cache_of(str(tmp_path / "none")) is None
    assert page_cache_of(-1) is None


@NEEDS_PAGE_CACHE
def test_what_is_mounted_again_has_another(disk: Path) -> None:
    """The number of a mount that is gone is not given again."""
    before = page_cache_of(str(disk))
    names = []
    for _ in range(2):
        system("mount", "-t", "tmpfs", "none", str(disk))
        try:
            names.append(page_cache_of(str(disk)))
        finally:
            system("umount", str(disk))
    assert page_cache_of(str(disk)) == before
    assert len({before, *names}) == 3


def old_kernel(descriptor: int, path: bytes, flags: int, mask: int, found: object) -> int:
    """`statx` that answers none of what it was asked for."""
    return 0


@pytest.mark.parametrize("statx", [None, old_kernel, lambda *_: -1])
def test_where_mounts_have_no_numbers_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statx: Callable[..., int] | None
) -> None:
    monkeypatch.setattr(page_cache, "_statx", lambda: statx)
    assert page_cache_of(str(tmp_path)) is None


def test_without_a_boot_id_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "BOOT_ID", str(tmp_path / "none"))
    assert page_cache_of(str(tmp_path)) is None


@NEEDS_PAGE_CACHE
def test_what_another_mount_of_this_boot_wrote_is_read(shelf: Shelf) -> None:
    """A disk that was pulled out leaves files their size, and zeros in them."""
    name = page_cache_of(str(shelf.path))
    assert name is not None
    shelf.opened(f"{name}0")
    shelf.stored(1)
    shelf.file(2, bytes(2000))
    shelf.entry(2)
    assert shelf.recover().hashed > 0
    assert shelf.numbers() == {1}
