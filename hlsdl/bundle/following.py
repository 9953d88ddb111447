"""Following: what a writer at work has stored by now, from the lines that it has added to the journal since.

Takes no lock and changes nothing. A journal that was replaced (a seal, a repair) is read again from its beginning.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from types import MappingProxyType

from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.journal import Entry, changes
from hlsdl.bundle.layout import JOURNAL
from hlsdl.bundle.ledger import LARGEST_JOURNAL
from hlsdl.errors import IntegrityError


class JournalFollower:
    """The entries of a bundle that somebody else writes. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = {}
        self._inode: tuple[int, int] | None = None
        self._offset = 0
        self.entries: Mapping[str, Entry] = MappingProxyType(self._entries)
        """By path, as of the last `refresh`; a live view."""

    def refresh(self) -> bool:
        """Read what is new; False when nothing is.

        Raises:
            IntegrityError: the journal is no file, or too large to be one of ours.
            DiskError: it cannot be read.
        """
        with translating(JOURNAL), Folder.open(self._path, follow=True) as root:
            try:
                descriptor = root.open_file(JOURNAL)
            except FileNotFoundError:
                return self._start_again(None)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not S_ISREG(status.st_mode) or status.st_size > LARGEST_JOURNAL:
                    raise IntegrityError(f"`{JOURNAL}` is no journal")
                inode = (status.st_dev, status.st_ino)
                is_new = inode != self._inode or status.st_size < self._offset
                if is_new:
                    self._start_again(inode)
                file.seek(self._offset)
                data = file.read(status.st_size - self._offset)
        # The last line may be half written: it is read when its end is there.
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        for path, entry in changes(data):
            if entry is None:
                self._entries.pop(path, None)
            else:
                self._entries[path] = entry
        return is_new or bool(data)

    def _start_again(self, inode: tuple[int, int] | None) -> bool:
        had = bool(self._entries)
        self._entries.clear()
        self._inode, self._offset = inode, 0
        return had
