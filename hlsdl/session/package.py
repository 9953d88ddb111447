"""The `.movpkg` side of a bundle: what `root.xml`, `boot.xml` and each `StreamInfoBoot.xml` say of a plan.

The text itself is `bundle.movpkg`'s; here the plan and the journal are put into its words.
"""

from __future__ import annotations

from collections.abc import Mapping

from hlsdl.bundle import layout, movpkg
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.manifest import Manifest
from hlsdl.planning.naming import MAIN
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan


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
            movpkg.PackageStream(id=stream.id, network_url=stream.source.url, complete=complete[stream.id])
            for stream in plan.streams
        ),
        master_url=manifest.final_url if plan.master else None,
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
    stored = [resource for resource in stream.resources if resource.path in entries]
    return movpkg.StreamInfo(
        network_url=stream.source.url,
        complete=complete,
        is_main=stream.id.startswith(f"{MAIN}-"),
        peak_bandwidth=stream.source.bandwidth,
        segments=[_segment(resource, entries) for resource in stored if resource.kind == "segment"],
        inits=[
            movpkg.PackageInit(
                url=resource.url,
                path=layout.split_path(resource.path)[1],
                length=entries[resource.path].size,
                sequence=resource.sequence or 0,
                offset=resource.byte_range.offset if resource.byte_range else 0,
            )
            for resource in stored
            if resource.kind == "init"
        ],
    )


def _segment(resource: Resource, entries: Mapping[str, Entry]) -> movpkg.PackageSegment:
    return movpkg.PackageSegment(
        url=resource.url,
        path=layout.split_path(resource.path)[1],
        length=entries[resource.path].size,
        sequence=resource.sequence or 0,
        duration=resource.duration,
        start=resource.start,
        offset=resource.byte_range.offset if resource.byte_range else 0,
    )
