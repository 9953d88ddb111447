"""Contents: looking through a bundle's folders, and removing from them, without following a link.

What the found files mean is left to `recovery`, `writing` and `reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import DirEntry
from stat import S_ISDIR
from types import MappingProxyType

from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.layout import final_name, split_path
from hlsdl.errors import LimitError

MOST_FILES = 5_000_000
"""Names looked at in one bundle; a bundle of ours has fewer."""
DEEPEST_FOLDER = 7

ROOT = "the bundle's folder"
"""How messages call the folder itself."""


@dataclass(slots=True, kw_only=True)
class Found:
    """The files of one folder."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of regular files, by name."""
    temporaries: list[tuple[str, str]] = field(default_factory=list)
    """(temporary, final name)."""


def join_path(folder: str, name: str) -> str:
    """The inverse of `layout.split_path`."""
    return f"{folder}/{name}" if folder else name


def look(folder: Folder) -> Found:
    """The regular files and temporaries of one folder; links and special files are passed over."""
    found = Found()
    with folder.scan() as entries:
        for entry in entries:
            if entry.name.startswith("."):
                if (name := final_name(entry.name)) is not None:
                    found.temporaries.append((entry.name, name))
            elif (size := _size_of(entry)) is not None:
                found.sizes[entry.name] = size
    return found


def _size_of(entry: DirEntry[str]) -> int | None:
    """Bytes of a regular file; None for anything else, and for what has gone since the folder was read."""
    try:
        return entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else None
    except FileNotFoundError:
        return None


def sizes_below(root: Folder, seen: Mapping[str, int] = MappingProxyType({})) -> dict[str, int]:
    """Bytes of every regular file of a bundle by relative path; LimitError beyond 5 million names.

    `seen` are those of files that were looked at a moment ago: that they are there is looked at again, how large they
    are is not.
    """
    found: dict[str, int] = {}
    waiting, names = [""], 0
    while waiting:
        relative = waiting.pop()
        before = f"{relative}/" if relative else ""
        with translating(relative or ROOT), root.descend(relative) as folder, folder.scan() as entries:
            for entry in entries:
                names += 1
                if names > MOST_FILES:
                    raise LimitError(f"the bundle holds more than {MOST_FILES:,} files", hint="hlsdl did not make it")
                path = before + entry.name
                if path in seen and entry.is_file(follow_symlinks=False):
                    found[path] = seen[path]
                elif (size := _size_of(entry)) is not None:
                    found[path] = size
                elif entry.is_dir(follow_symlinks=False) and relative.count("/") < DEEPEST_FOLDER:
                    waiting.append(path)
    return found


def remove_file(root: Folder, path: str) -> None:
    """Remove one file or link by its relative path; nothing there is fine, a folder is left alone."""
    relative, name = split_path(path)
    with translating(path):
        try:
            folder = root.descend(relative)
        except FileNotFoundError:
            return
        with folder:
            status = folder.status(name)
            if status is not None and not S_ISDIR(status.st_mode):
                folder.unlink(name)


def remove_empty_folder(root: Folder, relative: str) -> None:
    """Remove a folder when nothing is in it; the bundle's own folder stays."""
    parent, name = split_path(relative)
    if not name:
        return
    with translating(relative):
        try:
            folder = root.descend(parent)
        except FileNotFoundError:
            return
        with folder:
            folder.remove_child(name)
