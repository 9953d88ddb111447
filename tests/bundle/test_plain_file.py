"""One plain file on its way in: what it lets go of, and what of its `.part` is believed."""

from __future__ import annotations

import errno
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hlsdl.bundle import plain_file
from hlsdl.bundle.plain_file import PlainFile
from hlsdl.errors import DiskError

pytestmark = pytest.mark.anyio


async def test_a_flush_that_fails_leaves_nothing_open_and_nothing_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = PlainFile(tmp_path / "a.bin", limit=1000)
    await file.write(b"abc")

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "refused")

    with monkeypatch.context() as patched:
        patched.setattr("hlsdl.bundle.plain_file.flush", refuse)
        with pytest.raises(DiskError):
            file.close()
    again = PlainFile(tmp_path / "a.bin", limit=1000)
    await again.write(b"abc")
    await again.finish()
    assert (tmp_path / "a.bin").read_bytes() == b"abc"


@pytest.mark.parametrize(
    ("known", "believed"),
    [
        ({"validator": "v1", "boot": "here", "flushed": 0}, 10),
        ({"validator": "v1", "boot": "here", "flushed": 4}, 10),
        ({"validator": "v1", "boot": "before", "flushed": 4}, 4),
        ({"validator": "v1", "boot": "before", "flushed": 0}, 0),
        ({"validator": "v1", "boot": "before", "flushed": 99}, 10),
        ({"validator": "v1", "boot": None, "flushed": 4}, 4),
        ({"validator": None, "boot": "here", "flushed": 10}, 0),
    ],
)
async def test_of_what_is_left_only_what_a_power_cut_cannot_have_taken_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], believed: int
) -> None:
    monkeypatch.setattr(plain_file, "boot_id", lambda: "here")
    (tmp_path / "a.bin.part").write_bytes(b"0123456789")
    file = PlainFile(tmp_path / "a.bin", limit=1000, **known)
    flushed = min(known["flushed"], believed)
    assert (file.size, file.flushed) == (believed, flushed)
    assert file.digest() == sha256(b"0123456789"[:believed]).hexdigest()
    assert file.boot == ("here" if believed == 10 else None)
    assert (tmp_path / "a.bin.part").read_bytes() == b"0123456789"
    await file.write(b"abc")
    assert (file.boot, file.flushed) == ("here", flushed)
    assert (tmp_path / "a.bin.part").read_bytes() == b"0123456789"[:believed] + b"abc"
    file.close()
    assert (file.size, file.flushed) == (believed + 3, believed + 3)


async def test_where_boots_have_no_names_only_what_was_flushed_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_file, "boot_id", lambda: None)
    (tmp_path / "a.bin.part").write_bytes(b"0123456789")
    file = PlainFile(tmp_path / "a.bin", limit=1000, validator="v1", boot=None, flushed=4)
    await file.write(b"abc")
    assert (file.size, file.boot) == (7, None)
    file.close()


async def test_a_large_file_is_flushed_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_file, "FLUSH_EVERY", 100)
    file = PlainFile(tmp_path / "a.bin", limit=1000)
    flushed = []
    file.written = lambda: flushed.append(file.flushed)
    for _ in range(5):
        await file.write(bytes(40))
    await file.restart()
    assert file.flushed == 0
    await file.write(bytes(99))
    assert flushed == [0, 0, 120, 120, 120, 0]
    file.close()
    assert file.flushed == 99
