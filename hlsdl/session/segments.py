"""The long part of a download: init sections and segments in play order, with progress, over sources that move.

What does not come under its URL may come under another one: that is `renewal`'s. Here it is said when to ask, and when
the parts of one file are in doubt.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from hlsdl.bundle.durable import require_space
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.partial import TINY, PartialFile
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import HlsdlError, HttpError, IntegrityError
from hlsdl.planning.moving import other_bytes
from hlsdl.planning.plan import Resource
from hlsdl.session import events
from hlsdl.session.events import Emit
from hlsdl.session.gaps import gaps_of
from hlsdl.session.moves import Moves
from hlsdl.session.progress import Progress
from hlsdl.session.renewal import OF_THE_ORIGIN, Renewal
from hlsdl.session.versions import Versions
from hlsdl.transfer.client import Client
from hlsdl.transfer.fetching import no_whole_blocks
from hlsdl.transfer.lane import Done
from hlsdl.transfer.sink import Sink, Validator

PROGRESS_INTERVAL = 0.1
"""Seconds between two progress events."""
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

    What was found damaged must be what it was when it comes again (`BundleWriter.expected`), so for its sake the
    playlists need not be asked whether this is still the same stream.
    """

    most_bytes = TINY
    """Of a body that is stored the short way."""

    def __init__(
        self,
        client: Client,
        writer: BundleWriter,
        moves: Moves,
        renewal: Renewal,
        *,
        title: str,
        allow_gaps: bool = False,
        asks_again: bool = False,
        keeps_flaws: bool = False,
        emit: Emit,
    ) -> None:
        """For the objects of `moves.plan`.

        Args:
            client: brings them.
            writer: stores them.
            moves: the plan, and where its objects are now.
            renewal: finds another way when one does not come.
            title: of the task, for events.
            allow_gaps: whether a segment that the origin has lost becomes a gap.
            asks_again: whether those that are gaps already are asked for once more; what is still lost stays a gap.
            keeps_flaws: whether what was sealed and is damaged stays as it is when its like does not come.
            emit: hears of progress and of gaps.
        """
        self._gaps = gaps_of(writer.manifest, moves.plan, writer.entries)
        self.absent: set[str] = set() if asks_again else set(self._gaps)
        """Paths of segments that the origin no longer has and that may be gaps."""
        self._client, self._writer, self._renewal = client, writer, renewal
        self._title, self._moves, self._allow_gaps, self._emit = title, moves, allow_gaps, emit
        self._expected = writer.expected
        self._were_damaged = frozenset(writer.wanted)
        self._may_stay = frozenset(writer.flaws()) if keeps_flaws else frozenset()
        self._stay: set[str] = set()
        """Paths of what is damaged and stays so."""
        self._progress = Progress.of(moves.plan, title)
        self._told = 0.0
        self._is_over = False
        self._later: asyncio.TimerHandle | None = None
        """The next time that progress is told, when something was kept back."""
        self._unheard: Exception | None = None
        """What a listener raised when nobody waited for it."""
        self._arrived = Arrived()
        self._failure: tuple[Resource, HlsdlError] | None = None
        self._lost: HlsdlError | None = None
        """Why the first of the absent segments did not come."""
        self._versions = Versions()
        self._is_in_doubt = False
        """Whether a part of a file came in another version than the parts before it."""

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
        for resource in self._renewal.plan.resources:
            entry = self._writer.entries.get(resource.path)
            if entry is not None:
                self._progress.finished(resource, entry.size)
        self._arrived.reused_segments = self._progress.segments_done
        require_space(self._writer.path, self._progress.bytes_needed())
        self._tell(always=True)
        unproven = [resource for resource in self._remaining() if resource.path not in self._expected]
        if self._moves.is_stale(unproven) and not self._renewal.is_read_again:
            # What is left of an earlier run must still be what it was: two encodes are never mixed.
            await self._renewal.read_again()
        # An earlier run may have ended before it could compare; a repair with a proof of all that comes need not ask.
        self._is_in_doubt = bool(unproven or not self._expected)
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
                given_up=lambda: self._failure is not None,
            )
            if self._failure is not None:
                await self._renewal.way_round(*self._failure)
            await self._settle_doubts()
        if self._lost is not None and not self._progress.segments_done:
            raise self._lost  # gaps and nothing else are no film
        self._tell(always=True)

    def _remaining(self) -> list[Resource]:
        return [
            resource
            for resource in self._renewal.plan.resources
            if resource.path not in self._writer.entries
            and resource.path not in self.absent
            and resource.path not in self._stay
        ]

    async def _settle_doubts(self) -> None:
        """Ask again for a part of each version of a file; only when both are there as stored do they belong together.

        Servers behind one name may give one file several names, so that another ETag alone proves nothing.

        Raises:
            IntegrityError: the file has changed; its parts of the later version are forgotten.
        """
        while self._is_in_doubt and (doubt := self._doubt()) is not None:
            part, entry = doubt
            try:
                await self._compare(part)
            except HttpError as error:  # its URL may have expired meanwhile
                await self._renewal.way_round(part, error)
            else:
                self._versions.accept(part, entry)
        self._is_in_doubt = False

    def _doubt(self) -> tuple[Resource, Entry] | None:
        return self._versions.doubted_of(self._renewal.plan.resources, self._writer.entries)

    async def _compare(self, doubted: Resource) -> None:
        resources, entries = self._renewal.plan.resources, self._writer.entries
        for one in self._versions.parts_to_compare(doubted, resources, entries):
            if not await self._renewal.is_as_stored(one):
                for path in self._versions.paths_like(doubted, resources, entries):
                    # What has taken the place of something damaged leaves no hole.
                    (self._writer.want if path in self._were_damaged else self._writer.forget)(path)
                raise other_bytes(one.path)

    def _sink(self, resource: Resource) -> Sink:
        return self._writer.sink(resource.path, limit=resource.limit)

    def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
        """Store a small whole body that came the short way."""
        self._writer.put_soon(resource.path, body, validator=validator, told=partial(self._kept, resource, done))

    def _kept(self, resource: Resource, done: Done, answer: Entry | BaseException) -> None:
        if self._is_over:
            return
        if isinstance(answer, BaseException):
            done(None if isinstance(answer, IntegrityError) and self._stays(resource) else answer)
            return
        try:
            self._accept(resource, answer)
        except BaseException as error:  # noqa: BLE001 - handed to who waits for the job
            done(error)
        else:
            done(None)

    async def _finished(self, resource: Resource, sink: Sink) -> None:
        assert isinstance(sink, PartialFile)  # noqa: S101 - `_sink` made it
        try:
            if sink.size % resource.block:  # as a part of a file it comes past `fetching`
                raise no_whole_blocks(resource)
            entry = await sink.finish()
        except IntegrityError:  # other bytes than it had
            if not self._stays(resource):
                raise
        else:
            self._accept(resource, entry)

    def _accept(self, resource: Resource, entry: Entry) -> None:
        """Count an object that is stored."""
        is_proven = entry.path in self._expected  # else it would not have been stored
        if not is_proven and resource.byte_range is not None and not self._versions.fits(resource, entry):
            self._is_in_doubt = True
        self._progress.finished(resource, entry.size)
        self._arrived.segments += resource.kind == "segment"
        self._arrived.bytes += entry.size
        self._tell()

    def _forgive(self, resource: Resource, error: HlsdlError) -> bool:
        """Whether to go on after this failure: as a gap, or to look for a way round it."""
        is_here = resource.path in self._writer.wanted  # with a flaw, which is more than a gap
        if isinstance(error, OF_THE_ORIGIN) and self._stays(resource):
            return True
        may_be_gap = resource.kind == "segment" and (self._allow_gaps or resource.path in self._gaps)
        if is_here or not may_be_gap or error.http_status not in GONE:
            if isinstance(error, OF_THE_ORIGIN):
                self._failure = self._failure or (resource, error)
                return True
            return False
        self.absent.add(resource.path)
        self._lost = self._lost or error
        stays = "stays" if resource.path in self._gaps else "becomes"
        self._warn(f"segment {resource.sequence} is gone at the origin and {stays} a gap: {error.message}")
        return True

    def _stays(self, resource: Resource) -> bool:
        """Whether this may stay as damaged as it is; it is not asked for again."""
        may_stay = resource.path in self._may_stay and resource.path in self._writer.wanted
        if may_stay:
            self._stay.add(resource.path)
        return may_stay

    def _warn(self, message: str) -> None:
        self._emit(events.Warned(task=self._title, message=message))

    def _on_bytes(self, size: int) -> None:
        self._progress.rate.arrived(size, time.monotonic())
        self._tell()

    def _tell(self, *, always: bool = False) -> None:
        if self._unheard is not None:
            raise self._unheard
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
        try:
            self._tell(always=True)
        except Exception as error:  # noqa: BLE001 - raised as from any other call, by the next one
            self._unheard = error
