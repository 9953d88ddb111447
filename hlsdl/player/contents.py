"""The files of one bundle, as a player may see them: found by name, opened without following any link.

Everything is read from disk when it is asked for, so that a bundle can be watched while it grows; until it is sealed
its playlists come from `growing`. What the local playlists list is remembered until a playlist changes. `names` holds
the rules; this module touches the disk.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ValidationError

from hlsdl.bundle.layout import INDEX, MANIFEST
from hlsdl.bundle.reading import read_manifest
from hlsdl.errors import DiskError, HlsdlError, LimitError, PlaylistError
from hlsdl.player.growing import Absent, GrowingBundle, Text
from hlsdl.player.names import is_player_name, is_playlist, names_listed
from hlsdl.playlist.lines import PlaylistLimits, PlaylistText

logger = logging.getLogger(__name__)

LARGEST_MANIFEST = 64 * 1024 * 1024

MOST_PLAYLISTS = 1000
"""Local playlists that are followed; a bundle has one per stored stream."""

Signature = tuple[int, int, int]
"""Inode, size and time of a file: another value means another content."""


class Description(BaseModel):
    """What the page says about the bundle, from its manifest."""

    title: str = ""
    state: str = ""


@dataclass(slots=True)
class Contents:
    """One bundle folder. Safe to use from several threads."""

    root: Path
    _listed: dict[str, tuple[Signature, frozenset[str]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _growing: tuple[Signature, GrowingBundle | None] | None = None

    def find(self, name: str) -> BinaryIO | Text | Absent:
        """What a player gets for a name: a file, or the text of a playlist that is still growing.

        Raises:
            HlsdlError: it is there and cannot be read.
        """
        if not is_player_name(name):
            return Absent.NEVER
        growing = self._growing_now()
        if growing is None:
            return self.open(name) or Absent.NEVER
        if is_playlist(name):
            return growing.playlist(name) or Absent.NEVER
        file = open_beneath(self.root, name)
        absent = growing.holds(name, os.fstat(file.fileno()).st_size if file else None)
        if absent is None and file is not None:
            return file
        if file is not None:
            file.close()
        return absent or Absent.NOT_YET

    @property
    def is_growing(self) -> bool:
        """Whether the bundle is not sealed."""
        return self._growing_now() is not None

    def _growing_now(self) -> GrowingBundle | None:
        """The view of an unfinished bundle, until its manifest changes; None for one that is sealed."""
        try:
            status = (self.root / MANIFEST).lstat()
        except OSError:
            return None
        signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        with self._lock:
            if self._growing is None or self._growing[0] != signature:
                self._growing = (signature, GrowingBundle(self.root) if self._is_partial() else None)
            return self._growing[1]

    def _is_partial(self) -> bool:
        try:
            return read_manifest(self.root).state == "partial"
        except HlsdlError as error:
            logger.warning("`%s` cannot be read, so what lies there is served as it is: %s", MANIFEST, error.message)
            return False

    def open(self, name: str) -> BinaryIO | None:
        """Open a file that a player may have, or return None when there is no such file.

        Raises:
            DiskError: the file is there and cannot be read.
        """
        if not is_player_name(name) or not (name == INDEX or self._lists(name)):
            return None
        return open_beneath(self.root, name)

    def describe(self) -> Description:
        """Return the title and state; empty when there is no readable manifest."""
        file = open_beneath(self.root, MANIFEST)
        if file is None:
            return Description()
        with file:
            data = file.read(LARGEST_MANIFEST)
        try:
            return Description.model_validate_json(data)
        except ValidationError:
            logger.warning("`%s` cannot be read; the page goes without a title", MANIFEST)
            return Description()

    def _lists(self, name: str) -> bool:
        """Whether `name` can be reached from the root playlist."""
        seen = {INDEX}
        waiting = [INDEX]
        while waiting:
            listed = self._names_in(waiting.pop())
            if name in listed:
                return True
            fresh = {other for other in listed if is_playlist(other)} - seen
            if len(seen) + len(fresh) > MOST_PLAYLISTS:
                logger.warning("more than %d playlists are linked together; the rest are not followed", MOST_PLAYLISTS)
                return False
            seen |= fresh
            waiting.extend(fresh)
        return False

    def _names_in(self, playlist: str) -> frozenset[str]:
        file = open_beneath(self.root, playlist)
        if file is None:
            return frozenset()
        with file:
            status = os.fstat(file.fileno())
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
            with self._lock:
                known = self._listed.get(playlist)
            if known is not None and known[0] == signature:
                return known[1]
            names = _read_names(file, playlist)
        with self._lock:
            self._listed[playlist] = (signature, names)
        return names


def _read_names(file: BinaryIO, playlist: str) -> frozenset[str]:
    try:
        text = PlaylistText.decode(file.read(PlaylistLimits().max_bytes + 1))
    except (PlaylistError, LimitError) as error:
        logger.warning("`%s` cannot be read as a playlist, so nothing it lists is served: %s", playlist, error.message)
        return frozenset()
    return names_listed(text, playlist)


def open_beneath(root: Path, name: str) -> BinaryIO | None:
    """Open the regular file `name` below `root` for reading, or return None when it is not there.

    A symbolic link anywhere below `root`, a folder, a device or a pipe counts as not there.

    Raises:
        DiskError: the file system refuses for another reason.
    """
    try:
        descriptor = _descend(root, name.split("/"))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return os.fdopen(descriptor, "rb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if _is_link(root, name) or not stat.S_ISREG(root.joinpath(name).lstat().st_mode):
            return None
        raise DiskError(f"`{name}` cannot be read: {error.strerror}") from error


def _descend(root: Path, parts: list[str]) -> int:
    """Open the last part, one folder at a time, so that no part can be swapped for a link on the way."""
    if os.open not in os.supports_dir_fd:
        if _is_link(root, "/".join(parts)):
            raise FileNotFoundError(parts[-1])
        return os.open(root.joinpath(*parts), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)


def _is_link(root: Path, name: str) -> bool:
    path = root
    for part in name.split("/"):
        path = path / part
        if path.is_symlink() or (hasattr(path, "is_junction") and path.is_junction()):
            return True
    return False
