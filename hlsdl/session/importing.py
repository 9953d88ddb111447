"""Importing: a package that somebody gave us becomes a bundle of ours; no network is needed, and none is used.

What the package is, `received` finds out. Here its objects are looked at, all of them before the first is copied, then
copied and hashed, and the bundle is sealed with playlists of our own making. What is missing or damaged is left out and
said; a bundle that lacks something stays unfinished, and its source can be asked for the rest.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hlsdl.bundle.durable import require_space, translating
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.movie_package import PackageFolder, some_of
from hlsdl.bundle.movpkg_reading import HINT
from hlsdl.bundle.threads import in_thread
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import (
    ContentKeyError,
    HlsdlError,
    IntegrityError,
    LimitError,
    LiveStreamError,
    LockedError,
    PolicyError,
    UsageError,
)
from hlsdl.planning.plan import Resource
from hlsdl.session import events
from hlsdl.session.bundles import Bundle
from hlsdl.session.closing import closing
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import IMPORTED, Contents, lay_out, seal
from hlsdl.session.download import sealed
from hlsdl.session.events import Emit, ignore
from hlsdl.session.outcome import Downloaded, Fetched, ended
from hlsdl.session.places import is_free, numbered
from hlsdl.session.presentation import refuse_protected
from hlsdl.session.progress import Progress
from hlsdl.session.received import Place, Received, all_of, receive
from hlsdl.session.segments import PROGRESS_INTERVAL, Arrived
from hlsdl.session.wholeness import is_whole
from hlsdl.transfer.content import SAMPLE, is_webvtt, why_not_key, why_not_media


async def import_package(path: Path, options: FetchOptions, emit: Emit = ignore) -> Downloaded:
    """Bring the package at `path` into a bundle; run again, it goes on where it stopped.

    Of the options, those of the place, the title and `keep_protected` count.

    Raises:
        UsageError: it is no package, or something else is where the bundle should be.
        PolicyError: there are links, devices or paths in it that lead elsewhere; nothing was copied.
        IntegrityError: something of it is missing or damaged; the rest is kept in a bundle that is unfinished.
        ContentKeyError: that holds for keys alone, or a stream needs a key system.
        HlsdlError: of the kind that says what stopped it.
    """
    started = time.monotonic()
    with PackageFolder.open(path) as folder:
        received = await in_thread(receive, folder, options.title)
        contents = received.contents
        _require_playable(received, options)
        sizes = await in_thread(_look, folder, received)
        place, before = await in_thread(_place, path, contents, options)
        if before is not None and is_whole(before):
            return Downloaded(bundle=before, fetched=Fetched(reused_segments=before.segments))
        resumed = before is not None
        emit(events.WillDownloadTo(task=contents.title, path=place, resumed=resumed, imported=True))
        for message in (*received.remarks, *contents.warnings()):
            emit(events.Warned(task=contents.title, message=message))
        async with _writing(place, is_new=not resumed) as writer:
            copying = Copying(folder, writer, received, sizes, emit)
            await copying.run()
            emit(events.Sealing(task=contents.title))
            await in_thread(partial(seal, writer, contents, absent=received.absent))
            bundle = sealed(writer)
    return ended(emit, bundle, copying.arrived, seconds=time.monotonic() - started, imported=True)


def _require_playable(received: Received, options: FetchOptions) -> None:
    """There is a finished film in the package, which something here can play.

    Raises:
        LiveStreamError, IntegrityError, ContentKeyError: there is not.
    """
    plan = received.contents.plan
    if any(stream.playlist.is_live for stream in plan.streams):
        told = "the package is of a live stream that had not ended: a playlist in it has no EXT-X-ENDLIST"
        raise LiveStreamError(told, hint=HINT)
    if not any(one.kind == "segment" and one.path not in received.absent for one in plan.resources):
        raise IntegrityError("there is nothing to import: no stream of the package has a segment", hint=HINT)
    if not options.keep_protected:
        refuse_protected(plan)


def _look(folder: PackageFolder, received: Received) -> Mapping[str, int]:
    """Bytes of every media file and key of the package that will be copied, by its path there, if it is there.

    Raises:
        PolicyError: some are no plain files, or links lead to them. All of them were looked at, none was opened.
    """
    sizes: dict[str, int] = {}
    refused: list[PolicyError] = []
    for place in received.places.values():
        try:
            size = folder.size(place.path)
        except PolicyError as error:
            refused.append(error)
            continue
        if size is not None:
            sizes[place.path] = size
    if refused:
        told = some_of([error.message for error in refused], "; ")
        raise PolicyError(f"nothing is imported: {told}", hint=refused[0].hint)
    return sizes


def _place(package: Path, contents: Contents, options: FetchOptions) -> tuple[Path, Bundle | None]:
    """Where the bundle goes, and what an earlier import of the very same package left there.

    Raises:
        UsageError: that would be in the package itself, or `-o` names something else.
    """
    named, inside = options.output, Path(os.path.realpath(package))
    for place in numbered(options.directory, contents.title) if named is None else (named,):
        there = Path(os.path.realpath(place))
        if there == inside and named is None:
            continue  # its own name: the next one is free
        if there.is_relative_to(inside):
            raise UsageError(f"`{place}` is in the package itself", hint="choose another place with -o or -P")
        if place.is_symlink():
            raise UsageError(f"`{place}` is a link", hint="choose another place, or name what it leads to")
        if is_free(place):
            return place, None
        before = _begun(place, contents)
        if before is not None:
            return place, before
    if named is None:
        raise UsageError(f"there are too many bundles called `{contents.title}`", hint="give another --title or folder")
    raise UsageError(f"`{named}` is there already", hint="choose another -o path, or remove what is there yourself")


def _begun(place: Path, contents: Contents) -> Bundle | None:
    """The bundle at `place` when an import of this package, from where it is now, has made it.

    Nothing else will do: whoever made the package may have made it like a bundle that is here.
    """
    try:
        there = Bundle.open(place)
    except HlsdlError:
        return None  # whose it is nobody can say, so its name is taken
    is_same = there.manifest.choices.get(IMPORTED) == contents.imported and there.title == contents.title
    return there if is_same and there.manifest.is_intact else None


@asynccontextmanager
async def _writing(place: Path, *, is_new: bool) -> AsyncIterator[BundleWriter]:
    """The bundle's writer, closed however the import ends."""
    opened: list[BundleWriter] = []

    def open_it() -> None:
        opened.append(BundleWriter.open(place, anew=True))
        if is_new and opened[0].manifest is not None:
            raise LockedError(f"another run began `{place}` a moment ago", hint="run the same command again")

    async with closing(opened):
        await in_thread(open_it)
        yield opened[0]


class Copying:
    """Copies what a package has into a bundle: one object after another, each hashed on the way."""

    def __init__(
        self, folder: PackageFolder, writer: BundleWriter, received: Received, sizes: Mapping[str, int], emit: Emit
    ) -> None:
        """`sizes`: bytes of each file of the package."""
        self.arrived = Arrived()
        self._folder, self._writer, self._received, self._sizes, self._emit = folder, writer, received, sizes, emit
        self._contents = received.contents
        self._progress = Progress.of(received.contents.plan, received.contents.title)
        self._told = 0.0

    async def run(self) -> None:
        """Copy everything, past what cannot be.

        Raises:
            IntegrityError: something did not come; it is left out, and all else is stored.
            ContentKeyError: that are keys and nothing else.
        """
        require_space(self._writer.path, self._bytes_needed())
        await in_thread(lay_out, self._writer, self._contents)
        lacking: list[tuple[Resource, str]] = []
        for resource in all_of(self._contents.plan):
            if resource.path in self._received.absent:
                continue
            before = self._writer.entries.get(resource.path)
            answer = await in_thread(self._bring, resource)
            if isinstance(answer, str):
                lacking.append((resource, answer))
            else:
                self._count(resource, answer, is_new=answer is not before)
        self._tell(always=True)
        self._judge(lacking)

    def _bytes_needed(self) -> int:
        """Of all that is still to be copied: as often as it is listed, though it may be one file."""
        places = self._received.places.items()
        return sum(self._sizes.get(place.path, 0) for path, place in places if not self._writer.is_stored(path))

    def _bring(self, resource: Resource) -> Entry | str:
        """Store one object, if it is not there already; half a sentence where the package has it not, or not whole."""
        place = self._received.places.get(resource.path)
        if place is None:
            return "no file of the package is clearly this one"
        if place.path not in self._sizes:
            return "it is missing"
        try:
            with self._folder.open_file(place.path) as file, translating(place.path):
                size, beginning = os.fstat(file.fileno()).st_size, file.read(SAMPLE)
                file.seek(0)
                return _why_not(resource, place, size, beginning) or self._store(resource, place, file, size)
        except IntegrityError as error:
            return error.message

    def _store(self, resource: Resource, place: Place, file: BinaryIO, size: int) -> Entry | str:
        there = self._writer.entries.get(resource.path)
        if there is not None:  # an earlier run copied it; what is stored is never replaced
            known = place.sha256 or hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            return there if there.sha256 == known else "it has changed since the import began"
        return self._writer.put_file(
            resource.path,
            file,
            size=size,
            sha256=place.sha256,
            validator=place.validator,
            length_verified=place.length_verified,
        )

    def _count(self, resource: Resource, entry: Entry, *, is_new: bool) -> None:
        self._progress.finished(resource, entry.size)
        if is_new:
            self._progress.rate.arrived(entry.size, time.monotonic())
            self.arrived.segments += resource.kind == "segment"
            self.arrived.bytes += entry.size
        else:
            self.arrived.reused_segments += resource.kind == "segment"
        self._tell()

    def _tell(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._told >= PROGRESS_INTERVAL:
            self._told = now
            self._emit(self._progress.event(now))

    def _judge(self, lacking: Sequence[tuple[Resource, str]]) -> None:
        """Say what did not come; a film plays without its session data."""
        for resource, why in lacking:
            if resource.kind == "data":
                told = f"session data is left out: {why}"
                self._emit(events.Warned(task=self._contents.title, message=told))
        media = [(resource.path, why) for resource, why in lacking if resource.kind in ("segment", "init")]
        keys = [why for resource, why in lacking if resource.kind == "key"]
        kept = f"what there is is kept in `{self._writer.path}`"
        hint = f"{kept}; `hlsdl repair` there brings the rest from its source"
        if media:
            told = some_of([f"`{path}`: {why}" for path, why in media], "; ")
            raise IntegrityError(f"the package is not whole: {told}", hint=hint)
        if keys:
            what = "its key" if len(keys) == 1 else f"{len(keys)} of its keys"
            raise ContentKeyError(f"the package is encrypted and has not got {what}: {keys[0]}", hint=hint)


def _why_not(resource: Resource, place: Place, size: int, beginning: bytes) -> str | None:
    """Half a sentence that says why a file cannot be the object that it is listed as, as far as can be seen at once.

    Raises:
        LimitError: it is larger than any such object may be.
    """
    listed = place.size if resource.byte_range is None else resource.byte_range.length
    if listed not in (None, size):
        return f"it has {size} bytes instead of {listed}"
    if size > resource.limit:
        raise LimitError(f"`{place.path}` has {size} bytes, more than the {resource.limit} allowed")
    if size % resource.block:
        return "it is encrypted, and ends in the middle of a block"
    if resource.kind == "data":
        return None
    is_key, may_be_empty = resource.kind == "key", is_webvtt(resource.path, content_type=None)
    reason = why_not_key(beginning) if is_key else why_not_media(beginning, may_be_empty=may_be_empty)
    return None if reason is None else f"it is {reason}"
