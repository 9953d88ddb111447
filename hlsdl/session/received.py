"""A package that somebody gave us, understood: what it holds, as a plan of ours, and where in it each object is.

Two kinds are read: bundles of hlsdl, which know what they were asked for and the SHA-256 of everything, and packages of
other programs, of which nothing but their package files and playlists is known. Both end as the same contents, planned
from the stored source playlists like every download, so that all playlists of the new bundle are made here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hlsdl.access.urls import is_address, is_file_url
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.layout import JOURNAL, MANIFEST
from hlsdl.bundle.manifest import LARGEST_MANIFEST
from hlsdl.bundle.movie_package import (
    MoviePackage,
    PackagedStream,
    PackageFolder,
    read_package,
    some_of,
)
from hlsdl.bundle.movpkg_reading import HINT, LARGEST_XML
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import HlsdlError, IntegrityError, LimitError, PlaylistError, PolicyError, SelectionError, UsageError
from hlsdl.planning.plan import DownloadPlan, Resource
from hlsdl.planning.preferences import ALL, Preferences
from hlsdl.planning.selection import Selection
from hlsdl.session.artwork import MOST_ARTWORK_BYTES, Artwork, read_artwork
from hlsdl.session.contents import Contents, stored_contents
from hlsdl.session.gaps import gaps_of
from hlsdl.session.matching import objects_of, spelt, streams_of
from hlsdl.session.presentation import Document, Documents, Root, choose, parse_root, plan_streams
from hlsdl.session.sources import Source, title_of
from hlsdl.session.wishes import Asked, asked_in
from hlsdl.transfer.sink import Validator

EVERYTHING = Preferences(variants="all", audio=(ALL,), subtitles=(ALL,), iframes=True)
"""The wish that leads to every stream of a source; what a package has not counts as dropped from it."""
MOST_WISHES = 50
"""Of a bundle that somebody else made: each is chosen by itself."""


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
    remarks: tuple[str, ...] = ()
    """What of it cannot be used or believed, one sentence each."""


def receive(folder: PackageFolder, title: str | None = None) -> Received:
    """Understand a package.

    Raises:
        UsageError: it is none.
        IntegrityError: it is damaged, or its playlists do not lead to what it says that it holds.
        PolicyError: links or pipes stand in the place of files, or a path leads out of it.
        PlaylistError, LimitError: what is in it cannot be meant.
    """
    try:
        return _from_bundle(folder, title) if folder.is_bundle else _from_package(folder, title)
    except (IntegrityError, PlaylistError) as error:
        error.hint = HINT  # what would help where something is fetched does not help here
        raise
    except SelectionError as error:
        raise IntegrityError(f"what the package was asked for is not in it: {error.message}", hint=HINT) from error


def all_of(plan: DownloadPlan) -> Iterator[Resource]:
    """Every object of a plan, keys first."""
    yield from plan.keys
    yield from plan.data
    yield from plan.resources


def _from_bundle(folder: PackageFolder, title: str | None) -> Received:
    for name in (MANIFEST, JOURNAL):
        folder.size(name)  # no link
    bundle = Bundle.open(folder.path)
    _require_believable(folder, bundle)
    try:
        contents = stored_contents(bundle, asked_in(bundle.manifest))
    except UsageError as error:
        raise IntegrityError(f"what the package was asked for cannot be: {error.message}") from error
    if {stream.id for stream in contents.plan.streams} != {stream.id for stream in bundle.streams}:
        raise IntegrityError("the package's playlists do not lead to the streams that it has")
    artwork, remarks = _artwork(folder, bundle)
    if not bundle.is_seal_intact:
        remarks = (*remarks, f"`{JOURNAL}` of the package is not what was sealed")
    entries = ((one.path, bundle.entries.get(one.path)) for one in all_of(contents.plan))
    return Received(
        contents=replace(
            contents,
            title=title or bundle.title,
            artwork=artwork,
            imported=_identity(folder, folder.read(MANIFEST, limit=LARGEST_MANIFEST)),
        ),
        places={path: _as_journalled(entry) for path, entry in entries if entry is not None},
        absent=gaps_of(bundle.manifest, contents.plan, bundle.entries),
        remarks=remarks,
    )


def _require_believable(folder: PackageFolder, bundle: Bundle) -> None:
    """What a bundle says of itself holds together.

    Raises:
        IntegrityError: its manifest is damaged.
        PolicyError: its source is no address, or one of its documents is a link.
        LimitError: it has more wishes than anybody has.
    """
    manifest = bundle.manifest
    if not manifest.is_intact:
        raise IntegrityError(f"`{MANIFEST}` of the package is damaged")
    if not (is_address(manifest.source_url) or is_file_url(manifest.source_url)):
        raise PolicyError("the source of the package has no address that can be asked", hint=HINT)
    wishes = manifest.choices.get("wishes", ())
    if isinstance(wishes, Sequence) and len(wishes) > MOST_WISHES:
        raise LimitError(f"the package was asked for {len(wishes)} times, and more than {MOST_WISHES} are not believed")
    for document in manifest.documents:
        folder.size(document.path)


def _identity(folder: PackageFolder, entry_file: bytes) -> str:
    """What tells this package, where it is now, from any other: a second run goes on with the very same."""
    return hashlib.sha256(f"{folder.identity}\n".encode() + entry_file).hexdigest()


def _as_journalled(entry: Entry) -> Place:
    return Place(
        path=entry.path,
        size=entry.size,
        sha256=entry.sha256,
        validator=Validator(etag=entry.etag, last_modified=entry.last_modified, complete_length=entry.complete_length),
        length_verified=entry.length_verified,
    )


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
        raise IntegrityError(f"the package has no stream that can be used: {'; '.join(package.left_out) or 'none'}")
    root, everything, found = _root_of(package)
    dropped = frozenset(one.id for one in everything.streams if one.id not in found)
    selection, source = everything.without(dropped), Source(url=root.document.url)
    documents = {source.url: root.document}
    for stream in selection.streams:
        packaged = found[stream.id]
        documents[stream.url] = Document(data=packaged.playlist, url=stream.url, final_url=packaged.network_url)
    plan = plan_streams(root, selection, [documents[one.url] for one in selection.streams] if root.master else [])
    contents = Contents(
        source=source,
        root=root,
        title=title_of(source, root.master, title),
        asked=Asked(wishes=(EVERYTHING,), dropped=dropped),
        plan=plan,
        documents=Documents(None, documents),
        imported=_identity(folder, folder.read(package.boot_file, limit=LARGEST_XML)),
    )
    places = {
        path: Place(path=found[stream.id].path_of(one), size=one.length or None)
        for stream in plan.streams
        for path, one in objects_of(found[stream.id], stream).items()
    }
    remarks = (*package.left_out, *_unused(package, everything, found), *_without_master(package, root))
    return Received(contents=contents, places=places | _session_data(package, plan), remarks=remarks)


def _root_of(package: MoviePackage) -> tuple[Root, Selection, Mapping[str, PackagedStream]]:
    """The playlist that the package is of, all of its streams, and where the package has those that it has.

    That is the multivariant playlist with most of them, else the playlist of the only stream.

    Raises:
        IntegrityError: there are several streams, and nothing says what they have to do with each other.
    """
    best: tuple[Root, Selection, Mapping[str, PackagedStream]] | None = None
    url = package.boot.master_url or ""
    for text in package.playlists if is_address(url) else ():
        try:
            root = parse_root(Document(data=text, url=url, final_url=url), Source(url=url))
            everything = choose(root, (EVERYTHING,)) if root.master else None
        except (PlaylistError, LimitError, SelectionError):
            continue  # one of several, perhaps an older one
        found = streams_of(package.streams, everything.streams) if everything else {}
        if everything is not None and len(found) > (len(best[2]) if best else 0):
            best = root, everything, found
    if best is not None:
        return best
    if len(package.streams) > 1:
        raise IntegrityError(
            "the package has several streams and no multivariant playlist that says how they belong together"
        )
    (only,) = package.streams
    document = Document(data=only.playlist, url=only.network_url, final_url=only.network_url)
    root = parse_root(document, Source(url=only.network_url))
    if root.master is not None:
        raise IntegrityError("the playlist of the package's only stream is a multivariant one")
    everything = choose(root, ())
    return root, everything, {everything.streams[0].id: only}


def _unused(package: MoviePackage, everything: Selection, found: Mapping[str, PackagedStream]) -> Iterator[str]:
    """Say which complete streams of the package are left out, and why."""
    used = {one.folder for one in found.values()}
    urls = {spelt(url) for one in everything.streams for url in (one.url, *one.alternates)}
    unused = [one for one in package.streams if one.folder not in used]
    copies = [f"`{one.folder}`" for one in unused if spelt(one.network_url) in urls]
    others = [f"`{one.folder}`" for one in unused if spelt(one.network_url) not in urls]
    if copies:
        yield f"streams that are copies of others are left out: {some_of(copies)}"
    if others:
        yield f"streams that the multivariant playlist has not got are left out: {some_of(others)}"


def _without_master(package: MoviePackage, root: Root) -> Iterator[str]:
    if root.master is None and (package.boot.master_url or package.playlists):
        yield "the package has no multivariant playlist that names its stream: that is imported alone"


def _session_data(package: MoviePackage, plan: DownloadPlan) -> dict[str, Place]:
    """Session data that the package has, under the file name that it has at its source, or with us."""
    items = [one for one in package.boot.items if one.category == "SessionData"]
    found = {}
    for name_of in (_name_at_source, _name_here):
        names, wanted = Counter(one.name for one in items), Counter(map(name_of, plan.data))
        by_name = {one.name: one.path for one in items if names[one.name] == 1}
        for one in plan.data:
            name = name_of(one)
            if name in by_name and wanted[name] == 1:
                found[one.path] = Place(path=by_name[name], size=None)
    return found


def _name_at_source(resource: Resource) -> str:
    return resource.url.partition("?")[0].rpartition("/")[2]


def _name_here(resource: Resource) -> str:
    return resource.path.rpartition("/")[2]
