"""The page cache: which memory of the system holds what was written to a file system and not flushed.

It outlives the process that wrote, and neither the boot nor the mount: a disk that was pulled out, or a file system
that was stopped and mounted again, has lost what was not flushed, though the system has run all the time. What was not
flushed is believed by `recovery` and `plain_file` only where this is the very page cache into which it was written.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_MNT_ID_UNIQUE = 0x4000
"""STATX_MNT_ID_UNIQUE: a number that no other mount of this boot has had or will have (Linux 6.8)."""
_SIZE, _MASK, _MNT_ID = 256, slice(0, 4), slice(144, 152)
"""Of `struct statx`, and where in it what was answered and the mount's number are."""


def page_cache_of(where: int | str) -> str | None:
    """Name the page cache of the file system that an open file, or what stands under a path, belongs to.

    Returns:
        The kernel's boot id and the number of the mount; None where the system does not tell them, or nothing is there.
    """
    statx, boot = _statx(), _boot_id()
    if statx is None or boot is None:
        return None
    found = ctypes.create_string_buffer(_SIZE)
    if isinstance(where, str):
        failed = statx(_AT_FDCWD, os.fsencode(where), 0, _MNT_ID_UNIQUE, found)
    else:
        failed = statx(where, b"", _AT_EMPTY_PATH, _MNT_ID_UNIQUE, found)
    if failed:
        return None
    if not int.from_bytes(found.raw[_MASK], sys.byteorder) & _MNT_ID_UNIQUE:
        return None  # an older kernel gives a number again once it is free
    return f"{boot}/{int.from_bytes(found.raw[_MNT_ID], sys.byteorder)}"


def _boot_id() -> str | None:
    try:
        return Path(BOOT_ID).read_text(encoding="ascii").strip() or None
    except OSError:
        return None


@cache
def _statx() -> ctypes._NamedFuncPointer | None:
    if sys.platform != "linux":
        return None
    try:
        found = ctypes.CDLL(None).statx
    except (OSError, AttributeError):  # a C library without it
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
    return found
