"""One plain file on its way in: what it lets go of, and what of its `.part` is believed."""

from __future__ import annotations

import errno
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hlsdl.bundle import plain_file
from hlsdl.bundle.plain_file import PlainFile
from hlsdl.errors import DiskError, IntegrityError

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
    monkeypatch.setattr(plain_file, "page_cache_of", lambda where: "here")
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
    monkeypatch.setattr(plain_file, "page_cache_of", lambda where: None)
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


async def test_a_part_is_known_again_by_its_beginning(tmp_path: Path) -> None:
    first = PlainFile(tmp_path / "a.bin", limit=10**6)
    await first.write(b"01234")
    begun = first.beginning
    await first.write(b"56789")
    first.close()
    known = {"validator": "v1", "boot": first.boot, "limit": 10**6}
    assert first.beginning != begun
    for beginning, held in ((begun, 10), (first.beginning, 10), (None, 10), ("5:" + "0" * 64, 0), ("", 0)):
        assert PlainFile(tmp_path / "a.bin", beginning=beginning, **known).size == held
    (tmp_path / "a.bin.part").write_bytes(b"x123456789")
    assert PlainFile(tmp_path / "a.bin", beginning=begun, **known).size == 0
    (tmp_path / "a.bin.part").write_bytes(b"0123")
    assert PlainFile(tmp_path / "a.bin", beginning=begun, **known).size == 0, "it is shorter than what was there"


@pytest.mark.parametrize("now", [None, b"x12345678901", b"0123"], ids=["gone", "another", "shorter"])
async def test_a_part_that_was_replaced_before_it_was_taken_is_worth_nothing(tmp_path: Path, now: bytes | None) -> None:
    part = tmp_path / "a.bin.part"
    part.write_bytes(b"0123456789")
    file = PlainFile(tmp_path / "a.bin", limit=1000, validator="v1", flushed=10)
    part.unlink()
    if now is not None:
        part.write_bytes(now)
    assert file.size == 10
    file.take()
    assert (file.size, file.validator, part.read_bytes()) == (0, None, b"")
    await file.write(b"whole")
    await file.finish()
    assert (tmp_path / "a.bin").read_bytes() == b"whole"


async def test_a_part_that_was_replaced_and_never_taken_is_not_gone_on_with(tmp_path: Path) -> None:
    part = tmp_path / "a.bin.part"
    part.write_bytes(b"0123456789")
    file = PlainFile(tmp_path / "a.bin", limit=1000, validator="v1", flushed=10)
    part.unlink()
    with pytest.raises(IntegrityError, match="replaced"):
        await file.write(b"the rest")
    file.close()


async def test_a_part_that_is_replaced_while_it_is_written_does_not_get_the_name(tmp_path: Path) -> None:
    file = PlainFile(tmp_path / "a.bin", limit=1000)
    await file.write(b"ours")
    (tmp_path / "a.bin.part").unlink()
    (tmp_path / "a.bin.part").write_bytes(b"theirs")
    with pytest.raises(IntegrityError, match="replaced"):
        await file.finish()
    file.close()
    assert not (tmp_path / "a.bin").exists()


async def test_what_a_flush_has_failed_for_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may have dropped it, though it can be read as long as nobody looks on the device."""
    monkeypatch.setattr(plain_file, "FLUSH_EVERY", 4)
    file = PlainFile(tmp_path / "a.bin", limit=1000, validator="v1")
    await file.write(b"0123")

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "refused")

    with monkeypatch.context() as patched:
        patched.setattr("hlsdl.bundle.plain_file.flush", refuse)
        with pytest.raises(DiskError):
            await file.write(b"4567")
        assert (file.size, file.flushed, file.boot) == (4, 4, None)
        with pytest.raises(DiskError):
            file.close()
    again = PlainFile(tmp_path / "a.bin", limit=1000, validator="v1", boot=file.boot, flushed=file.flushed)
    assert again.size == 4
