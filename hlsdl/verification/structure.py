"""Is the bundle whole, true and closed? Journal and manifest against files, playlists against both.

`verify_bundle` is the room's front door. Nothing is written, no lock is taken and no network is needed, so it may run
on a bundle that grows. What each object's bytes look like is left to `containers`, decoding to `media`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.layout import (
    INDEX,
    JOURNAL,
    KEYS,
    LOCK,
    MANIFEST,
    SOURCE_PLAYLIST,
    final_name,
    is_derived,
    is_media,
    is_segment,
    split_path,
)
from hlsdl.bundle.manifest import Manifest, StoredStream
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import HlsdlError
from hlsdl.planning.plan import KEY_BYTES
from hlsdl.playlist.lines import DEFAULT_LIMITS
from hlsdl.playlist.models import MultivariantPlaylist, Segment
from hlsdl.playlist.parsing import parse_playlist
from hlsdl.verification import closure, media, streams
from hlsdl.verification.findings import UNREADABLE_CODES, Code, Finding, Report, error, warning
from hlsdl.verification.inventory import Examined, Item, Listed, examine_all, scan
from hlsdl.verification.streams import LocalPlaylist, Use

FILE_MANAGER_NAMES = frozenset({".ds_store", ".directory", ".localized", "thumbs.db", "desktop.ini"})
_OTHERS = 0o077


def verify_bundle(path: Path, *, deep: bool = False, ffmpeg: Path | None = None) -> Report:
    """Check a bundle and say everything that is wrong with it.

    Args:
        path: the bundle's folder.
        deep: also let ffmpeg decode every stream.
        ffmpeg: the ffmpeg to use; None finds one.

    Returns:
        The report; damage is told there, never raised.

    Raises:
        UsageError: `path` is no bundle, or `deep` and there is no ffmpeg.
        IntegrityError: the manifest itself cannot be read.
        DiskError: a folder of the bundle cannot be read.
    """
    bundle = Bundle.open(path)
    decoder = media.find_ffmpeg(ffmpeg) if deep else None
    with translating(str(path)), Folder.open(path, follow=True) as root:
        shelf = _look(bundle, scan(root))
        examined = list(examine_all(root, _listed(shelf), shelf.inventory))
    findings = [*_structure_findings(shelf), *chain.from_iterable(one.findings for one in examined)]
    if decoder is not None:
        playable = [(stream, shelf.playlists[stream.playlist].media) for stream in bundle.streams]
        findings += media.decode_findings(path, playable, _plain(shelf, examined), decoder)
    return Report(files=len(examined), bytes=sum(one.bytes for one in examined), findings=tuple(findings))


def _plain(shelf: _Shelf, examined: Iterable[Examined]) -> frozenset[str]:
    """Objects that are plain files with their bytes: no pipe to wait for, no link to follow, no end to look for."""
    found = chain.from_iterable(one.findings for one in examined)
    return frozenset(shelf.entries) - {one.path for one in found if one.code in UNREADABLE_CODES}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """Everything that was read before judging."""

    bundle: Bundle
    inventory: Mapping[str, Item]
    playlists: Mapping[str, LocalPlaylist]
    """The local playlists, by path."""
    uses: Mapping[str, Use]
    """What each media file is for, as the local playlists say."""

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def entries(self) -> Mapping[str, Entry]:
        return self.bundle.entries

    @property
    def is_sealed(self) -> bool:
        return self.bundle.state == "complete"


def _look(bundle: Bundle, inventory: dict[str, Item]) -> _Shelf:
    playlists = {path: _read_local(bundle, path, inventory) for path in _playlist_paths(bundle.manifest)}
    uses: dict[str, Use] = {}
    for stream in bundle.streams:
        if (playlist := playlists[stream.playlist].media) is not None:
            uses |= streams.uses_of(stream, playlist)
    return _Shelf(bundle=bundle, inventory=inventory, playlists=playlists, uses=uses)


def _playlist_paths(manifest: Manifest) -> list[str]:
    """Each once, however many streams a manifest makes of it."""
    return list(dict.fromkeys((INDEX, *(stream.playlist for stream in manifest.streams))))


def _read_local(bundle: Bundle, path: str, inventory: Mapping[str, Item]) -> LocalPlaylist:
    item = inventory.get(path)
    if item is None or not item.is_file:
        return LocalPlaylist(path=path)  # told as missing by whoever lists it
    try:
        return streams.read_local(path, bundle.read(path, limit=DEFAULT_LIMITS.max_bytes))
    except HlsdlError as problem:
        return LocalPlaylist(path=path, findings=(error(Code.BAD_PLAYLIST, path, problem.message),))


# --- what is listed, and what is not ----------------------------------------------------------------------------


def _listed(shelf: _Shelf) -> Iterator[Listed]:
    """Every file with a known hash: objects of the journal, derived files of the seal."""
    for entry in shelf.entries.values():
        use = shelf.uses.get(entry.path)
        yield Listed(
            path=entry.path,
            size=entry.size,
            sha256=entry.sha256,
            role=use.role if use else None,
            is_encrypted=use.is_encrypted if use else False,
        )
    for file in shelf.manifest.files:
        yield Listed(path=file.path, size=file.size, sha256=file.sha256)


def _structure_findings(shelf: _Shelf) -> Iterator[Finding]:
    yield from _state_findings(shelf)
    yield from _journal_findings(shelf)
    yield from _unlisted_findings(shelf)
    yield from _claim_findings(shelf)
    yield from _key_findings(shelf)
    for playlist in shelf.playlists.values():
        yield from playlist.findings
        yield from _closure_findings(shelf, playlist)
    yield from _offer_findings(shelf)
    yield from _stream_findings(shelf)


def _state_findings(shelf: _Shelf) -> Iterator[Finding]:
    if not shelf.is_sealed:
        yield error(
            Code.INCOMPLETE, "", "what was begun has not finished; the same command, or `hlsdl repair`, goes on"
        )
    for stream in shelf.manifest.streams:
        if stream.protected:
            message = f"the {stream.kind} stream is encrypted for a key system and cannot be played here"
            yield warning(Code.PROTECTED, stream.id, message)


def _journal_findings(shelf: _Shelf) -> Iterator[Finding]:
    """The sealed beginning is as it was; other lines may be torn by an interruption, which is no damage."""
    if not shelf.manifest.is_intact:
        yield error(Code.HASH_MISMATCH, MANIFEST, "the manifest is not as it was written")
    if JOURNAL not in shelf.inventory:
        yield error(Code.MISSING, JOURNAL, "the journal is missing, so nothing proves what was stored")
    elif not shelf.bundle.is_seal_intact:
        yield error(Code.JOURNAL_DAMAGED, JOURNAL, "the journal is not as it was sealed")
    elif shelf.bundle.damaged_lines:
        message = f"{shelf.bundle.damaged_lines} lines of the journal cannot be read and say nothing"
        yield warning(Code.JOURNAL_DAMAGED, JOURNAL, message)


def _unlisted_findings(shelf: _Shelf) -> Iterator[Finding]:
    listed = {MANIFEST, JOURNAL, LOCK, *shelf.entries, *(file.path for file in shelf.manifest.files)}
    named = set(shelf.uses)
    for path in sorted(shelf.inventory.keys() - listed):
        if final_name(split_path(path)[1]) is not None:
            yield warning(Code.LEFTOVER, path, "a temporary file of an interrupted run; the next run removes it")
        elif not shelf.is_sealed and is_derived(path):
            continue  # listed and hashed when the bundle is sealed
        elif path not in named:  # else told with the playlist that names it
            yield _foreign(path)


def _foreign(path: str) -> Finding:
    """A file that nobody listed: an error, since it may be served; what file managers leave is no more than odd."""
    name = split_path(path)[1]
    told = warning if name.startswith("._") or name.lower() in FILE_MANAGER_NAMES else error
    return told(Code.FOREIGN, path, "this file is not part of the bundle; remove it if you do not know it")


# --- what the manifest claims -----------------------------------------------------------------------------------


def _claim_findings(shelf: _Shelf) -> Iterator[Finding]:
    derived = {file.path for file in shelf.manifest.files}
    named = [*(one.path for one in shelf.manifest.documents), *(one.path for one in shelf.manifest.keys)]
    for path in named:
        if path not in shelf.entries:
            yield from _if_sealed(shelf, error(Code.MISSING, path, "the manifest names it, and it is not stored"))
    for path in _playlist_paths(shelf.manifest):
        if path not in derived:
            yield from _if_sealed(shelf, error(Code.UNLISTED, path, "this playlist is not among the sealed files"))
    counts, sizes = _stored_media(shelf)
    for stream in shelf.manifest.streams:
        yield from _stream_claims(shelf, stream, counts.get(stream.id, 0), sizes.get(stream.id, 0))


def _if_sealed(shelf: _Shelf, finding: Finding) -> Iterator[Finding]:
    """A bundle that still grows has told by its state that things are missing."""
    if shelf.is_sealed:
        yield finding


def _stored_media(shelf: _Shelf) -> tuple[dict[str, int], dict[str, int]]:
    """(media segments, bytes of media segments and init sections) that the journal lists, by stream folder.

    A gap whose segment has come since counts when the bundle is sealed again.
    """
    gaps = shelf.manifest.gaps
    counts: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for entry in shelf.entries.values():
        if is_media(entry.path) and entry.path not in gaps:
            folder = split_path(entry.path)[0]
            sizes[folder] = sizes.get(folder, 0) + entry.size
            counts[folder] = counts.get(folder, 0) + is_segment(entry.path)
    return counts, sizes


def _stream_claims(shelf: _Shelf, stream: StoredStream, count: int, size: int) -> Iterator[Finding]:
    if count != stream.segments and not shelf.is_sealed:
        yield error(Code.INCOMPLETE, stream.id, f"{count} of {stream.segments} segments are stored")
        return
    if count != stream.segments:
        yield error(Code.COUNT_MISMATCH, stream.id, f"{count} of {stream.segments} segments are stored")
    if shelf.is_sealed and size != stream.bytes:
        message = f"{size} bytes of media are stored, the manifest says {stream.bytes}"
        yield error(Code.COUNT_MISMATCH, stream.id, message)
    if shelf.is_sealed and not stream.complete:
        yield error(Code.INCOMPLETE, stream.id, "the stream is not complete")


def _key_findings(shelf: _Shelf) -> Iterator[Finding]:
    for path, entry in shelf.entries.items():
        if split_path(path)[0] != KEYS:
            continue
        if entry.size != KEY_BYTES and shelf.manifest.key_policy == "stored":
            yield error(Code.BAD_KEY, path, f"the key has {entry.size} bytes instead of {KEY_BYTES}")
        item = shelf.inventory.get(path)
        if os.name == "posix" and item is not None and item.is_file and item.mode & _OTHERS:
            message = f"other users may read the key: its mode is {item.mode:04o} instead of 0600"
            yield warning(Code.EXPOSED, path, message)


# --- playlists --------------------------------------------------------------------------------------------------


def _closure_findings(shelf: _Shelf, playlist: LocalPlaylist) -> Iterator[Finding]:
    if playlist.text is None:
        return
    gaps = {streams.local_path(one.uri) for one in playlist.media.segments if one.gap} if playlist.media else set()
    known = shelf.entries.keys() | {file.path for file in shelf.manifest.files} | set(_playlist_paths(shelf.manifest))
    told: set[str] = set()
    for one in closure.references(playlist.text, playlist.path):
        where = f"line {one.line}" + (f" (`{one.tag}`)" if one.tag else "")
        if one.target is None and one.is_licence:
            yield warning(Code.OPEN_URI, playlist.path, f"{where} names the licence server of a key system")
        elif one.target is None:
            yield error(Code.OPEN_URI, playlist.path, f"{where} leads out of the bundle")
        elif one.target not in known and one.target not in gaps and one.target not in told:
            told.add(one.target)
            if shelf.is_sealed or not is_media(one.target):
                yield error(Code.UNLISTED, playlist.path, f"{where} names `{one.target}`, which is not stored")


def _offer_findings(shelf: _Shelf) -> Iterator[Finding]:
    """`index.m3u8` offers every stored stream."""
    index = shelf.playlists[INDEX]
    if index.text is None:
        return
    offered = {one.target for one in closure.references(index.text, INDEX)}
    for stream in shelf.manifest.streams:
        if stream.playlist not in offered:
            yield warning(Code.UNUSED, stream.playlist, f"`{INDEX}` does not offer this stream")


def _stream_findings(shelf: _Shelf) -> Iterator[Finding]:
    variables = _variables(shelf)
    for stream in shelf.manifest.streams:
        local = shelf.playlists[stream.playlist]
        if local.parsed is not None and local.media is None:
            yield error(Code.BAD_PLAYLIST, stream.playlist, "the local playlist is no media playlist")
        if local.media is None:
            continue
        if shelf.is_sealed:
            yield from streams.check_sealed(stream, local.media)
        yield from _order_findings(shelf, stream, local.media.segments, variables)
    yield from _unused_findings(shelf)


def _order_findings(
    shelf: _Shelf, stream: StoredStream, segments: tuple[Segment, ...], variables: Mapping[str, str]
) -> Iterator[Finding]:
    path = f"{stream.id}/{SOURCE_PLAYLIST}"
    if path not in shelf.entries:
        yield from _if_sealed(shelf, error(Code.MISSING, path, "the playlist as fetched is not stored"))
        return
    try:
        data = shelf.bundle.read(path, limit=DEFAULT_LIMITS.max_bytes)
    except HlsdlError:
        return  # told when the file itself is examined
    source = streams.source_segments(stream, data, variables)
    if isinstance(source, Finding):
        yield source
    elif source is None and len(segments) != 1:
        message = f"the local playlist has {len(segments)} segments, its source is one WebVTT file"
        yield error(Code.ORDER_MISMATCH, stream.playlist, message)
    elif source is not None:
        keeps_keys = shelf.manifest.key_policy != "clear"
        yield from streams.check_order(stream, segments, source, keeps_keys=keeps_keys)


def _unused_findings(shelf: _Shelf) -> Iterator[Finding]:
    readable = {stream.id for stream in shelf.manifest.streams if shelf.playlists[stream.playlist].media is not None}
    for path in shelf.entries:
        if is_media(path) and path not in shelf.uses and split_path(path)[0] in readable:
            yield warning(Code.UNUSED, path, "the local playlist does not play this file")


def _variables(shelf: _Shelf) -> Mapping[str, str]:
    """What media playlists may IMPORT: the variables of the stored multivariant playlist."""
    for document in shelf.manifest.documents:
        if document.category != "master" or document.path not in shelf.entries:
            continue
        try:
            data = shelf.bundle.read(document.path, limit=DEFAULT_LIMITS.max_bytes)
            parsed = parse_playlist(data, document.final_url, requested_url=document.url)
        except HlsdlError:
            continue  # damage is told when the file itself is examined; a stream that needs it will say so
        if isinstance(parsed, MultivariantPlaylist):
            return parsed.variables
    return {}
