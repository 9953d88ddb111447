"""The long part of a download: init sections and segments in play order, with progress, over sources that move.

When an origin refuses (an expired URL answers 403) the playlists are read anew, once, and the work goes on with the new
URLs; when a redundant copy of the stream exists, it takes over. Both only where the streams agree place by place
(`planning.moving`): two encodes are never mixed.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hlsdl.bundle.durable import require_space
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.partial import TINY, PartialFile
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import (
    ContentKeyError,
    HlsdlError,
    HttpError,
    IntegrityError,
    LimitError,
    NetworkError,
    PlaylistError,
    PolicyError,
)
from hlsdl.planning.moving import other_bytes, same_urls, samples, with_copy
from hlsdl.planning.plan import DownloadPlan, Resource
from hlsdl.session import events
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.events import Emit
from hlsdl.session.moves import Moves
from hlsdl.session.presentation import MAY_HAVE_MOVED
from hlsdl.session.progress import Progress
from hlsdl.session.versions import Versions
from hlsdl.transfer.client import Client
from hlsdl.transfer.fetching import no_whole_blocks
from hlsdl.transfer.lane import Done
from hlsdl.transfer.sink import MemorySink, Sink, Validator

PROGRESS_INTERVAL = 0.1
"""Seconds between two progress events."""
OF_THE_ORIGIN = (HttpError, NetworkError, IntegrityError, PlaylistError, LimitError, PolicyError)
"""What an origin, or what it sends, can be the reason for, so that another one may do better."""
GONE = frozenset({404, 410})
"""The answers that `allow_gaps` takes for a segment that is lost for good."""


@dataclass(slots=True)
class Arrived:
    """What one run brought."""

    segments: int = 0
    bytes: int = 0
    reused_segments: int = 0


class SegmentWork:
    """Fetches what the journal does not have yet.

    `proven` are the SHA-256 that objects had before they were damaged, by path. What has one is compared when it comes
    again, so for its sake the playlists need not be asked whether this is still the same stream.
    """

    most_bytes = TINY
    """Of a body that is stored the short way."""

    def __init__(
        self,
        client: Client,
        writer: BundleWriter,
        moves: Moves,
        options: FetchOptions,
        *,
        title: str,
        proven: Mapping[str, str] | None = None,
        emit: Emit,
    ) -> None:
        self.absent: set[str] = set()
        """Paths of segments that the origin no longer has, with `allow_gaps`."""
        self._client, self._writer, self._plan = client, writer, moves.plan
        self._title, self._moves, self._allow_gaps, self._emit = title, moves, options.allow_gaps, emit
        self._keys_are_given = options.key_provider is not None
        """Whether the program gives them, so that nothing need be at their addresses."""
        self._proven = proven or {}
        self._progress = Progress.of(moves.plan, title)
        self._told = 0.0
        self._is_over = False
        self._later: asyncio.TimerHandle | None = None
        """The next time that progress is told, when something was kept back."""
        self._arrived = Arrived()
        self._failure: tuple[Resource, HlsdlError] | None = None
        self._lost: HlsdlError | None = None
        """Why the first of the absent segments did not come."""
        self._versions = Versions()
        self._is_in_doubt = False
        """Whether a part of a file came in another version than the parts before it."""
        self._copies = {stream.id: list(stream.source.alternates) for stream in moves.plan.streams}
        self._stored_at_refresh = -1

    async def fetch(self) -> Arrived:
        """Bring everything that is missing.

        Raises:
            HlsdlError: what stopped it, after every way round it was tried.
        """
        try:
            await self._bring()
        finally:
            if self._later is not None:
                self._tell(always=True)
            self._is_over = True  # what is still being stored may be told late, and is nobody's then
        return self._arrived

    async def _bring(self) -> None:
        for resource in self._plan.resources:
            entry = self._writer.entries.get(resource.path)
            if entry is not None:
                self._progress.finished(resource, entry.size)
        self._arrived.reused_segments = self._progress.segments_done
        require_space(self._writer.path, self._progress.bytes_needed())
        self._tell(always=True)
        unproven = [resource for resource in self._remaining() if resource.path not in self._proven]
        if self._moves.is_stale(unproven):
            # What is left of an earlier run must still be what it was: two encodes are never mixed.
            self._plan = await self._read_again()
        # An earlier run may have ended before it could compare; a repair with a proof of all that comes need not ask.
        self._is_in_doubt = bool(unproven or not self._proven)
        await self._settle_doubts()
        while remaining := self._remaining():
            self._failure = None
            await self._client.fetch_all(
                remaining,
                self._sink,
                self._finished,
                on_bytes=self._on_bytes,
                keeper=self,
                forgive=self._forgive,
                stopped=lambda: self._failure is not None or self._is_in_doubt,
            )
            if self._failure is not None:
                self._plan = await self._way_round(*self._failure)
            await self._settle_doubts()
        if self._lost is not None and not self._progress.segments_done:
            raise self._lost  # gaps and nothing else are no film
        self._tell(always=True)

    def _remaining(self) -> list[Resource]:
        return [
            resource
            for resource in self._plan.resources
            if resource.path not in self._writer.entries and resource.path not in self.absent
        ]

    async def _way_round(self, failed: Resource, error: HlsdlError) -> DownloadPlan:
        """Another plan for the same objects, or the error when there is none."""
        copy = await self._from_a_copy(failed, error)
        if copy is not None:
            return copy
        stored = len(self._writer.entries)
        # An expired URL may be answered by a page to sign in, or by nothing, as well as by a status that says so.
        is_substitute = isinstance(error, IntegrityError)
        if not (is_substitute or error.http_status in MAY_HAVE_MOVED) or stored == self._stored_at_refresh:
            raise error
        # One refresh for each stretch of progress: a server that refuses for ever is asked twice, not for ever.
        self._stored_at_refresh = stored
        try:
            again = await self._read_again()
        except OF_THE_ORIGIN as refusal:
            if is_substitute:  # what is wrong with the segment says more than that nothing newer is to be had
                raise error from refusal
            raise
        if same_urls(self._plan, again, [failed.path]):
            raise error
        self._warn(f"the playlists were read again, since a segment did not come: {error.message}")
        return again

    async def _read_again(self) -> DownloadPlan:
        """The plan under the URLs of now, after a proof that another place has the same bytes.

        Raises:
            IntegrityError: it has others.
        """
        again = await self._moves.read_again()
        await self._prove(again)
        return again

    async def _prove(self, again: DownloadPlan, *, is_a_copy: bool = False) -> None:
        sizes = {path: entry.size for path, entry in self._writer.entries.items()}
        for sample in samples(self._plan, again, sizes, is_a_copy=is_a_copy):
            try:
                is_same = (sample.kind == "key" and self._keys_are_given) or await self._is_as_stored(sample)
            except (HttpError, ContentKeyError) as refusal:
                if sample.kind != "key":
                    raise
                # It may be given once only, or to whoever signs in; what is stored stays what it was.
                self._warn(f"a key is at another place now, and cannot be compared: {refusal.message}")
                continue
            if not is_same and sample.kind == "init":
                self._writer.forget(sample.path)  # nothing that goes with it has come: it is brought from there, too
            elif not is_same:
                raise other_bytes(sample.path)

    async def _is_as_stored(self, resource: Resource) -> bool:
        """Whether a finished object still has the same bytes at its origin."""
        sink = MemorySink()
        await self._client.fetch(resource, sink)
        return hashlib.sha256(sink.data).hexdigest() == self._writer.entries[resource.path].sha256

    async def _settle_doubts(self) -> None:
        """Ask again for a part of each version of a file; only when both are there as stored do they belong together.

        Servers behind one name may give one file several names, so that another ETag alone proves nothing.

        Raises:
            IntegrityError: the file has changed; its parts of the later version are forgotten.
        """
        resources, entries = self._plan.resources, self._writer.entries
        while self._is_in_doubt and (doubt := self._versions.doubted_of(resources, entries)) is not None:
            part, entry = doubt
            for one in self._versions.parts_to_compare(part, resources, entries):
                if not await self._is_as_stored(one):
                    for path in self._versions.paths_like(part, resources, entries):
                        self._writer.forget(path)
                    raise other_bytes(one.path)
            self._versions.accept(part, entry)
        self._is_in_doubt = False

    async def _from_a_copy(self, failed: Resource, error: HlsdlError) -> DownloadPlan | None:
        """The plan with the failed stream pointed at its next redundant copy that agrees with it and has its bytes."""
        stream = next((one for one in self._plan.streams if one.id == failed.stream), None)
        copies = self._copies.get(stream.id, []) if stream else []
        while stream is not None and copies:
            url = copies.pop(0)
            try:
                plan = with_copy(self._plan, stream, await self._moves.read_copy(stream, url))
                await self._prove(plan, is_a_copy=True)
            except OF_THE_ORIGIN as refusal:
                self._warn(f"a redundant copy cannot take over: {refusal.message}")
                continue
            self._warn(f"a redundant copy of the {stream.source.kind} stream takes over: {error.message}")
            return plan
        return None

    def _sink(self, resource: Resource) -> Sink:
        return self._writer.sink(resource.path, limit=resource.limit)

    def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
        """Store a small whole body that came the short way."""
        self._writer.put_soon(resource.path, body, validator=validator, told=partial(self._kept, resource, done))

    def _kept(self, resource: Resource, done: Done, answer: Entry | BaseException) -> None:
        if self._is_over:
            return
        if isinstance(answer, BaseException):
            done(answer)
            return
        try:
            self._accept(resource, answer)
        except BaseException as error:  # noqa: BLE001 - handed to who waits for the job
            done(error)
        else:
            done(None)

    async def _finished(self, resource: Resource, sink: Sink) -> None:
        assert isinstance(sink, PartialFile)  # noqa: S101 - `_sink` made it
        if sink.size % resource.block:  # as a part of a file it comes past `fetching`
            raise no_whole_blocks(resource)
        self._accept(resource, await sink.finish())

    def _accept(self, resource: Resource, entry: Entry) -> None:
        """Count an object that is stored; IntegrityError when it should not have been."""
        proof = self._proven.get(entry.path)
        if proof not in (None, entry.sha256):
            self._writer.forget(entry.path)
            raise other_bytes(entry.path)
        if proof is None and resource.byte_range is not None and not self._versions.fits(resource, entry):
            self._is_in_doubt = True
        self._progress.finished(resource, entry.size)
        self._arrived.segments += resource.kind == "segment"
        self._arrived.bytes += entry.size
        self._tell()

    def _forgive(self, resource: Resource, error: HlsdlError) -> bool:
        """Whether to go on after this failure: as a gap, or to look for a way round it."""
        if not (self._allow_gaps and resource.kind == "segment" and error.http_status in GONE):
            if isinstance(error, OF_THE_ORIGIN):
                self._failure = self._failure or (resource, error)
                return True
            return False
        self.absent.add(resource.path)
        self._lost = self._lost or error
        self._warn(f"segment {resource.sequence} is gone at the origin and becomes a gap: {error.message}")
        return True

    def _warn(self, message: str) -> None:
        self._emit(events.Warned(task=self._title, message=message))

    def _on_bytes(self, size: int) -> None:
        self._progress.rate.arrived(size, time.monotonic())
        self._tell()

    def _tell(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._told >= PROGRESS_INTERVAL:
            if self._later is not None:
                self._later.cancel()
                self._later = None
            self._told = now
            self._emit(self._progress.event(now))
        elif self._later is None:
            # What comes now is told in a moment, also when nothing more comes after it.
            self._later = asyncio.get_running_loop().call_later(PROGRESS_INTERVAL, self._tell_now)

    def _tell_now(self) -> None:
        self._later = None
        self._tell(always=True)
