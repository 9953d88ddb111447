"""Segments of which no entry speaks any more, since the journal was lost: which of them cannot be what once arrived.

Recovery takes in a file under its final name as it is, and a new hash proves nothing. What else is known of it is the
length that a byte range has, or that a sealed bundle lists, and whether it looks like media. The rest is the origin's
word, and is asked only where something is wrong.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping

from hlsdl.bundle import layout
from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.journal import Entry
from hlsdl.bundle.movpkg_reading import read_stream_info
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, HlsdlError
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan
from hlsdl.verification.containers import Role
from hlsdl.verification.findings import Severity
from hlsdl.verification.inventory import Item, Listed, examine_all
from hlsdl.verification.streams import role_of

_HEAD = 4096
"""Bytes that a file begins with. What encrypts or encodes media never writes so many zeros there."""


def want_what_cannot_be_whole(writer: BundleWriter, before: Bundle | None, plan: DownloadPlan) -> None:
    """Ask again for those among the segments without proof that are too short, too long, or visibly damaged.

    `before` is the bundle as it stood before it was opened for writing.
    """
    adopted = frozenset(writer.recovery.adopted)
    for stream in plan.streams:
        unproven = {
            resource: entry
            for resource in stream.resources
            if (entry := writer.entries.get(resource.path)) is not None and not entry.length_verified
        }
        if not unproven:
            continue
        lengths = _listed_lengths(before, stream.id)
        doubtful = {one.path for one, entry in unproven.items() if not _has_its_length(one, entry, stream, lengths)}
        looked_at = {one: entry for one, entry in unproven.items() if one.path in adopted - doubtful}
        for path in doubtful.union(_damaged(writer, stream, looked_at)):
            writer.want(path)


def _has_its_length(resource: Resource, entry: Entry, stream: StreamPlan, lengths: Mapping[str, int]) -> bool:
    """As far as anybody says what that is."""
    if resource.byte_range is not None:
        return entry.size == resource.byte_range.length
    if not entry.size and stream.source.kind != "subtitles":
        return False
    return entry.size % resource.block == 0 and entry.size == lengths.get(resource.path, entry.size)


def _listed_lengths(before: Bundle | None, stream: str) -> dict[str, int]:
    """Path -> bytes, as a sealed bundle lists them; none when its list is not as it was sealed."""
    path = f"{stream}/{layout.STREAM_INFO}"
    if before is None or before.state != "complete" or not before.manifest.is_intact:
        return {}
    sealed = next((file for file in before.manifest.files if file.path == path), None)
    if sealed is None:
        return {}
    try:
        data = before.read(path)
        if hashlib.sha256(data).hexdigest() != sealed.sha256:
            return {}
        listing = read_stream_info(data, path)
    except DiskError:
        raise
    except HlsdlError:  # gone, or none of ours: then it says nothing
        return {}
    return {f"{stream}/{one.path}": one.length for one in (*listing.inits, *listing.segments) if one.length}


def _damaged(writer: BundleWriter, stream: StreamPlan, files: Mapping[Resource, Entry]) -> Iterator[str]:
    """Those of them that are no media, or cut."""
    listed = [
        Listed(
            path=resource.path,
            size=entry.size,
            sha256=entry.sha256,
            role=Role.INIT if resource.kind == "init" else role_of(stream.source.kind),
            is_encrypted=resource.block > 1,
        )
        for resource, entry in files.items()
    ]
    found = {one.path: Item(is_file=True, size=one.size, mode=0) for one in listed}
    with Folder.open(writer.path, follow=True) as root:
        for one, examined in zip(listed, examine_all(root, listed, found), strict=True):
            is_damaged = any(finding.severity is Severity.ERROR for finding in examined.findings)
            if is_damaged or _begins_with_zeros(root, one.path):
                yield one.path


def _begins_with_zeros(root: Folder, path: str) -> bool:
    """As what was never written does."""
    folder, name = layout.split_path(path)
    with translating(path), root.descend(folder) as parent, os.fdopen(parent.open_file(name), "rb") as file:
        head = file.read(_HEAD)
    return bool(head) and not head.strip(b"\0")
