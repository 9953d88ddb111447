"""What goes into a bundle beside the segments: playlists, XML files and the manifest, computed from the plan.

`download` says when; `bundle.writing` says how. Everything here is derived from the source's own playlists and from
what is stored, so it can be written again at any time: that is what sealing, resuming, adding and repairing do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

from hlsdl.access.urls import is_file_url
from hlsdl.bundle import layout
from hlsdl.bundle.journal import LARGEST_NUMBER, Entry
from hlsdl.bundle.manifest import GAPS, Manifest, StoredDocument, StoredKey, StoredStream, utc_now
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import IntegrityError, PolicyError
from hlsdl.planning.local_playlists import (
    local_media_playlist,
    local_multivariant_playlist,
    measured_multivariant_playlist,
)
from hlsdl.planning.moving import other_length
from hlsdl.planning.plan import DownloadPlan, StreamPlan
from hlsdl.session.artwork import ARTWORK_TYPES, Artwork, artwork_path
from hlsdl.session.bitrates import measured
from hlsdl.session.copies import COPIES, choices_of_copies
from hlsdl.session.gaps import choices_of_gaps, gaps_of
from hlsdl.session.package import package_files
from hlsdl.session.presentation import Document, Documents, Root, parse_root, plan_streams
from hlsdl.session.provenance import NAMED, is_named_here, marked
from hlsdl.session.same_streams import choose_again
from hlsdl.session.sources import Source, source_of
from hlsdl.session.wishes import Asked
from hlsdl.version import __version__

MASTER_PATH = f"{layout.DATA}/master.m3u8"
IMPORTED = "imported"
CHOICES = frozenset({"wishes", "dropped", "base_url", NAMED, IMPORTED, COPIES, GAPS})
"""What this version writes in the manifest's `choices`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that is known about a bundle before its segments arrive."""

    source: Source
    root: Root
    title: str
    asked: Asked
    """What it holds, and what not any more."""
    plan: DownloadPlan
    documents: Documents
    bereft: frozenset[str] = frozenset()
    """The streams of which segments are stored, but no more the playlist with which they came."""
    artwork: Artwork | None = None
    imported: str | None = None
    """By which an import knows what it began: a digest of the package, and where it is."""

    def warnings(self) -> tuple[str, ...]:
        """What the playlists tolerated and what cannot be played, one sentence each."""
        read = [*self.root.playlist.warnings]
        for stream in self.plan.streams:
            read += [f"{stream.source.kind} playlist: {warning}" for warning in stream.playlist.warnings]
            if stream.protection.obstacle is not None:
                read.append(f"the {stream.source.kind} stream is kept as ciphertext: {stream.protection.obstacle}")
        return tuple(dict.fromkeys((*read, *self.documents.notes)))


def unproven(entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """What nobody can say of objects that are stored, one sentence each."""
    count = sum(not entry.length_verified for entry in entries.values())
    if not count:
        return ()
    objects = "1 object" if count == 1 else f"{count} objects"
    unseen = "what was cut between two packets, or two lines, would not be noticed"
    return (f"how long {objects} must be, nobody says: {unseen}",)


def stored_documents(before: Bundle | None) -> dict[str, Document]:
    """The source playlists that a download need not ask for, by URL.

    A playlist file is read again unless it was named here: what a bundle says of it, anybody may have written.
    """
    if before is None:
        return {}
    found = every_document(before)
    files = [url for url, one in found.items() if is_file_url(one.url) or is_file_url(one.final_url)]
    if files and not is_named_here(before):
        for url in files:
            del found[url]
    return found


def every_document(bundle: Bundle) -> dict[str, Document]:
    """The source playlists that a bundle already has, by URL; a damaged one counts as absent and is fetched again.

    Raises:
        DiskError: one cannot be read now. That says nothing of what is in it.
    """
    found: dict[str, Document] = {}
    for stored in bundle.manifest.documents:
        entry = bundle.entries.get(stored.path)
        if entry is None or stored.category not in ("master", "media"):
            continue
        try:
            data = bundle.read(stored.path)
        except (IntegrityError, PolicyError):
            continue  # gone, too large or no plain file: as good as damaged
        if hashlib.sha256(data).hexdigest() == entry.sha256:
            found[stored.url] = Document(data=data, url=stored.url, final_url=stored.final_url)
    return found


def streams_without_playlists(before: Bundle | None, plan: DownloadPlan, stored: Collection[str]) -> frozenset[str]:
    """The planned streams of which a bundle has segments, but not the playlist, among those `stored` (by URL).

    Somebody has damaged or removed it: what its origin has there now may be another stream.
    """
    if before is None:
        return frozenset()
    begun = {layout.split_path(path)[0] for path in before.entries if layout.is_media(path)}
    return frozenset(one.id for one in plan.streams if one.id in begun and one.source.url not in stored)


def require_as_claimed(before: Bundle | None, streams: Iterable[StreamPlan]) -> None:
    """These streams, which were planned from playlists of now, are as long as the bundle says of them.

    Raises:
        IntegrityError: they are not.
    """
    claims = {claim.id: claim for claim in before.streams} if before is not None else {}
    for stream in streams:
        claim = claims.get(stream.id)
        if claim is None:
            continue
        segments = stream.gaps + sum(one.kind == "segment" for one in stream.resources)
        if (segments, float(stream.playlist.duration)) != (claim.segments + claim.gaps, claim.duration):
            raise other_length(stream.source.kind)


def stored_contents(bundle: Bundle, asked: Asked) -> Contents:
    """What a bundle holds, from the playlists it has stored, when it is asked for this; no network is needed.

    Raises:
        IntegrityError: one of those playlists is damaged or missing, or they do not lead to what the bundle holds.
    """
    source, documents = source_of(bundle.manifest), Documents(None, every_document(bundle))
    root = parse_root(documents.known(source.url), source)
    selection = choose_again(bundle, root, asked)
    is_one = root.master is None
    texts = () if is_one else tuple(documents.known(stream.url) for stream in selection.streams)
    plan = plan_streams(root, selection, texts)
    return Contents(source=source, root=root, title=bundle.title, asked=asked, plan=plan, documents=documents)


def lay_out(writer: BundleWriter, contents: Contents, *, mends: bool = False) -> None:
    """Put the plan and the source playlists on disk, before the first segment is asked for.

    The manifest comes first: from then on the folder says whose bundle it is, and a second run goes on with it. It
    lists the playlists before they are there; what has no entry in the journal is simply asked for again. Where it
    `mends` a bundle that is sealed, the manifest is right as it is, and what cannot be mended leaves it sealed.
    """
    if not mends:
        gaps = gaps_of(writer.manifest, contents.plan, writer.entries)
        before = writer.manifest.files if writer.manifest is not None else ()
        writer.save_manifest(replace(_manifest(writer, contents, absent=gaps), files=before))
    for path, document, _ in _documents_of(contents):
        # One that was there, and is damaged, is replaced; those of an import are in its package.
        if contents.imported or document.url not in contents.documents.stored:
            writer.put(path, document.data)
    if contents.artwork is not None:
        writer.put(contents.artwork.path, contents.artwork.data)
        for other in {artwork_path(kind) for kind in ARTWORK_TYPES} - {contents.artwork.path}:
            if writer.is_stored(other) or other in writer.wanted:  # the picture before this one
                writer.forget(other)


def seal(writer: BundleWriter, contents: Contents, *, absent: frozenset[str], keeps_flaws: bool = False) -> None:
    """Write the local playlists and the package files, and declare the bundle complete.

    Args:
        writer: the open bundle.
        contents: what it holds.
        absent: paths of segments that the origin no longer had and that become gaps.
        keeps_flaws: whether what is damaged may stay so.

    Raises:
        IntegrityError: something of the plan is not stored.
    """
    for path, text in _local_playlists(here(writer), contents, absent).items():
        writer.write_text_file(path, text.encode())
    manifest = _manifest(writer, contents, absent=absent)
    for path, data in package_files(contents.plan, manifest, here(writer)).items():
        writer.write_text_file(path, data)
    remove_dropped(writer, contents)
    writer.seal(manifest, keeps_flaws=keeps_flaws)


def here(writer: BundleWriter) -> Mapping[str, Entry]:
    """What is stored, and what is damaged and stays until its like has come."""
    return {**writer.entries, **writer.wanted} if writer.wanted else writer.entries


def refresh(writer: BundleWriter, contents: Contents) -> None:
    """Let the multivariant playlist that an unfinished bundle has from before name only what stays of it."""
    master = contents.root.master
    if master is None or not (writer.path / layout.INDEX).is_file():
        return
    own = {stream.source.url: f"{stream.id}/{layout.INDEX}" for stream in contents.plan.streams}
    there = {url: path for url, path in own.items() if (writer.path / path).is_file()}
    if there:
        files = _stored_files(contents, writer.entries)
        text = local_multivariant_playlist(master, there, files, _rates(contents, writer.entries))
        writer.write_text_file(layout.INDEX, text.encode())
        writer.keep_sealed(own.values())
    else:
        writer.forget(layout.INDEX)


def remove_dropped(writer: BundleWriter, contents: Contents) -> None:
    """Remove what only dropped streams used. Nothing may name it any more; what an interruption left goes too."""
    dropped = {folder for folder in contents.asked.dropped if layout.is_stream_folder(folder)}
    if not dropped:
        return
    for folder in sorted(dropped):
        for name in (layout.INDEX, layout.STREAM_INFO):
            writer.forget(f"{folder}/{name}")
    keys = {key.path for key in contents.plan.keys}
    for path in (*writer.entries, *writer.wanted):
        folder = layout.split_path(path)[0]
        if folder in dropped or (folder == layout.KEYS and path not in keys):
            writer.forget(path)


def _documents_of(contents: Contents) -> Iterable[tuple[str, Document, str]]:
    """(path, document, category) of every source playlist."""
    if contents.root.master is not None:
        yield MASTER_PATH, contents.root.document, "master"
    for stream in contents.plan.streams:
        is_root = contents.root.master is None
        document = contents.root.document if is_root else contents.documents.known(stream.source.url)
        yield f"{stream.id}/{layout.SOURCE_PLAYLIST}", document, "media"


def _local_playlists(entries: Mapping[str, Entry], contents: Contents, absent: frozenset[str]) -> dict[str, str]:
    written: dict[str, str] = {}
    for stream in contents.plan.streams:
        names = {path.rpartition("/")[2] for path in absent if path.startswith(f"{stream.id}/")}
        written[f"{stream.id}/{layout.INDEX}"] = local_media_playlist(stream, absent=names)
    written[layout.INDEX] = multivariant_playlist(entries, contents)
    return written


def multivariant_playlist(entries: Mapping[str, Entry], contents: Contents) -> str:
    """The local multivariant playlist of everything that is planned; of keys and data, of what is stored."""
    master = contents.root.master
    if master is None:
        stream = contents.plan.streams[0]
        peak, average = measured(stream, entries)
        return measured_multivariant_playlist(f"{stream.id}/{layout.INDEX}", peak=peak, average=average)
    playlists = {stream.source.url: f"{stream.id}/{layout.INDEX}" for stream in contents.plan.streams}
    return local_multivariant_playlist(master, playlists, _stored_files(contents, entries), _rates(contents, entries))


def _stored_files(contents: Contents, entries: Mapping[str, Entry]) -> dict[str, str]:
    """URL of a key or data item -> its path, of those that are stored."""
    return {one.url: one.path for one in (*contents.plan.keys, *contents.plan.data) if one.path in entries}


def _rates(contents: Contents, entries: Mapping[str, Entry]) -> dict[str, tuple[int, int]]:
    """Measured bitrates, where no variant is kept whose declared ones could stand."""
    kept = {stream.source.url for stream in contents.plan.streams}
    if contents.root.master is None or any(one.uri in kept for one in contents.root.master.variants):
        return {}
    return {stream.source.url: measured(stream, entries) for stream in contents.plan.streams}


def _manifest(writer: BundleWriter, contents: Contents, *, absent: frozenset[str]) -> Manifest:
    before, known = writer.manifest, here(writer)
    sealed = {key.path for key in before.sealed_part().keys} if before is not None else frozenset()
    bundle_id = before.id if before is not None else str(uuid4())
    documents = [
        StoredDocument(path=path, url=document.url, final_url=document.final_url, category=category)
        for path, document, category in _documents_of(contents)
    ]
    documents += [
        StoredDocument(path=item.path, url=item.url, final_url=item.url, category="session-data")
        for item in contents.plan.data
        if writer.is_stored(item.path) or item.path in writer.wanted
    ]
    documents += [
        StoredDocument(path=path, url="", final_url="", category="artwork")
        for path in (*writer.entries, *writer.wanted)
        if path.startswith(layout.ARTWORK)
    ]
    manifest = Manifest(
        id=bundle_id,
        created=before.created if before is not None else utc_now(),
        title=contents.title,
        source_url=contents.source.url,
        final_url=contents.root.document.final_url,
        hlsdl_version=__version__,
        choices={
            **contents.asked.choices(),
            **({"base_url": contents.source.base_url} if contents.source.base_url else {}),
            **({IMPORTED: contents.imported} if contents.imported else {}),
            **choices_of_copies(before),
            **choices_of_gaps(absent),
            **marked(contents.source, before=before, bundle_id=bundle_id, inode=writer.inode),
        },
        streams=tuple(_stored_stream(stream, contents, known, absent) for stream in contents.plan.streams),
        documents=tuple(documents),
        keys=tuple(StoredKey(path=key.path, url=key.url, sealed=key.path in sealed) for key in contents.plan.keys),
        warnings=(*contents.warnings(), *unproven(writer.entries)),
    )
    return manifest if writer.manifest is None else with_unknown_of(writer.manifest, manifest)


def with_unknown_of(before: Manifest, now: Manifest) -> Manifest:
    """`now`, with what a newer version wrote: of the bundle, in its choices, and of those parts that it still has."""
    streams = {one.id: one.unknown for one in before.streams}
    documents = {one.path: one.unknown for one in before.documents}
    keys = {one.path: one.unknown for one in before.keys}
    return replace(
        now,
        unknown=before.unknown,
        choices={**{name: one for name, one in before.choices.items() if name not in CHOICES}, **now.choices},
        streams=tuple(replace(one, unknown=streams.get(one.id, {})) for one in now.streams),
        documents=tuple(replace(one, unknown=documents.get(one.path, {})) for one in now.documents),
        keys=tuple(replace(one, unknown=keys.get(one.path, {})) for one in now.keys),
    )


def _stored_stream(
    stream: StreamPlan, contents: Contents, entries: Mapping[str, Entry], absent: frozenset[str]
) -> StoredStream:
    source = stream.source
    wanted = [resource for resource in stream.resources if resource.path not in absent] if absent else stream.resources
    stored = [entry.size for resource in wanted if (entry := entries.get(resource.path)) is not None]
    is_root = contents.root.master is None
    document = contents.root.document if is_root else contents.documents.known(source.url)
    # m3u8 reads bitrates as floats, which makes the largest number one that is too large to be stored.
    declared = min(source.bandwidth or (measured(stream, entries)[0] if is_root else 0), LARGEST_NUMBER)
    average = None if source.average_bandwidth is None else min(source.average_bandwidth, LARGEST_NUMBER)
    return StoredStream(
        id=stream.id,
        kind=source.kind,
        playlist=f"{stream.id}/{layout.INDEX}",
        source_url=source.url,
        final_url=document.final_url,
        bandwidth=declared,
        average_bandwidth=average,
        resolution=source.resolution,
        frame_rate=source.frame_rate,
        codecs=source.codecs,
        video_range=source.video_range,
        language=source.language,
        name=source.name,
        group=source.group,
        channels=source.channels,
        default=source.default,
        forced=source.forced,
        characteristics=source.characteristics,
        encryption=stream.protection.encryption,
        protected=not stream.protection.is_playable,
        segments=sum(resource.kind == "segment" for resource in wanted),
        gaps=stream.gaps + sum(path.startswith(f"{stream.id}/") for path in absent),
        bytes=sum(stored),
        duration=float(stream.playlist.duration),
        complete=len(stored) == len(wanted),
    )
