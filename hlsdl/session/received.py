"""A package that somebody gave us, understood: what it holds, as a plan of ours, and where in it each object is.

Two kinds are read: bundles of hlsdl, which know what they were asked for and the SHA-256 of everything, and packages of
other programs, of which nothing but their package files and playlists is known. Both end as the same contents, planned
from the stored source playlists like every download, so that all playlists of the new bundle are made here.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from hlsdl.bundle.journal import Entry
from hlsdl.bundle.manifest import StoredStream
from hlsdl.bundle.movie_package import MoviePackage, PackagedStream, PackageFolder, read_package, without_streams
from hlsdl.bundle.movpkg_reading import ListedObject
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import HlsdlError, IntegrityError, LimitError, PlaylistError
from hlsdl.planning.naming import place_of
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan
from hlsdl.planning.preferences import ALL, Preferences
from hlsdl.planning.selection import Selection, StreamSource
from hlsdl.playlist.addresses import Base
from hlsdl.playlist.models import MultivariantPlaylist
from hlsdl.session.artwork import MOST_ARTWORK_BYTES, Artwork, read_artwork
from hlsdl.session.contents import Contents, stored_contents
from hlsdl.session.presentation import LIMITS, Document, Documents, Root, choose, parse_root, plan_streams
from hlsdl.session.sources import Source, title_of
from hlsdl.session.wishes import Asked, asked_in
from hlsdl.transfer.sink import Validator

EVERYTHING = Preferences(variants="all", audio=(ALL,), subtitles=(ALL,), iframes=True)
"""The wish that leads to every stream of a source; what a package has not counts as dropped from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a package has an object, and what it says of it."""

    path: str
    """Relative to the package."""
    size: int | None
    """Bytes; None where nothing is said."""
    sha256: str | None = None
    validator: Validator = field(default_factory=Validator)
    length_verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a package holds."""

    contents: Contents
    places: Mapping[str, Place]
    """By the path that the object gets."""
    absent: frozenset[str] = frozenset()
    """The paths of segments that its source had no more when the package was made: gaps."""
    left_out: tuple[str, ...] = ()
    """What of it cannot be used, one sentence each."""


def receive(folder: PackageFolder, title: str | None = None) -> Received:
    """Understand a package.

    Raises:
        UsageError: it is none.
        IntegrityError: it is damaged, or its playlists do not lead to what it says that it holds.
        PlaylistError, PolicyError, LimitError: what is in it cannot be meant.
    """
    return _from_bundle(folder, title) if folder.is_bundle else _from_package(folder, title)


def all_of(plan: DownloadPlan) -> Iterator[Resource]:
    """Every object of a plan, keys first."""
    yield from plan.keys
    yield from plan.data
    yield from plan.resources


def _from_bundle(folder: PackageFolder, title: str | None) -> Received:
    bundle = Bundle.open(folder.path)
    contents = stored_contents(bundle, asked_in(bundle.manifest))
    if {stream.id for stream in contents.plan.streams} != {stream.id for stream in bundle.streams}:
        raise IntegrityError(
            "the package's playlists do not lead to the streams that it has",
            hint="`hlsdl fetch` of its source makes a new one",
        )
    artwork, left_out = _artwork(folder, bundle)
    places = {
        one.path: _as_journalled(entry)
        for one in all_of(contents.plan)
        if (entry := bundle.entries.get(one.path)) is not None
    }
    return Received(
        contents=replace(contents, title=title or bundle.title, artwork=artwork),
        places=places,
        absent=_gaps(bundle, contents.plan),
        left_out=left_out,
    )


def _as_journalled(entry: Entry) -> Place:
    return Place(
        path=entry.path,
        size=entry.size,
        sha256=entry.sha256,
        validator=Validator(etag=entry.etag, last_modified=entry.last_modified),
        length_verified=entry.length_verified,
    )


def _gaps(bundle: Bundle, plan: DownloadPlan) -> frozenset[str]:
    """Segments that a complete bundle never had: as many as its manifest counts beyond those of the playlists."""
    claims: dict[str, StoredStream] = {claim.id: claim for claim in bundle.streams}
    absent: list[str] = []
    for stream in plan.streams if bundle.state == "complete" else ():
        lacking = [one.path for one in stream.resources if one.kind == "segment" and one.path not in bundle.entries]
        if len(lacking) == claims[stream.id].gaps - stream.gaps:
            absent += lacking
    return frozenset(absent)


def _artwork(folder: PackageFolder, bundle: Bundle) -> tuple[Artwork | None, tuple[str, ...]]:
    """The picture of a bundle, and what is wrong with it; the film does not need it."""
    for document in bundle.manifest.documents:
        entry = bundle.entries.get(document.path) if document.category == "artwork" else None
        if entry is None:
            continue
        try:
            data = folder.read(document.path, limit=MOST_ARTWORK_BYTES)
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                return None, (f"the picture is left out: `{document.path}` is damaged",)
            return read_artwork(data), ()
        except HlsdlError as error:
            return None, (f"the picture is left out: {error.message}",)
    return None, ()


def _from_package(folder: PackageFolder, title: str | None) -> Received:
    package = read_package(folder)
    if not package.streams:
        raise IntegrityError(
            f"the package has no stream that can be used: {'; '.join(package.left_out) or 'it lists none'}"[:500],
            hint="`hlsdl fetch` of its source makes a bundle",
        )
    source, root, documents = _root_of(package)
    selection, found, dropped = _chosen(package, root)
    used = {one.folder for one in found.values()}
    unused = [one.folder for one in package.streams if one.folder not in used]
    left_out = [without_streams("that the multivariant playlist has not got", unused)] if unused else []
    for stream in selection.streams:
        packaged = found[stream.id]
        documents[stream.url] = Document(data=packaged.playlist, url=stream.url, final_url=packaged.network_url)
    texts = [documents[stream.url] for stream in selection.streams] if root.master else []
    plan = plan_streams(root, selection, texts)
    contents = Contents(
        source=source,
        root=root,
        title=title_of(source, root.master, title),
        asked=Asked(wishes=(EVERYTHING,), dropped=frozenset(dropped)),
        plan=plan,
        documents=Documents(None, documents),
    )
    places = {path: place for one in plan.streams for path, place in _places(found[one.id], one)}
    return Received(contents=contents, places=places, left_out=(*package.left_out, *left_out))


def _root_of(package: MoviePackage) -> tuple[Source, Root, dict[str, Document]]:
    """The playlist that the package is of: the multivariant one with most of its streams, else its only stream's.

    Raises:
        IntegrityError: there are several streams, and nothing says what they have to do with each other.
    """
    best: tuple[int, Root] | None = None
    urls = {_spelt(stream.network_url) for stream in package.streams}
    master_url = package.boot.master_url
    for text in package.playlists if master_url else ():
        document = Document(data=text, url=master_url or "", final_url=master_url or "")
        try:
            root = parse_root(document, Source(url=document.url))
        except (PlaylistError, LimitError):
            continue  # one of several, perhaps an older one or a media playlist cut short
        count = len(urls & {_spelt(url) for url in _urls_of(root.master)}) if root.master else 0
        if count and (best is None or count > best[0]):
            best = count, root
    if best is not None:
        return Source(url=best[1].document.url), best[1], {best[1].document.url: best[1].document}
    if len(package.streams) > 1:
        raise IntegrityError(
            "the package has several streams and no multivariant playlist that says how they belong together",
            hint="`hlsdl fetch` of its source makes a bundle",
        )
    only = package.streams[0]
    document = Document(data=only.playlist, url=only.network_url, final_url=only.network_url)
    source = Source(url=only.network_url)
    return source, parse_root(document, source), {document.url: document}


def _urls_of(master: MultivariantPlaylist) -> Iterator[str]:
    yield from (one.uri for one in master.variants)
    yield from (one.uri for one in master.renditions if one.uri is not None)
    yield from (one.uri for one in master.trick_play)


def _chosen(package: MoviePackage, root: Root) -> tuple[Selection, Mapping[str, PackagedStream], frozenset[str]]:
    """The streams of the source that the package has, where it has each, and the ids of those that it has not."""
    everything = choose(root, (EVERYTHING,) if root.master else ())
    by_url = {_spelt(one.network_url): one for one in package.streams}
    found: dict[str, PackagedStream] = {}
    for stream in everything.streams:
        packaged = next((by_url[url] for url in _spellings(stream) if url in by_url), None)
        if packaged is not None:
            found[stream.id] = packaged
    if not found:
        raise IntegrityError("the package has no stream of its own multivariant playlist")
    dropped = frozenset(one.id for one in everything.streams if one.id not in found)
    return everything.without(dropped), found, dropped


def _spellings(stream: StreamSource) -> Iterator[str]:
    yield from map(_spelt, (stream.url, *stream.alternates))


def _spelt(url: str) -> str:
    """A URL as playlists are read here: programs write the same one with and without percent signs."""
    try:
        return Base(url, LIMITS).resolve(url, 0)
    except (PlaylistError, LimitError):
        return url


def _places(packaged: PackagedStream, stream: StreamPlan) -> Iterator[tuple[str, Place]]:
    """Where the package has each object of a stream, if it lists it under the address that the playlist gives it."""
    base = Base(packaged.network_url, LIMITS)
    listed, first = packaged.listing.segments, stream.playlist.segments[0].sequence if stream.playlist.segments else 0
    is_numbered = all(one.sequence is not None for one in listed)
    segments = {one.sequence if is_numbered else first + place: one for place, one in enumerate(listed)}
    inits = sorted(packaged.listing.inits, key=lambda one: one.sequence or 0)
    starts = [one.sequence or 0 for one in inits]
    for resource in stream.resources:
        sequence = resource.sequence or 0
        if resource.kind == "init":
            # An init section goes with the segments from its number on, until another one does.
            place = bisect_right(starts, sequence)
            one = inits[place - 1] if place else None
        else:
            one = segments.get(sequence)
        if one is not None and _is_of(one, resource, base):
            yield resource.path, Place(path=packaged.path_of(one), size=_size(one, resource))


def _is_of(listed: ListedObject, resource: Resource, base: Base) -> bool:
    """Whether a listed object is the one of the playlist: numbers alone would mix two films."""
    if resource.byte_range is not None and listed.offset != resource.byte_range.offset:
        return False
    try:
        return not listed.url or place_of(base.resolve(listed.url, 0))[1] == place_of(resource.url)[1]
    except (PlaylistError, LimitError):
        return False


def _size(listed: ListedObject, resource: Resource) -> int | None:
    if resource.byte_range is not None:
        return resource.byte_range.length
    return listed.length or None
