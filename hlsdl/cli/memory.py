"""What the C library is told about the memory of a process that downloads and does nothing else.

Blocks of a mebibyte come and go by the thousand. By default glibc gives what is freed back to the system soon, which
fills it with zeros, page by page, when it is asked for again: two thirds of the page faults of a large download, and a
twenty-fifth of its CPU time (docs/performance.md). Programs that use the library have their own say.
"""

from __future__ import annotations

import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's names of what can be set (mallopt(3))."""
OF_THE_HEAP = 4 << 20
"""Bytes (4 MiB): smaller blocks come from the heap. Unset, this follows what is freed."""
KEPT = 32 << 20
"""Bytes (32 MiB) of the heap's end that stay with the process when they are free."""


def keep_freed_blocks() -> None:
    """Let this process use again what it has freed; elsewhere than with glibc nothing."""
    if sys.platform != "linux":
        return
    import ctypes  # loaded with the bundle in any case

    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    set_option(M_MMAP_THRESHOLD, OF_THE_HEAP)
    set_option(M_TRIM_THRESHOLD, KEPT)
