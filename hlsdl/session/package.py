"""The `.movpkg` side of a bundle: what `root.xml`, `boot.xml` and each `StreamInfoBoot.xml` say of a plan.

The text itself is `bundle.movpkg`'s; here the plan and the journal are put into its words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from hlsdl.access.urls import is_file_url
from hlsdl.bundle import layout, movpkg
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.manifest import Manifest
from hlsdl.drafts import draft_of
from hlsdl.planning.naming import MAIN
from hlsdl.planning.plan import DownloadPlan, StreamPlan


def package_files(plan: DownloadPlan, manifest: Manifest, entries: Mapping[str, Entry]) -> dict[str, bytes]:
    """The package files by relative path, for what is stored."""
    complete = {stream.id: stream.complete for stream in manifest.streams}
    files = {
        f"{stream.id}/{layout.STREAM_INFO}": movpkg.render_stream_info(
            _stream_info(stream, entries, complete=complete[stream.id])
        )
        for stream in plan.streams
    }
    files[layout.ROOT_XML] = movpkg.render_root()
    files[layout.BOOT_XML] = movpkg.render_boot(
        (
            movpkg.PackageStream(id=stream.id, network_url=_portable(stream.source.url), complete=complete[stream.id])
            for stream in plan.streams
        ),
        master_url=_portable(manifest.final_url) if plan.master else None,
        data_items=_data_items(manifest),
    )
    return files


def _data_items(manifest: Manifest) -> list[movpkg.DataItem]:
    items = []
    for document in manifest.documents:
        folder, name = layout.split_path(document.path)
        if folder != layout.DATA or document.category not in ("master", "session-data"):
            continue
        is_master = document.category == "master"
        items.append(
            movpkg.DataItem(
                path=name,
                name=name,
                category="Playlist" if is_master else "SessionData",
                role="Master" if is_master else None,
            )
        )
    return items


def _stream_info(stream: StreamPlan, entries: Mapping[str, Entry], *, complete: bool) -> movpkg.StreamInfo:
    return movpkg.StreamInfo(
        network_url=_portable(stream.source.url),
        complete=complete,
        is_main=stream.id.startswith(f"{MAIN}-"),
        peak_bandwidth=stream.source.bandwidth,
        segments=_segments(stream, entries),
        inits=[
            movpkg.PackageInit(
                url=_portable(resource.url),
                path=layout.split_path(resource.path)[1],
                length=entries[resource.path].size,
                sequence=resource.sequence or 0,
                offset=resource.byte_range.offset if resource.byte_range else 0,
            )
            for resource in stream.resources
            if resource.kind == "init" and resource.path in entries
        ],
    )


_Draft = draft_of(movpkg.PackageSegment)


def _segments(stream: StreamPlan, entries: Mapping[str, Entry]) -> Iterator[movpkg.PackageSegment]:
    """One SEG for each segment the playlist lists, also where two of them are the same stored file."""
    folder, files, start = f"{stream.id}/", stream.files, Decimal(0)
    for segment in stream.playlist.segments:
        name = files[segment.line]
        entry = entries.get(folder + name)
        if entry is not None:
            draft = _Draft()
            draft.url = _portable(segment.uri)
            draft.path = name
            draft.length = entry.size
            draft.sequence = segment.sequence
            draft.duration = segment.duration
            draft.start = start
            draft.offset = segment.byte_range.offset if segment.byte_range else 0
            draft.__class__ = movpkg.PackageSegment
            listed: movpkg.PackageSegment = draft
            yield listed
        start += segment.duration


def _portable(url: str) -> str:
    """The URL, without the folder of this machine when it is a file: a bundle names no absolute path."""
    return f"file:{url.rpartition('/')[2]}" if is_file_url(url) else url
