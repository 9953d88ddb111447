"""One plain file on its way in: what it lets go of, and what of its `.part` is believed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

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
