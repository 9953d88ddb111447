"""What really lies in a bundle's folder, and whether one file is what its entry says.

Links are never followed and nothing is written. What a difference means for the bundle is left to `structure`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from itertools import islice

from hlsdl.bundle.contents import MOST_FILES
from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.layout import DEEPEST_PATH, split_path
from hlsdl.errors import LimitError, PolicyError
from hlsdl.verification import containers
from hlsdl.verification.containers import Role
from hlsdl.verification.findings import Code, Finding, Severity, error

HASHING_THREADS = 2
"""SHA-256 runs without the interpreter lock; two threads are as fast as most disks."""

_WEBVTT_NAMES = (".vtt", ".webvtt")
"""Only a name tells what an empty file would be."""
_BLOCK = 1024 * 1024
_BATCH = 128
"""Files handed to the threads at once, so that a bundle of a million files needs no million futures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing in the folder that is no folder itself."""

    is_file: bool
    """A regular file; else a link, pipe, socket or device."""
    size: int
    mode: int
    """Permission bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file as the journal or the manifest lists it, and what it is for."""

    path: str
    size: int
    sha256: str
    role: Role | None = None
    """None: no media (a playlist, a key, a document)."""
    is_encrypted: bool = False
    """AES-CBC over the whole file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The outcome for one listed file."""

    bytes: int
    """Read and hashed."""
    findings: tuple[Finding, ...] = ()


def scan(root: Folder) -> dict[str, Item]:
    """List everything in the bundle but its folders, by relative path; unprintable characters appear escaped.

    Raises:
        DiskError: a folder cannot be read.
        LimitError: there are more files than any bundle has.
    """
    found: dict[str, Item] = {}
    waiting = [""]
    while waiting:
        relative = waiting.pop()
        with translating(relative or str(root.path)), root.descend(relative) as folder, folder.scan() as entries:
            for entry in entries:
                path = f"{relative}/{entry.name}" if relative else entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and path.count("/") < DEEPEST_PATH:
                    waiting.append(path)
                    continue
                is_file = stat.S_ISREG(status.st_mode)
                found[printable(path)] = Item(is_file=is_file, size=status.st_size, mode=stat.S_IMODE(status.st_mode))
        if len(found) > MOST_FILES:
            raise LimitError(f"`{root.path}` holds more than {MOST_FILES:,} files")
    return found


def printable(path: str) -> str:
    """The path with control characters and stray bytes escaped: foreign names go to terminals."""
    return path if path.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in path)


def examine_all(root: Folder, files: Iterable[Listed], inventory: Mapping[str, Item]) -> Iterator[Examined]:
    """Examine every file, on two threads and in order; what is missing or of another size is not read."""
    remaining = iter(files)
    with ThreadPoolExecutor(HASHING_THREADS, thread_name_prefix="hlsdl-verify") as pool:
        while batch := list(islice(remaining, _BATCH)):
            yield from pool.map(lambda file: _examine(root, file, inventory.get(file.path)), batch)


def _examine(root: Folder, file: Listed, item: Item | None) -> Examined:
    mismatch = _mismatch(file, item)
    if mismatch is not None:
        return _failed(*mismatch, file)
    folder, name = split_path(file.path)
    try:
        with root.descend(folder) as parent, os.fdopen(parent.open_file(name), "rb", buffering=0) as opened:
            return _read(opened, file)
    except FileNotFoundError:
        return _failed(Code.MISSING, "is missing", file)
    except PolicyError as problem:
        return _failed(Code.NOT_REGULAR, f"cannot be opened: {problem.message}", file)
    except OSError as problem:
        return _failed(Code.UNREADABLE, f"cannot be read: {problem.strerror}", file)


def _mismatch(file: Listed, item: Item | None) -> tuple[Code, str] | None:
    """What the directory alone shows to be wrong."""
    if item is None:
        return Code.MISSING, "is missing"
    if not item.is_file:
        return Code.NOT_REGULAR, "is a link or special file, where a plain file must be"
    return None if item.size == file.size else (Code.SIZE_MISMATCH, f"has {item.size} bytes instead of {file.size}")


def _read(opened: FileIO, file: Listed) -> Examined:
    digest, size, buffer = hashlib.sha256(), 0, bytearray(_BLOCK)
    while count := opened.readinto(buffer):
        digest.update(memoryview(buffer)[:count])
        size += count
    if digest.hexdigest() != file.sha256:
        return _failed(Code.HASH_MISMATCH, "is not what was stored: its SHA-256 differs", file, size)
    remark = None
    if file.role is not None:
        may_be_empty = file.role is Role.SUBTITLE or file.path.endswith(_WEBVTT_NAMES)
        window = _FileWindow(opened, size)
        remark = containers.check(window, file.role, encrypted=file.is_encrypted, may_be_empty=may_be_empty)
    if remark is None:
        return Examined(bytes=size)
    code = Code.MALFORMED if remark.severity is Severity.ERROR else Code.ODD_CONTAINER
    message = f"`{split_path(file.path)[1]}` {remark.reason}"
    finding = Finding(code=code, severity=remark.severity, path=file.path, message=message)
    return Examined(bytes=size, findings=(finding,))


def _failed(code: Code, what: str, file: Listed, size: int = 0) -> Examined:
    return Examined(bytes=size, findings=(error(code, file.path, f"`{split_path(file.path)[1]}` {what}"),))


@dataclass(frozen=True, slots=True)
class _FileWindow:
    file: FileIO
    size: int

    def read(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(length) or b""
