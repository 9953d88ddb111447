"""Removal: a bundle goes, whole, or stays as it is; never one that is written or played.

It is renamed first, to a name that no bundle has, and its manifest goes before everything else: an interruption leaves
trash that `sweep` recognises by its name, never half a bundle. Only what is a bundle of ours is ever deleted.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from hlsdl.bundle import contents
from hlsdl.bundle.durable import BundleLock, Folder, translating
from hlsdl.bundle.layout import INDEX, MANIFEST
from hlsdl.bundle.reading import read_manifest
from hlsdl.bundle.watching import Watch
from hlsdl.errors import DiskError, HlsdlError, IntegrityError, LockedError, UsageError

logger = logging.getLogger(__name__)

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_TRASH = re.compile(r"\.hlsdl-[0-9a-f]{16}\.trash")


def size_on_disk(path: Path, seen: Mapping[str, int] | None = None) -> int:
    """Bytes of all files of a bundle: what its removal gives back. UsageError when there is none.

    `seen` is `Bundle.seen` for who has just sealed it: of 10,000 files it takes a quarter of the time.
    """
    with translating(str(path)), Folder.open(path, follow=True) as root:
        return sum(contents.sizes_below(root, seen or {}).values())


def who_uses(path: Path) -> str | None:
    """`written` or `played` when a process is at it now, else None.

    Looking takes the locks for a moment, and a writer that begins in that moment is told that the bundle is in use:
    look only at bundles that are about to be deleted.
    """
    with translating(str(path)), Folder.open(path, follow=True) as root:
        try:
            BundleLock(root, path).release()
        except LockedError:
            return "written"
    try:
        Watch.alone(path).release()
    except LockedError:
        return "played"
    return None


def remove_bundle(path: Path) -> int:
    """Delete the bundle at `path` and return how many bytes that gave back.

    Raises:
        UsageError: there is no bundle, or `path` is a link.
        LockedError: another process writes or plays it.
        DiskError: the file system refuses; then it is as it was, or it is trash.
    """
    _require_bundle(path)
    place = path.resolve()
    with ExitStack() as stack, translating(str(path)):
        root = stack.enter_context(Folder.open(place))
        lock = BundleLock(root, path)
        stack.callback(lock.release)
        watch = stack.enter_context(Watch.alone(place))
        parent = stack.enter_context(Folder.open(place.parent, follow=True))
        status = parent.status(place.name)
        if status is None or (status.st_dev, status.st_ino) != root.identity():
            raise LockedError(f"`{path}` was replaced a moment ago", hint="look at it, then run this again")
        freed = sum(contents.sizes_below(root).values())
        trash = f".hlsdl-{secrets.token_hex(8)}.trash"
        if sys.platform == "win32":  # which renames no folder with an open file in it
            lock.release()
            watch.release()
        parent.rename(place.name, trash)
        parent.sync()
        _empty(place.parent / trash)
    return freed


def sweep(folder: Path) -> list[int]:
    """Finish the removals in `folder` that were interrupted; returns the bytes that each of them gave back.

    What cannot be finished is logged.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if _TRASH.fullmatch(entry.name)]
    except OSError:  # gone, or not ours to read: then there is nothing to finish
        return []
    return [freed for name in names if (freed := _finish(folder / name)) is not None]


def _finish(trash: Path) -> int | None:
    if trash.is_symlink() or not trash.is_dir():
        return None
    try:
        with Watch.alone(trash), translating(str(trash)):
            freed = size_on_disk(trash)
            _empty(trash)
    except LockedError:  # whoever began is still at it
        return None
    except HlsdlError as error:
        if os.path.lexists(trash):  # else whoever began has come to the end
            logger.warning("what is left of a bundle cannot be deleted: %s", error.message)
        return None
    return freed


def _empty(trash: Path) -> None:
    for name in (MANIFEST, INDEX):
        (trash / name).unlink(missing_ok=True)
    _remove_tree(trash)


def _remove_tree(place: Path) -> None:
    """Remove a folder with all that is in it, however deep that is: one folder is open at a time, and no path grows."""
    if os.open not in os.supports_dir_fd:  # Windows, where a path has an end
        shutil.rmtree(place)
        return
    above: list[tuple[str, tuple[int, int], list[str]]] = []
    """The way down: the name of each folder, which one it is in, and what is still to do there."""
    here = os.open(place, _FOLDER)
    try:
        left = _remove_all_but_filled_folders(here)
        while left or above:
            if left:
                name = left.pop()
                above.append((name, _identity(here), left))
                here = _instead_of(here, name)
                left = _remove_all_but_filled_folders(here)
                continue
            name, parent, left = above.pop()
            here = _instead_of(here, "..")
            if _identity(here) != parent:
                raise DiskError(f"somebody moves folders about in `{place}`", hint="run this again when that is over")
            os.rmdir(name, dir_fd=here)
    finally:
        os.close(here)
    place.rmdir()


def _remove_all_but_filled_folders(here: int) -> list[str]:
    """Remove files, links and empty folders; returns the names of the folders that have something in them."""
    with os.scandir(here) as entries:  # all of them first: a file system may pass over names while others are removed
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    filled: list[str] = []
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=here)
            continue
        try:
            os.rmdir(name, dir_fd=here)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            filled.append(name)
    return filled


def _instead_of(here: int, name: str) -> int:
    """Open a folder by its name in an open one, and close that."""
    opened = os.open(name, _FOLDER, dir_fd=here)
    os.close(here)
    return opened


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _require_bundle(path: Path) -> None:
    with translating(str(path)):
        if path.is_symlink():
            raise UsageError(f"`{path}` is a link", hint="name the bundle itself, not a link to it")
    try:
        read_manifest(path)
    except IntegrityError as error:
        raise UsageError(
            f"`{path}` is no bundle that can be read: {error.message}",
            hint="`hlsdl` deletes only what it is sure to have made; delete the folder yourself if you are",
        ) from error
