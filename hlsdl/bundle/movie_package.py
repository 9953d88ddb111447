"""A package that somebody else made, as it lies there: read as hostile input, never written to, never played from.

    with PackageFolder.open(Path("A film.movpkg")) as folder:
        package = read_package(folder)

Nothing is looked for: only what its package files list is opened, each file by descriptors that follow no link. Which
streams it holds, and whether its playlists lead to them, `session.received` finds out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from hlsdl.access.urls import is_address
from hlsdl.bundle.contents import join_path
from hlsdl.bundle.durable import Folder, disk_error, translating
from hlsdl.bundle.layout import BOOT_XML, INDEX, MANIFEST, ROOT_XML, SOURCE_PLAYLIST, STREAM_INFO, split_path
from hlsdl.bundle.movpkg_reading import (
    LARGEST_XML,
    Boot,
    ListedObject,
    ListedStream,
    StreamListing,
    inner_path,
    read_boot,
    read_root,
    read_stream_info,
)
from hlsdl.errors import IntegrityError, LimitError, PolicyError, UsageError

MOST_BYTES = 256 * 1024 * 1024
"""Of all package files and playlists together: they are read before it is known which of them count."""
MOST_OBJECTS = 1_000_000
"""Segments and init sections of all streams together."""
TOLD = 3
"""So many names are told in a sentence."""
INTERSTITIALS = "InterstitialAssets"
BEGUN = "that are not complete"


class PackageFolder:
    """The folder of a package: plain files are read from it, by their paths in it, and nothing else is done."""

    def __init__(self, path: Path, root: Folder) -> None:
        """For `open` only."""
        self.path = path
        self._root = root

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the folder that a person named; UsageError when there is none."""
        with translating(str(path)):
            if not path.exists():
                raise UsageError(f"nothing is there: `{path}`")
            if not path.is_dir():
                raise UsageError(
                    f"`{path}` is no package but a file", hint="a package is a folder that ends in `.movpkg`"
                )
            return cls(path, Folder.open(path, follow=True))

    @property
    def is_bundle(self) -> bool:
        """Whether it says of itself that hlsdl made it: then it has a manifest."""
        return self.has(MANIFEST)

    @property
    def identity(self) -> tuple[int, int]:
        """(device, inode): which folder of this machine it is."""
        with translating(str(self.path)):
            return self._root.identity()

    def has(self, name: str) -> bool:
        """Whether something of this name is at the top."""
        with translating(str(self.path)):
            return self._root.status(name) is not None

    def size(self, path: str) -> int | None:
        """Bytes of a plain file; None when nothing is there.

        Raises:
            PolicyError: it is a link, or has another name elsewhere, or is no file, or a link leads to it.
        """
        folder, name = split_path(inner_path(path))
        try:
            with self._root.descend(folder) as handle:
                status = handle.status(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, path) from error
        if status is not None:
            _require_plain(status, path)
        return None if status is None else status.st_size

    def open_file(self, path: str) -> BinaryIO:
        """Open a plain file for reading; raises as `size` does, and IntegrityError when nothing is there."""
        folder, name = split_path(inner_path(path))
        try:
            with self._root.descend(folder) as handle:
                file = os.fdopen(handle.open_file(name), "rb", buffering=0)
        except FileNotFoundError:
            raise IntegrityError(f"the package has no `{path}`") from None
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            _require_plain(os.fstat(file.fileno()), path)
        except BaseException:
            file.close()
            raise
        return file

    def read(self, path: str, *, limit: int) -> bytes:
        """The content of a plain file of at most `limit` bytes; raises as `open_file` does, and LimitError."""
        with self.open_file(path) as file, translating(path):
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise LimitError(f"`{path}` has {size} bytes, more than the {limit} that it may have")
            return file.read(size)

    def close(self) -> None:
        """Let go of it."""
        self._root.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _require_plain(status: os.stat_result, path: str) -> None:
    """A file that has one name, and this one: a second one may be that of a secret of this machine (hard links)."""
    if not stat.S_ISREG(status.st_mode):
        raise PolicyError(
            f"`{path}` in the package is no plain file", hint="packages hold plain files and folders only"
        )
    if status.st_nlink > 1:
        raise PolicyError(
            f"`{path}` in the package has another name elsewhere (a hard link)",
            hint="when that is your own doing, make a copy of the package first",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedStream:
    """One complete stream of a package."""

    folder: str
    network_url: str = field(repr=False)
    playlist: bytes = field(repr=False)
    """The media playlist, as its origin served it."""
    listing: StreamListing = field(repr=False)

    def path_of(self, listed: ListedObject) -> str:
        """Relative to the package."""
        return join_path(self.folder, listed.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoviePackage:
    """What a package holds."""

    boot_file: str
    boot: Boot
    streams: tuple[PackagedStream, ...]
    playlists: tuple[bytes, ...] = field(repr=False)
    """The texts among its data items: one or more of them are multivariant playlists."""
    left_out: tuple[str, ...]
    """What of it cannot be used, one sentence each."""


def read_package(folder: PackageFolder) -> MoviePackage:
    """Read everything of a package but its media.

    Raises:
        UsageError: it has no package files.
        IntegrityError: they cannot be read.
        PolicyError: they name what no package may, or links stand in the place of files.
        LimitError: there is more of it than can be meant.
    """
    reader = _Reader(folder)
    boot_file = read_root(reader.read(ROOT_XML)) if folder.size(ROOT_XML) is not None else BOOT_XML
    if folder.size(boot_file) is None:
        raise UsageError(f"`{folder.path}` is no package: it has no `{boot_file}`")
    boot = read_boot(reader.read(boot_file))
    texts = (one.path for one in boot.items if one.category == "Playlist" and folder.size(one.path) is not None)
    playlists = tuple(reader.playlist(path) for path in texts)
    streams: list[PackagedStream] = []
    left_out: dict[str, list[str]] = {}
    for one in boot.streams:
        stream = reader.stream(one)
        if isinstance(stream, str):
            left_out.setdefault(stream, []).append(one.folder)
        else:
            streams.append(stream)
    sentences = [
        f"streams {why} are left out: {some_of([f'`{one}`' for one in folders])}" for why, folders in left_out.items()
    ]
    if folder.has(INTERSTITIALS):
        sentences.append(f"interstitials (`{INTERSTITIALS}`) are left out")
    return MoviePackage(
        boot_file=boot_file, boot=boot, streams=tuple(streams), playlists=playlists, left_out=tuple(sentences)
    )


def some_of(told: Sequence[str], between: str = ", ") -> str:
    """The first few of a list in a sentence, and how many more there are: there may be a hundred."""
    more = f" and {len(told) - TOLD} more" if len(told) > TOLD else ""
    return between.join(told[:TOLD]) + more


class _Reader:
    """Reads documents of a package, as long as all of them together stay within bounds."""

    def __init__(self, folder: PackageFolder) -> None:
        self._folder = folder
        self._bytes, self._objects = MOST_BYTES, MOST_OBJECTS

    def read(self, path: str) -> bytes:
        """A package file; LimitError when there have been too many bytes."""
        data = self._folder.read(path, limit=min(LARGEST_XML, self._bytes))
        self._bytes -= len(data)
        return data

    def playlist(self, path: str) -> bytes:
        """A stored playlist, without the NUL characters that some end with."""
        return self.read(path).rstrip(b"\0")

    def stream(self, one: ListedStream) -> PackagedStream | str:
        """One stream, or which one it is of those that cannot be used."""
        info = join_path(one.folder, STREAM_INFO)
        if one.is_complete is False:
            return BEGUN
        if self._folder.size(info) is None:
            return f"without `{STREAM_INFO}`"
        listing = read_stream_info(self.read(info), info)
        self._objects -= len(listing.segments) + len(listing.inits)
        if self._objects < 0:
            raise LimitError(f"the package lists more than {MOST_OBJECTS:,} objects")
        url = one.network_url or listing.network_url or ""
        if not listing.is_complete:
            return BEGUN
        if not is_address(url):
            return "whose address nothing says"
        local = join_path(one.folder, listing.local_playlist) if listing.local_playlist else None
        as_fetched = join_path(one.folder, SOURCE_PLAYLIST)
        if listing.local_playlist == INDEX and self._folder.size(as_fetched) is not None:
            local = as_fetched  # of a bundle that lost its manifest: the other one is of our making
        if local is None or self._folder.size(local) is None:
            return "whose playlist is not in the package"
        return PackagedStream(folder=one.folder, network_url=url, playlist=self.playlist(local), listing=listing)
