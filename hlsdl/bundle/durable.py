"""Durable: fsync, rename, flock and OSError of bundles.

Everything is done relative to an open folder (a directory descriptor where the system has them), so that a folder that
is moved meanwhile, or a link that is put in the way, cannot lead anywhere else. What is written, and in which order, is
left to `ledger`, `partial` and `writing`.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import stat
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from hlsdl.bundle.layout import LOCK, temporary_name
from hlsdl.bundle.page_cache import page_cache_of
from hlsdl.errors import DiskError, HlsdlError, IntegrityError, LockedError, PolicyError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SPARE_BYTES = 64 * 1024 * 1024
"""Free space that is left alone: for the journal, and for everybody else."""
BLOCK = 1024 * 1024
FILE_MODE, FOLDER_MODE = 0o600, 0o700

_HAS_DESCRIPTORS = os.open in os.supports_dir_fd
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_ALWAYS = _NO_FOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_SYNC_FILE_RANGE_WRITE = 2

_AGAIN = "run the same command again; what is stored stays"
_SENTENCES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", f"free some space, then {_AGAIN}"),
    errno.EDQUOT: ("the disk quota is used up", f"free some space, then {_AGAIN}"),
    errno.EROFS: ("the file system is read-only", "mount it writable; `fetch -P` stores elsewhere"),
    errno.EACCES: ("permission denied", "check who owns the folder and its permissions; `fetch -P` stores elsewhere"),
    errno.EPERM: ("the system does not permit it", "check who owns the folder and its permissions"),
    errno.EIO: ("the disk reports an I/O error", "check the disk; copy what matters elsewhere first"),
    errno.EMFILE: ("too many files are open", "use fewer connections with `-N`, or raise `ulimit -n`"),
    errno.ENFILE: ("too many files are open on this machine", f"end other programs, then {_AGAIN}"),
    errno.EFBIG: ("the file is too large for this file system or `ulimit -f`", "choose another folder with `-P`"),
    errno.ENOENT: ("the file or its folder is gone", f"if it was moved or deleted, {_AGAIN}"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "choose a shorter path with `-o`"),
    errno.ENODEV: ("the device is gone", f"connect it again, then {_AGAIN}"),
    errno.ENXIO: ("the device is gone", f"connect it again, then {_AGAIN}"),
    errno.ESTALE: ("the network file system has lost the file", f"mount it again, then {_AGAIN}"),
    errno.ENOTEMPTY: ("the folder is not empty", "look at what is in it, and move it away"),
    errno.EISDIR: ("a folder is in the way", "move it away"),
    errno.ENOMEM: ("the system is out of memory", f"end other programs, then {_AGAIN}"),
}
_LINKS = frozenset({errno.ELOOP, errno.ENOTDIR})
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.EINTR, errno.EAGAIN, errno.ENOMEM})


def disk_error(error: OSError, what: str) -> HlsdlError:
    """Translate an operating system error about `what` (a path as people know it). The one place that does."""
    if error.errno in _LINKS:
        return PolicyError(f"`{what}` leads through a link or no folder", hint="links inside a bundle are not followed")
    number = error.errno or 0
    sentence, hint = _SENTENCES.get(number, (f"the file system refused: {os.strerror(number)}", _AGAIN))
    return DiskError(f"{sentence}: `{what}`", hint=hint, retryable=number in _PASSING)


class translating:  # noqa: N801 - reads as a verb in a `with` line
    """`with translating("keys/A.key"):` turns any OSError of the block into one of ours."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise disk_error(error, self._what) from error


class Folder:
    """An open folder; names are single parts. Raises OSError: callers stand in `translating`."""

    __slots__ = ("_before", "_descriptor", "path")

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path = path
        """Where it was when it was opened: for messages, and for systems without directory descriptors."""
        self._descriptor = descriptor
        self._before = f"{path}/" if descriptor is None else ""
        """What stands before a name when the system is asked for it."""

    @classmethod
    def open(cls, path: Path, *, follow: bool = False) -> Folder:
        """Open an existing folder; a link as the last part is refused unless `follow`."""
        if not _HAS_DESCRIPTORS:
            if not path.is_dir() or (path.is_symlink() and not follow):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return cls(str(path), None)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        return cls(str(path), os.open(path, flags if follow else flags | _NO_FOLLOW))

    def child(self, name: str, *, create: bool = False) -> Folder:
        """Open a folder in this one; with `create`, make it (0700) when it is not there."""
        while True:
            try:
                path = f"{self.path}/{name}"
                if self._descriptor is None:
                    return Folder.open(Path(path))
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | _NO_FOLLOW
                return Folder(path, os.open(name, flags, dir_fd=self._descriptor))
            except FileNotFoundError:
                if not create:
                    raise
            try:
                os.mkdir(self._before + name, FOLDER_MODE, dir_fd=self._descriptor)
            except FileExistsError:
                create = False  # another thread was faster

    def descend(self, relative: str, *, create: bool = False) -> Folder:
        """Open a folder below this one by its relative path; the empty path opens this one again."""
        first, *deeper = relative.split("/")
        folder = self.child(first, create=create) if first else self.again()
        for name in deeper:
            with folder as parent:
                folder = parent.child(name, create=create)
        return folder

    def again(self) -> Folder:
        """A second handle on this folder, closed on its own."""
        return Folder(self.path, None if self._descriptor is None else os.dup(self._descriptor))

    def create(self, name: str) -> int:
        """Open a new file for writing, 0600; never an existing one, never through a link."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _ALWAYS
        return os.open(self._before + name, flags, FILE_MODE, dir_fd=self._descriptor)

    def open_file(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a regular file, never through a link, never waiting for a pipe; anything else is a PolicyError."""
        descriptor = os.open(self._before + name, flags | _ALWAYS | _NO_WAIT, FILE_MODE, dir_fd=self._descriptor)
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        except OSError:
            os.close(descriptor)
            raise
        if is_file:
            return descriptor
        os.close(descriptor)
        raise PolicyError(f"`{name}` is no regular file", hint="a bundle holds plain files and folders only")

    def open_to_flush(self, name: str) -> int:
        """Open what was stored under `name`, to flush it and nothing else; what it is is not looked at."""
        return os.open(self._before + name, os.O_RDWR | _ALWAYS | _NO_WAIT, dir_fd=self._descriptor)

    def status(self, name: str) -> os.stat_result | None:
        """What stands under `name`, links not followed; None when nothing does."""
        try:
            return os.stat(self._before + name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def identity(self) -> tuple[int, int]:
        """(device, inode) of this folder."""
        here = Path(self.path).stat() if self._descriptor is None else os.fstat(self._descriptor)
        return here.st_dev, here.st_ino

    def page_cache(self) -> str | None:
        """The page cache through which this folder is written, as far as the system tells."""
        return page_cache_of(self.path if self._descriptor is None else self._descriptor)

    @contextmanager
    def scan(self) -> Iterator[Iterator[os.DirEntry[str]]]:
        """The entries of this folder, in the order of the file system."""
        with os.scandir(self.path if self._descriptor is None else self._descriptor) as entries:
            yield entries

    def rename(self, old: str, new: str) -> None:
        """Give a file its final name, in place of what stood there (a link is replaced, not followed)."""
        os.replace(self._before + old, self._before + new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        """Remove a file or link; nothing there is fine."""
        try:
            os.unlink(self._before + name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return

    def remove_child(self, name: str) -> bool:
        """Remove an empty folder; False when it holds something or is not there."""
        try:
            os.rmdir(self._before + name, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:
                raise
            return False
        return True

    def sync(self) -> None:
        """Flush names (not contents) to the device. Windows has no such call and does it on its own."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go; using it afterwards is an error (EBADF), never a write elsewhere."""
        if self._descriptor is not None and self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            _let_go(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sync_directory(path: Path) -> None:
    """Flush the names in `path` to the device."""
    with translating(str(path)), Folder.open(path, follow=True) as folder:
        folder.sync()


def flush(descriptor: int) -> None:
    """Flush one file's content to the device itself, past its cache where the system can say so."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    elif sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: a short write is followed by another, or by the error that explains it."""
    written = os.write(descriptor, data)
    if written < len(data):
        rest = memoryview(data)
        while written < len(data):
            written += os.write(descriptor, rest[written:])


def replace_durably(folder: Folder, name: str, data: bytes) -> None:
    """Write `name` anew so that after any interruption the old or the new content stands there, whole."""
    temporary = temporary_name(name, secrets.token_hex(4))
    descriptor = folder.create(temporary)
    try:
        try:
            write_all(descriptor, data)
            flush(descriptor)
        finally:
            os.close(descriptor)
        folder.rename(temporary, name)
    except OSError:
        folder.unlink(temporary)
        raise
    folder.sync()


def read_file(folder: Folder, name: str, *, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes; IntegrityError when it is larger."""
    with os.fdopen(folder.open_file(name), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise IntegrityError(f"`{name}` has {size} bytes, more than the {limit} that it may have")
        return file.read(size)  # the limit would be allocated as a whole


def hash_file(folder: Folder, name: str) -> tuple[int, str]:
    """(size, SHA-256 in hexadecimal) of a regular file, as read."""
    digest, size, buffer = hashlib.sha256(), 0, bytearray(BLOCK)
    with os.fdopen(folder.open_file(name), "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
            size += count
    return size, digest.hexdigest()


def free_space(path: Path) -> int:
    """Bytes that this user may still write where `path` is."""
    import shutil

    with translating(str(path)):
        return shutil.disk_usage(path).free


def require_space(path: Path, needed: int) -> None:
    """DiskError unless `needed` bytes and a reserve of 64 MiB are free where `path` is."""
    free = free_space(path)
    if free < needed + SPARE_BYTES:
        raise DiskError(
            f"{needed / 1e6:.0f} MB are needed, {SPARE_BYTES / 1e6:.0f} MB must stay and {free / 1e6:.0f} MB are free:"
            f" `{path}`",
            hint=f"free some space or choose another folder with `-P`, then {_AGAIN}",
        )


def kick_writeback(descriptor: int, offset: int, length: int) -> None:
    """Ask Linux to begin writing a range, without waiting; a later flush then has less to do. Elsewhere nothing."""
    # Only a request: what it answers does not matter, since the flush that counts comes later and is looked at.
    if _SYNC_FILE_RANGE is not None:
        _SYNC_FILE_RANGE(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)


class BundleLock:
    """The bundle's lock, held until `release` or the end of the process, whichever comes first."""

    def __init__(self, folder: Folder, path: Path) -> None:
        """Take it, or raise LockedError at once."""
        self._owner = os.getpid()
        self._dropped: weakref.finalize[..., BundleLock] | None = None
        with translating(str(path / LOCK)):
            self._descriptor: int | None = folder.open_file(LOCK, os.O_RDWR | os.O_CREAT)
        try:
            _lock(self._descriptor)
        except OSError as error:
            self.release()
            if error.errno not in {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}:
                raise disk_error(error, str(path / LOCK)) from error
            raise LockedError(
                f"another process works on `{path}`", hint="wait until it has finished, or end it, then run this again"
            ) from None
        # Whoever drops it without a word must not keep others away for as long as the process lives.
        self._dropped = weakref.finalize(self, _give_back, self._descriptor, self._owner)
        self._dropped.atexit = False

    def release(self) -> None:
        """Give it back; closing the descriptor does it. The file stays, since deleting it would race."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            if self._dropped is not None:
                self._dropped.detach()
            _give_back(descriptor, self._owner)


def _give_back(descriptor: int, owner: int) -> None:
    unlock(descriptor, owner)
    _let_go(descriptor)


def unlock(descriptor: int, owner: int) -> None:
    """Give a lock back for all who share it: a child that was forked meanwhile has it, too, and must not keep it.

    Only for its `owner`, by process id: a child that tidies up must not unlock what its parent works on.
    """
    if sys.platform != "win32" and os.getpid() == owner:
        with suppress(OSError):  # then closing it has to do
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _let_go(descriptor: int) -> None:
    """Close a handle that nothing was written through: whatever close answers, no byte depends on it."""
    with suppress(OSError):
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_alone(descriptor: int) -> None:
    """Lock a plain file while it is open; BlockingIOError when another has it. Nothing where there are no locks."""
    if sys.platform == "win32":  # there a lock would keep its own process from reading
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.ENOTSUP}:
            raise


def _find_sync_file_range() -> ctypes._NamedFuncPointer | None:
    if sys.platform != "linux":
        return None
    try:
        found = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):  # a C library without it
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return found


_SYNC_FILE_RANGE = _find_sync_file_range()
