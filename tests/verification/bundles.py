"""Sealed bundles made from the fixtures' own files, by the rooms below verification: no network, no session."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hlsdl.bundle.manifest import Manifest, StoredDocument, StoredKey, StoredStream
from hlsdl.bundle.writing import BundleWriter
from hlsdl.planning.local_playlists import local_media_playlist, local_multivariant_playlist
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan, make_plan
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import StreamSource, select
from hlsdl.playlist.models import MediaPlaylist, MultivariantPlaylist
from hlsdl.playlist.parsing import parse_playlist
from hlsdl.verification import Report, verify_bundle

PRESENTATIONS = ("film", "muxed-ts", "byteranges", "aes128", "odd")
MEDIA = Path(__file__).parent.parent.parent / "fixtures" / "media"
EVERYTHING = Preferences(variants="all", audio=("all",), subtitles=("all",), iframes=True)


def bytes_at(url: str) -> bytes:
    """What a `file:` URL names."""
    return Path(unquote(urlsplit(url).path)).read_bytes()


def bytes_of(resource: Resource) -> bytes:
    data, span = bytes_at(resource.url), resource.byte_range
    return data[span.offset : span.end] if span else data


def planned(master_path: Path, preferences: Preferences) -> DownloadPlan:
    url = master_path.as_uri()
    master = parse_playlist(master_path.read_bytes(), url)
    assert isinstance(master, MultivariantPlaylist)
    streams: list[tuple[StreamSource, MediaPlaylist]] = []
    for source in select(master, preferences).streams:
        playlist = parse_playlist(bytes_at(source.url), source.url, imported=master.variables)
        assert isinstance(playlist, MediaPlaylist)
        streams.append((source, playlist))
    return make_plan(streams, master)


def store(
    media: Path,
    path: Path,
    *,
    preferences: Preferences = EVERYTHING,
    skip: Iterable[str] = (),
    absent: Iterable[str] = (),
    seal: bool = True,
) -> Path:
    """Make the bundle `path` of the presentation in the folder `media`.

    `skip` names objects that are not stored yet, `absent` those that the origin has lost (both by bundle path).
    """
    plan = planned(media / "master.m3u8", preferences)
    master = plan.master
    assert master is not None
    left_out, lost = set(skip), set(absent)
    with writing(path) as writer:
        writer.put("Data/master.m3u8", bytes_at(master.url))
        for stream in plan.streams:
            writer.put(f"{stream.id}/source.m3u8", bytes_at(stream.source.url))
        everything = [*plan.keys, *plan.data, *plan.resources]
        for resource in everything:
            if resource.path not in left_out | lost:
                writer.put(resource.path, bytes_of(resource))
        for stream in plan.streams:
            names = {one.rpartition("/")[2] for one in lost if one.startswith(f"{stream.id}/")}
            writer.write_text_file(f"{stream.id}/index.m3u8", local_media_playlist(stream, absent=names).encode())
        playlists = {stream.source.url: f"{stream.id}/index.m3u8" for stream in plan.streams}
        files = {one.url: one.path for one in (*plan.keys, *plan.data)}
        writer.write_text_file("index.m3u8", local_multivariant_playlist(master, playlists, files).encode())
        writer.write_text_file("boot.xml", b"<HLSMoviePackage/>\n")
        manifest = manifest_of(plan, writer, lost)
        if seal:
            writer.seal(manifest)
        else:
            writer.save_manifest(manifest)
    return path


@contextmanager
def writing(path: Path) -> Iterator[BundleWriter]:
    writer = BundleWriter.open(path)
    try:
        yield writer
    finally:
        writer.close()


def manifest_of(plan: DownloadPlan, writer: BundleWriter, lost: set[str]) -> Manifest:
    master = plan.master
    assert master is not None
    sources = [("Data/master.m3u8", master.url, "master")]
    sources += [(f"{stream.id}/source.m3u8", stream.source.url, "media") for stream in plan.streams]
    sources += [(item.path, item.url, "session-data") for item in plan.data]
    return Manifest(
        title="A film",
        source_url=master.url,
        final_url=master.url,
        streams=tuple(stored_stream(stream, writer, lost) for stream in plan.streams),
        documents=tuple(
            StoredDocument(path=path, url=url, final_url=url, category=what) for path, url, what in sources
        ),
        keys=tuple(StoredKey(path=key.path, url=key.url) for key in plan.keys),
    )


def stored_stream(stream: StreamPlan, writer: BundleWriter, lost: set[str]) -> StoredStream:
    wanted = [one for one in stream.resources if one.path not in lost]
    sizes = [writer.entries[one.path].size for one in wanted if one.path in writer.entries]
    return StoredStream(
        id=stream.id,
        kind=stream.source.kind,
        playlist=f"{stream.id}/index.m3u8",
        source_url=stream.source.url,
        final_url=stream.source.url,
        encryption=stream.protection.encryption,
        protected=not stream.protection.is_playable,
        segments=sum(one.kind == "segment" for one in wanted),
        gaps=stream.gaps + len([one for one in stream.resources if one.path in lost]),
        bytes=sum(sizes),
        duration=float(stream.playlist.duration),
        complete=len(sizes) == len(wanted),
    )


def copied(bundle: Path, folder: Path) -> Path:
    shutil.copytree(bundle, folder / bundle.name)
    return folder / bundle.name


def codes(report: Report) -> set[tuple[str, str]]:
    return {(str(finding.code), finding.path) for finding in report.findings}


def files_in(bundle: Path) -> list[str]:
    return sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file())


def objects_in(bundle: Path) -> list[str]:
    return [path for path in files_in(bundle) if path not in {"manifest.json", "journal.jsonl", "lock"}]


def first(bundle: Path, pattern: str) -> str:
    """The first file of the bundle that matches, relative to it."""
    return min(path.relative_to(bundle).as_posix() for path in bundle.glob(pattern))


def flip(file: Path, *, bit: int = 3) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1 << bit
    file.write_bytes(data)


def resealed(bundle: Path, file: str, change: Callable[[str], str]) -> Report:
    """Verify after a derived file was changed and sealed again, so that its hash is right and only its content tells."""
    with writing(bundle) as writer:
        before = (bundle / file).read_bytes().decode()
        after = change(before)
        assert after != before
        writer.write_text_file(file, after.encode())
        assert writer.manifest is not None
        writer.seal(writer.manifest)
    return verify_bundle(bundle)


def remanifested(bundle: Path, change: Callable[[dict[str, object]], None]) -> Report:
    document = json.loads((bundle / "manifest.json").read_bytes())
    change(document)
    (bundle / "manifest.json").write_bytes(Manifest.decode(json.dumps(document).encode()).encode())
    return verify_bundle(bundle)
