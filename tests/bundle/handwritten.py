"""A bundle folder whose state is written by hand, as an interruption leaves it."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir

import pytest

from hlsdl.bundle.journal import Entry, Opening, checkpoint_line, entry_line, opening_line, replay
from hlsdl.bundle.page_cache import page_cache_of
from hlsdl.bundle.recovery import Recovery
from hlsdl.bundle.writing import BundleWriter

from .shelves import VIDEO, body, entry_for, require_true, segment_path

NEEDS_PAGE_CACHE = pytest.mark.skipif(
    page_cache_of(gettempdir()) is None, reason="this system names no page cache: a dead process looks like a power cut"
)


class Shelf:
    """A bundle folder whose state is written by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / VIDEO).mkdir(parents=True)
        self.lines: list[bytes] = []

    def opened(self, boot: str | None = "", *, inode: int = 0) -> None:
        """An `open` line; by default of this boot and this folder."""
        status = self.path.stat()
        self.lines.append(
            opening_line(
                Opening(
                    boot=page_cache_of(str(self.path)) if boot == "" else boot,
                    device=status.st_dev,
                    inode=inode or status.st_ino,
                    pid=1,
                )
            )
        )

    def entry(self, number: int) -> Entry:
        entry = entry_for(segment_path(number), body(number))
        self.lines.append(entry_line(entry))
        return entry

    def file(self, number: int, data: bytes | None = None, *, temporary: bool = False) -> Path:
        path = self.path / segment_path(number)
        if temporary:
            path = path.with_name(f".{path.name}.0badcafe.part")
        path.write_bytes(body(number) if data is None else data)
        return path

    def stored(self, *numbers: int) -> None:
        for number in numbers:
            self.entry(number)
            self.file(number)

    def checkpoint(self) -> None:
        self.lines.append(checkpoint_line(sum(map(len, self.lines))))

    def recover(self) -> Recovery:
        """Open for writing, leave as a dying process does, and check the promise; then once more: nothing changes."""
        if self.lines:
            (self.path / "journal.jsonl").write_bytes(b"".join(self.lines))
        first = self.open()
        entries = require_true(self.path)
        again = self.open()
        assert (again.dropped, again.removed, again.rolled_forward, again.adopted) == ((), (), (), ())
        assert require_true(self.path) == entries
        return first

    def open(self) -> Recovery:
        writer = BundleWriter.open(self.path)
        writer.close(clean=False)
        return writer.recovery

    def numbers(self) -> set[int]:
        entries = replay((self.path / "journal.jsonl").read_bytes()).entries
        return {int(path[-13:-4]) for path in entries}
