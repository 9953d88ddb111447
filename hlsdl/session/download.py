"""The story of a download: from a source to a sealed bundle, told top to bottom by `download`.

Each call is a room: `transfer` brings bytes, `playlist` and `planning` turn them into a plan, `bundle` keeps them.
Resuming is the same story with a shorter remainder: what the journal already has is not asked for again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

from hlsdl.bundle.layout import ARTWORK
from hlsdl.bundle.threads import in_thread
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, HlsdlError, IntegrityError, LockedError, PolicyError
from hlsdl.planning.plan import DownloadPlan, Resource
from hlsdl.planning.reasons import rendition_label, variant_label
from hlsdl.planning.selection import Selection
from hlsdl.session import events
from hlsdl.session.artwork import Artwork, read_artwork
from hlsdl.session.begun import Begun, Watch, recall, unwatched
from hlsdl.session.bundles import Bundle
from hlsdl.session.closing import closing
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import (
    Contents,
    lay_out,
    require_as_claimed,
    seal,
    stored_documents,
    streams_without_playlists,
    unproven,
)
from hlsdl.session.copies import from_copies
from hlsdl.session.events import Emit, ignore
from hlsdl.session.gaps import told_of
from hlsdl.session.keys import fetch_keys
from hlsdl.session.moves import Addresses, Moves
from hlsdl.session.outcome import Downloaded, Fetched, ended
from hlsdl.session.places import find_bundle, is_for, passed_over, place_for
from hlsdl.session.presentation import (
    Documents,
    read_root,
    read_streams,
    refuse_empty,
    refuse_protected,
    refuse_unfinished,
)
from hlsdl.session.provenance import client_of, lacks_mark, mark
from hlsdl.session.renewal import OF_THE_ORIGIN, Renewal
from hlsdl.session.same_streams import choose_again, require_all_of, told_of_stored
from hlsdl.session.segments import GONE, Arrived, SegmentWork
from hlsdl.session.sources import Source, title_of
from hlsdl.session.wholeness import asks_for_nothing_new, bundle_before, has_changed, is_whole, tidy
from hlsdl.session.wishes import asked_so_far
from hlsdl.transfer.client import Client

LOOKS_FOR_A_NAME, LOOK_INTERVAL = 100, 0.05
"""How often, and after how many seconds, a name is looked at again that another run took before it said for which
source: that takes it a moment."""


async def download(
    source: Source,
    options: FetchOptions,
    emit: Emit = ignore,
    *,
    named: Collection[str] | None = None,
    anew: bool = False,
    watch: Watch = unwatched,
    opened: Client | None = None,
    damaged: Mapping[str, str | None] | None = None,
) -> Downloaded:
    """Bring `source` into a sealed bundle, going on with what an earlier run left.

    Args:
        source: what to fetch.
        options: what of it, how, and where to.
        emit: hears every event.
        named: for adding: the wishes' fields that were named, whose streams come back even if they were dropped.
        anew: whether what the wishes name comes back, too, where they were made before it was dropped.
        watch: is told everything that is known before the first segment.
        opened: a client for this source, which stays open; None: one of its own.
        damaged: for repairing: the paths of objects that must come again, and the SHA-256 that each of them must have.
            All else of the bundle is looked at, too, and made again, and what is a gap is asked for once more.

    Raises:
        HlsdlError: of the kind that says what stopped it; what is on disk stays sound and resumable.
    """
    started = time.monotonic()
    artwork = read_artwork(options.artwork)
    existing = find_bundle(source, options)
    before = bundle_before(existing, options)
    mends = before is not None and not named and asks_for_nothing_new(before, options, artwork, anew=anew)
    repairs = damaged is not None
    is_named_so = before is not None and options.title in (None, before.title)
    if before is not None and mends and is_named_so and not repairs and is_whole(before):
        return await _as_it_is(source, options, before, emit, watch)
    opening = nullcontext(opened) if opened else client_of(source, options.transfer, before)
    async with opening as client:
        contents, selection = await _chosen(client, source, options, before, artwork=artwork, named=named, anew=anew)
        async with _writing(source, options, contents.title, existing, before) as writer:
            await in_thread(_want, writer, damaged or {}, before, contents.plan)
            _announce(emit, contents, selection, writer.path, options, resumed=before is not None)
            watch(_begun(contents, selection, writer.path, writer.entries, resumed=before is not None))
            arrived, absent = await _brought(client, writer, contents, options, mends=mends, repairs=repairs, emit=emit)
            _warn(emit, contents, (*unproven(writer.entries), *_given_up(writer, before)))
            emit(events.Sealing(task=contents.title))
            await in_thread(partial(seal, writer, contents, absent=absent, keeps_flaws=not (mends or repairs)))
            bundle = sealed(writer)
    return ended(emit, bundle, arrived, seconds=time.monotonic() - started)


async def _as_it_is(source: Source, options: FetchOptions, before: Bundle, emit: Emit, watch: Watch) -> Downloaded:
    """A bundle that has all that is asked for: nothing of it is written but what it should know, and tidied."""
    if lacks_mark(source, before):
        await _mark(source, before, emit)
    await in_thread(tidy, before)
    if gaps := before.manifest.gaps:
        emit(events.Warned(task=before.title, message=told_of(gaps)))
    if watch is not unwatched:
        watch(await recall(source, options, before))
    return Downloaded(bundle=before, fetched=Fetched(reused_segments=before.segments))


async def _mark(source: Source, before: Bundle, emit: Emit) -> None:
    """Write down in a bundle that has all that its source was named here; without that it is as whole as before."""
    try:
        await in_thread(partial(mark, source, before))
    except (DiskError, IntegrityError, LockedError, PolicyError) as error:
        told = f"the bundle cannot be marked as one whose source was named here: {error.message}"
        emit(events.Warned(task=before.title, message=told))


def _want(writer: BundleWriter, damaged: Mapping[str, str | None], before: Bundle | None, plan: DownloadPlan) -> None:
    """Say what must come again: what is known to be damaged, and what cannot be what once arrived."""
    for path, was in damaged.items():
        if writer.is_stored(path) or path in writer.wanted:
            writer.want(path, was)
    if before is not None and not all(entry.length_verified for entry in writer.entries.values()):
        from hlsdl.session.adopted import want_what_cannot_be_whole  # reads XML and media, which is rarely needed

        want_what_cannot_be_whole(writer, before, plan)


def _given_up(writer: BundleWriter, before: Bundle | None) -> Iterable[str]:
    """What is damaged or missing and did not come again: one sentence each."""
    yield from (f"`{path}` is damaged, and did not come again" for path in sorted(writer.wanted))
    for one in before.manifest.documents if before is not None else ():
        is_there = one.path in writer.entries or one.path in writer.wanted
        if one.category == "artwork" and not is_there and not any(path.startswith(ARTWORK) for path in writer.entries):
            yield f"the picture `{one.path}` is missing and left out: `hlsdl add --artwork` brings another"


async def _chosen(
    client: Client,
    source: Source,
    options: FetchOptions,
    before: Bundle | None,
    *,
    artwork: Artwork | None,
    named: Collection[str] | None,
    anew: bool,
) -> tuple[Contents, Selection]:
    """Read the playlists, those that are stored from the bundle; choose, and plan."""
    documents = Documents(client, stored_documents(before))
    root = await read_root(documents, source)
    asked = asked_so_far(before).and_now(options.wishes, root.master, named, anew=anew)
    with told_of_stored(source.url in documents.stored):
        selection = choose_again(before, root, asked)
    require_all_of(before, selection, asked)
    if source.url in documents.stored:
        documents.address_now = Addresses(client, source, root, asked, renew=options.renew).now
    plan = await read_streams(documents, root, selection)
    refuse_unfinished(plan)
    refuse_empty(plan)
    if not options.keep_protected:
        refuse_protected(plan)
    bereft = streams_without_playlists(before, plan, documents.stored)
    require_as_claimed(before, [stream for stream in plan.streams if stream.id in bereft])
    title = before.title if before and not options.title else title_of(source, root.master, options.title)
    contents = Contents(
        source=source,
        root=root,
        title=title,
        asked=asked,
        plan=plan,
        documents=documents,
        bereft=bereft,
        artwork=artwork,
    )
    return contents, selection


def sealed(writer: BundleWriter) -> Bundle:
    """The bundle that was sealed just now; DiskError when it is no longer at its place."""
    assert writer.manifest is not None  # noqa: S101 - `seal` wrote it
    if not writer.is_at_its_place:
        raise DiskError(
            f"the bundle was moved away from `{writer.path}` while it was written",
            hint="it is complete where it is now; `hlsdl verify` there says so",
        )
    return Bundle.as_written(writer.path, writer.manifest, writer.entries)


@asynccontextmanager
async def _writing(
    source: Source, options: FetchOptions, title: str, existing: Path | None, before: Bundle | None
) -> AsyncIterator[BundleWriter]:
    """The bundle's writer; however the story ends, what has come is checkpointed."""
    known = before.journal if before is not None else None
    opened: list[BundleWriter] = []

    def try_to_open() -> bool:
        """False when another source took the name since, or somebody of whom nothing can be said yet."""
        path = existing or place_for(title, options)
        # In this order: a name that is free no more because of this very source is seen for what it is.
        if existing is None and options.output is None and (begun := find_bundle(source, options)) is not None:
            raise LockedError(f"another run began `{begun}` a moment ago", hint="wait for it, then run this again")
        starts_over = existing is not None and before is None
        if starts_over and bundle_before(existing, options) is not None:
            raise LockedError(f"another run has finished `{path}` meanwhile", hint="run this again")
        try:
            writer = BundleWriter.open(path, force=starts_over, anew=True, known=known)
        except LockedError:
            if existing is not None or options.output is not None:
                raise
            return False
        opened.append(writer)
        is_ours = existing is not None or is_for(source, path)
        if is_ours and has_changed(before.manifest if before is not None else None, writer.manifest):
            raise LockedError(f"another run has changed `{path}` meanwhile", hint="run this again")
        return is_ours

    async with closing(opened):
        for looks in range(LOOKS_FOR_A_NAME):
            if await in_thread(try_to_open):
                break
            while opened:
                await in_thread(opened.pop().close)
            await asyncio.sleep(LOOK_INTERVAL if looks else 0)
        else:
            raise LockedError(f"another process works on `{place_for(title, options)}`")
        yield opened[0]


async def _brought(
    client: Client,
    writer: BundleWriter,
    contents: Contents,
    options: FetchOptions,
    *,
    mends: bool,
    repairs: bool,
    emit: Emit,
) -> tuple[Arrived, frozenset[str]]:
    """Everything that is stored: what came of it in this run, and the paths of segments that are gone for good."""
    moves = Moves(client, contents, renew=options.renew)
    renewal = Renewal(
        client,
        writer,
        moves,
        keys_are_given=options.key_provider is not None,
        warn=lambda message: emit(events.Warned(task=contents.title, message=message)),
    )
    await renewal.prove_stored(contents.bereft | (from_copies(writer.manifest) & _unfinished(contents.plan, writer)))
    await in_thread(partial(lay_out, writer, contents, mends=mends))
    # What was sealed with a flaw stays so when something is added: its origin may be gone.
    keeps_flaws = not (mends or repairs)
    await fetch_keys(client, writer, renewal, options.key_provider, keeps_flaws=keeps_flaws)
    lost = await _fetch_data(writer, renewal)
    work = SegmentWork(
        client,
        writer,
        moves,
        renewal,
        title=contents.title,
        allow_gaps=options.allow_gaps,
        asks_again=repairs,
        keeps_flaws=keeps_flaws,
        emit=emit,
    )
    arrived = await work.fetch()
    for item, error in lost:
        is_gone = error.http_status in GONE and item.path not in writer.wanted  # here and there
        if mends and item.path in writer.expected and not is_gone:
            raise error  # it was there once: the bundle stays as it is until it is there again
        told = f"session data is left out: {error.message}"
        emit(events.Warned(task=contents.title, message=told))
    return arrived, frozenset(work.absent)


def _unfinished(plan: DownloadPlan, writer: BundleWriter) -> frozenset[str]:
    """The streams of which something is still to come."""
    stored = writer.entries
    return frozenset(stream.id for stream in plan.streams if any(one.path not in stored for one in stream.resources))


async def _fetch_data(writer: BundleWriter, renewal: Renewal) -> list[tuple[Resource, HlsdlError]]:
    """Session data. A film plays without it; returns what does not come, and why."""
    lost: list[tuple[Resource, HlsdlError]] = []
    for item in renewal.plan.data:
        if writer.is_stored(item.path):
            continue
        try:
            data = await renewal.read(item)
        except (*OF_THE_ORIGIN, DiskError) as error:  # a file beside a local playlist may not be there
            lost.append((item, error))
            continue
        try:
            await in_thread(writer.put, item.path, data)
        except IntegrityError as error:  # it is another one now than the one that was here
            lost.append((item, error))
    return lost


def _announce(
    emit: Emit, contents: Contents, selection: Selection, path: Path, options: FetchOptions, *, resumed: bool
) -> None:
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
    _warn(emit, contents, contents.warnings())
    if not resumed and options.output is None:
        _warn(emit, contents, passed_over(path, title))


def _warn(emit: Emit, contents: Contents, messages: Iterable[str]) -> None:
    for message in messages:
        emit(events.Warned(task=contents.title, message=message))


def _begun(contents: Contents, selection: Selection, path: Path, stored: Collection[str], *, resumed: bool) -> Begun:
    return Begun(
        path=path,
        title=contents.title,
        resumed=resumed,
        master=contents.root.master,
        wishes=contents.asked.wishes,
        selection=selection,
        plan=contents.plan,
        stored=stored,
    )
