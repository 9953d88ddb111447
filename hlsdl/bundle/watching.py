"""Watching: the mark that says that a bundle is being played, so that nobody deletes it meanwhile.

A player holds a shared lock on the bundle's folder itself: it needs no file, so it works on a read-only disk, and it is
gone with the process. It is not the writer's lock, since a bundle may be played while it grows. Where a system has no
locks for folders (Windows, some network file systems) an open file keeps the folder from being renamed, or nothing
does. Source: the system never purges an asset that is being played.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from hlsdl.bundle.durable import translating, unlock
from hlsdl.bundle.layout import INDEX
from hlsdl.errors import LockedError

if sys.platform != "win32":
    import fcntl

PATIENCE = 0.5
"""Seconds: whoever only looks whether a bundle is played holds the folder for less than a millisecond."""
_HELD = frozenset({errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK})


class Watch:
    """A hold on a bundle's folder, until `release` or the end of the process."""

    def __init__(self, descriptor: int | None) -> None:
        """For `begin` and `alone`."""
        self._descriptor, self._owner = descriptor, os.getpid()

    @classmethod
    def begin(cls, path: Path) -> Self:
        """Play the bundle at `path`, together with others who do; LockedError when it is being deleted."""
        until = time.monotonic() + PATIENCE
        while (descriptor := _hold(path, alone=False)) == _REFUSED:
            if time.monotonic() >= until:
                raise LockedError(f"`{path}` is being deleted", hint="play another one")
            time.sleep(0.01)
        return cls(descriptor)

    @classmethod
    def alone(cls, path: Path) -> Self:
        """Hold the folder while nobody plays it; LockedError at once when somebody does."""
        descriptor = _hold(path, alone=True)
        if descriptor == _REFUSED:
            raise LockedError(f"`{path}` is being played", hint="stop the player, then run this again")
        return cls(descriptor)

    def release(self) -> None:
        """Let go. Again: nothing."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            unlock(descriptor, self._owner)
            with suppress(OSError):  # nothing was written through it
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


_REFUSED = -1


def _hold(path: Path, *, alone: bool) -> int | None:
    """A descriptor that holds the folder; None where folders cannot be held, `_REFUSED` when another one has it."""
    if sys.platform == "win32":
        with suppress(OSError):
            return None if alone else os.open(path / INDEX, os.O_RDONLY)
        return None
    with translating(str(path)):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        # Any other answer: this file system has no locks for folders, and then it tells nobody.
        return _REFUSED if error.errno in _HELD else None
    return descriptor
