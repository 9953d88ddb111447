"""A bundle that is still being stored, as a player may see it: what is whole by now, computed when it is asked for.

The playlists come from the source playlists that the bundle has stored (`planning.growing_playlists`) and from the
lines that its writer adds to the journal; nothing on disk is touched. How long an answer waits is left to `app`.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from stat import S_ISREG

from hlsdl.bundle.following import JournalFollower
from hlsdl.bundle.layout import INDEX
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import IntegrityError, UsageError
from hlsdl.planning.growing_playlists import GrowingPlaylist, growing_playlist
from hlsdl.session.contents import Contents, multivariant_playlist, stored_contents
from hlsdl.session.wishes import asked_in


class Absent(Enum):
    """Why there is nothing to send."""

    NOT_YET = "not yet"
    """It is part of the stream, and not stored yet."""
    NEVER = "never"
    """The bundle has no such thing."""


@dataclass(frozen=True, slots=True)
class Text:
    """A playlist as it is now."""

    data: bytes = field(repr=False)

    @property
    def etag(self) -> str:
        """A strong validator: another text has another one."""
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'


@dataclass(slots=True)
class _Stream:
    """One growing stream, how far it is, and its text there."""

    playlist: GrowingPlaylist
    ready: int = 0
    text: Text | None = None


class GrowingBundle:
    """One unfinished bundle. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._journal = JournalFollower(root)
        self._contents: Contents | None = None
        self._streams: dict[str, _Stream] = {}
        self._planned: frozenset[str] = frozenset()

    def playlist(self, name: str) -> Text | Absent | None:
        """The playlist of this name as it is now; None when the name is no playlist of this bundle.

        Raises:
            HlsdlError: the bundle cannot be read.
        """
        with self._lock:
            self._journal.refresh()
            if not self._prepare():
                return Absent.NOT_YET
            if name == INDEX:
                assert self._contents is not None  # noqa: S101 - `_prepare` made it
                return Text(multivariant_playlist(self._journal.entries, self._contents).encode())
            stream = self._streams.get(name)
            return None if stream is None else self._grown(stream)

    def holds(self, name: str, size: int | None) -> Absent | None:
        """Whether a file of the bundle may be sent: None when it may.

        Args:
            name: relative to the bundle.
            size: of the file on disk; None when there is none.
        """
        with self._lock:
            entry = self._journal.entries.get(name)
            if entry is None:
                self._journal.refresh()
                entry = self._journal.entries.get(name)
            if not self._prepare() or name not in self._planned:
                return Absent.NEVER
        # Only what the journal calls whole, and is: after a power cut a name alone proves nothing.
        return None if entry is not None and entry.size == size else Absent.NOT_YET

    def _prepare(self) -> bool:
        """Make the plan, once the playlists it is made from are stored; whether there is one."""
        if self._contents is not None:
            return True
        try:
            bundle = Bundle.open(self._root)
            contents = stored_contents(bundle, asked_in(bundle.manifest))
        except (IntegrityError, UsageError):
            return False  # the first moments of a download: what is missing is about to come
        plan = contents.plan
        self._streams = {f"{one.id}/{INDEX}": _Stream(growing_playlist(one)) for one in plan.streams}
        media = (resource.path for stream in plan.streams for resource in stream.resources)
        self._planned = frozenset((*media, *(one.path for one in (*plan.keys, *plan.data))))
        self._contents = contents
        return True

    def _grown(self, stream: _Stream) -> Text | Absent:
        ready = stream.playlist.ready(self._is_whole, stream.ready)
        if ready > stream.ready or stream.text is None:
            stream.ready = ready
            stream.text = Text(stream.playlist.text(ready).encode())
        # A playlist without a segment is refused by players, so they get none before the first is there.
        return stream.text if ready or not stream.playlist.segments else Absent.NOT_YET

    def _is_whole(self, path: str) -> bool:
        entry = self._journal.entries.get(path)
        if entry is None:
            return False
        try:
            status = self._root.joinpath(path).lstat()
        except OSError:
            return False  # its line stands in the journal an instant before its name on the disk
        return S_ISREG(status.st_mode) and status.st_size == entry.size
