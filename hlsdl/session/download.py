"""The story of a download: from a source to a sealed bundle, told top to bottom by `download`.

Each call is a room: `transfer` brings bytes, `playlist` and `planning` turn them into a plan, `bundle` keeps them.
Resuming is the same story with a shorter remainder: what the journal already has is not asked for again.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.to_thread import run_sync as in_thread

from hlsdl.bundle.durable import require_space
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import HlsdlError, HttpError
from hlsdl.planning.plan import DownloadPlan, Resource
from hlsdl.planning.reasons import rendition_label, variant_label
from hlsdl.planning.selection import Selection
from hlsdl.session import events
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import Contents, lay_out, read_artwork, same_wishes, seal, stored_documents, wishes_of
from hlsdl.session.events import Emit, ignore
from hlsdl.session.presentation import (
    Documents,
    choose,
    read_root,
    read_streams,
    refuse_protected,
    refuse_unfinished,
)
from hlsdl.session.progress import Progress
from hlsdl.session.sources import Source, find_bundle, place_for, title_of
from hlsdl.session.together import together
from hlsdl.transfer.client import Client
from hlsdl.transfer.sink import Sink

PROGRESS_INTERVAL = 0.1
"""Seconds between two progress events."""
GONE = frozenset({404, 410})
"""The answers that `allow_gaps` takes for a segment that is lost for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What one run brought."""

    segments: int = 0
    bytes: int = 0
    reused_segments: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """The end of the story."""

    bundle: Bundle
    fetched: Fetched

    def document(self) -> dict[str, Any]:
        """The bundle and this run as `hlsdl.bundle/1`."""
        return {**self.bundle.document(), "fetched": asdict(self.fetched)}


async def download(source: Source, options: FetchOptions, emit: Emit = ignore) -> Downloaded:
    """Bring `source` into a sealed bundle, going on with what an earlier run left.

    Raises:
        HlsdlError: of the kind that says what stopped it; what is on disk stays sound and resumable.
    """
    started = time.monotonic()
    artwork = read_artwork(options.artwork)
    existing = find_bundle(source, options)
    before = _bundle_before(existing, options)
    if before is not None and before.state == "complete" and same_wishes(before.manifest, options.preferences):
        return Downloaded(bundle=before, fetched=Fetched(reused_segments=before.segments))
    async with Client(options.transfer, source.url, base_url=source.base_url) as client:
        documents = Documents(client, stored_documents(before))
        root = await read_root(documents, source)
        wishes = wishes_of(before, options.preferences)
        selection = choose(root, wishes)
        plan = await read_streams(documents, root, selection)
        refuse_unfinished(plan)
        if not options.keep_protected:
            refuse_protected(plan)
        title = before.title if before else title_of(source, root.master, options.title)
        contents = Contents(
            source=source, root=root, title=title, wishes=wishes, plan=plan, documents=documents, artwork=artwork
        )
        path = existing or place_for(title, options)
        async with _writing(path, start_over=before is None) as writer:
            _announce(emit, contents, selection, path, resumed=before is not None)
            await in_thread(partial(lay_out, writer, contents))
            await _fetch_keys(client, writer, plan)
            await _fetch_data(client, writer, contents, emit)
            segments = _Segments(client, writer, contents, options, emit)
            fetched = await segments.fetch()
            emit(events.Sealing(task=title))
            await in_thread(partial(seal, writer, contents, absent=frozenset(segments.absent)))
    fetched = replace(fetched, seconds=round(time.monotonic() - started, 3))
    bundle = Bundle.open(path)
    _announce_end(emit, bundle, fetched)
    return Downloaded(bundle=bundle, fetched=fetched)


def _bundle_before(existing: Path | None, options: FetchOptions) -> Bundle | None:
    """What an earlier run left and this one may go on with."""
    if existing is None or options.force:
        return None
    bundle = Bundle.open(existing)
    return bundle if options.resume or bundle.state == "complete" else None


@asynccontextmanager
async def _writing(path: Path, *, start_over: bool) -> AsyncIterator[BundleWriter]:
    """The bundle's writer; however the story ends, what has come is checkpointed."""
    writer = await in_thread(partial(BundleWriter.open, path, force=start_over))
    try:
        yield writer
    finally:
        # Also while the task is being cancelled: closing is what makes the last seconds' work survive a power cut.
        with anyio.CancelScope(shield=True):
            await in_thread(writer.close)


async def _fetch_keys(client: Client, writer: BundleWriter, plan: DownloadPlan) -> None:
    """Every distinct identity key, once, at the same time."""

    async def fetch(key: Resource) -> None:
        body = await client.read(key.url, kind="key", limit=key.limit)
        await in_thread(writer.put, key.path, body.data)

    await together(fetch(key) for key in plan.keys if not writer.is_stored(key.path))


async def _fetch_data(client: Client, writer: BundleWriter, contents: Contents, emit: Emit) -> None:
    """Session data. A film plays without it, so what the server does not have is reported and left out."""
    for item in contents.plan.data:
        if writer.is_stored(item.path):
            continue
        try:
            body = await client.read(item.url, kind="data", limit=item.limit)
        except HttpError as error:
            emit(events.Warned(task=contents.title, message=f"session data is left out: {error.message}"))
            continue
        await in_thread(writer.put, item.path, body.data)


class _Segments:
    """The long part: init sections and segments, in play order, with progress."""

    def __init__(
        self, client: Client, writer: BundleWriter, contents: Contents, options: FetchOptions, emit: Emit
    ) -> None:
        self.absent: set[str] = set()
        """Paths of segments that the origin no longer has, with `allow_gaps`."""
        self._client, self._writer, self._contents = client, writer, contents
        self._allow_gaps, self._emit = options.allow_gaps, emit
        self._progress = Progress.of(contents.plan, contents.title)
        self._told = 0.0
        self._segments = self._bytes = 0

    async def fetch(self) -> Fetched:
        remaining: list[Resource] = []
        for resource in self._contents.plan.resources:
            entry = self._writer.entries.get(resource.path)
            if entry is None:
                remaining.append(resource)
            else:
                self._progress.finished(resource, entry.size)
        reused = self._progress.segments_done
        require_space(self._writer.path, self._progress.total_bytes() - self._progress.completed_bytes)
        self._tell(always=True)
        await self._client.fetch_all(
            remaining, self._sink, self._finished, on_bytes=self._arrived, forgive=self._forgive
        )
        self._tell(always=True)
        return Fetched(segments=self._segments, bytes=self._bytes, reused_segments=reused)

    def _sink(self, resource: Resource) -> Sink:
        return self._writer.sink(resource.path, limit=resource.limit)

    async def _finished(self, resource: Resource, sink: Sink) -> None:
        entry = await sink.finish()  # type: ignore[attr-defined]
        self._progress.finished(resource, entry.size)
        self._segments += resource.kind == "segment"
        self._bytes += entry.size
        self._tell()

    def _forgive(self, resource: Resource, error: HlsdlError) -> bool:
        """Whether this permanent failure becomes a gap instead of the end."""
        if not (self._allow_gaps and resource.kind == "segment" and error.http_status in GONE):
            return False
        self.absent.add(resource.path)
        message = f"segment {resource.sequence} is gone at the origin and becomes a gap: {error.message}"
        self._emit(events.Warned(task=self._contents.title, message=message))
        return True

    def _arrived(self, size: int) -> None:
        self._progress.arrived(size, time.monotonic())
        self._tell()

    def _tell(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._told >= PROGRESS_INTERVAL:
            self._told = now
            self._emit(self._progress.event(now))


def _announce(emit: Emit, contents: Contents, selection: Selection, path: Path, *, resumed: bool) -> None:
    title = contents.title
    emit(events.WillDownloadTo(task=title, path=path, resumed=resumed))
    emit(
        events.VariantsChosen(
            task=title,
            variants=tuple(variant_label(one) for one in selection.variants),
            because=tuple(choice.because for choice in selection.choices if choice.what == "variant"),
        )
    )
    emit(
        events.SelectionResolved(
            task=title,
            audio=tuple(rendition_label(one) for one in selection.audio),
            subtitles=tuple(rendition_label(one) for one in selection.subtitles),
        )
    )
    for message in contents.warnings():
        emit(events.Warned(task=title, message=message))


def _announce_end(emit: Emit, bundle: Bundle, fetched: Fetched) -> None:
    emit(
        events.DidFinishDownloading(
            task=bundle.title,
            path=bundle.path,
            bytes=bundle.bytes,
            segments=bundle.segments,
            reused_segments=fetched.reused_segments,
            seconds=fetched.seconds,
        )
    )
