"""A plan for people: what a download would store, how large it is, and why (`hlsdl plan`, `hlsdl.plan/1`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hlsdl.errors import redact
from hlsdl.planning.plan import DownloadPlan, Estimate, StreamPlan
from hlsdl.planning.reasons import Choice
from hlsdl.planning.selection import StreamSource
from hlsdl.session.bundles import Bundle
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.contents import stored_documents
from hlsdl.session.keys import look_at_inline_keys
from hlsdl.session.places import find_bundle
from hlsdl.session.presentation import Documents, read_root, read_streams, refuse_empty, refuse_unfinished
from hlsdl.session.same_streams import choose_again, require_all_of
from hlsdl.session.sources import Source, title_of
from hlsdl.session.wholeness import bundle_before
from hlsdl.session.wishes import asked_so_far
from hlsdl.transfer.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutcome:
    """What would be downloaded."""

    title: str
    source: str = field(repr=False)
    choices: tuple[Choice, ...]
    plan: DownloadPlan
    warnings: tuple[str, ...] = ()
    bundle: Bundle | None = field(default=None, repr=False)
    """What would be gone on with: an earlier run left it, and `choices` holds what it was asked for as well."""

    @property
    def stored_segments(self) -> int:
        """How many of `segments` are there already, as large as they were; looks at the disk now."""
        if self.bundle is None:
            return 0
        stored, sizes = self.bundle.entries, self.bundle.sizes()
        return sum(
            one.kind == "segment" and one.path in stored and sizes.get(one.path) == stored[one.path].size
            for one in self.plan.resources
        )

    @property
    def streams(self) -> tuple[StreamSource, ...]:
        """The streams that would be stored, in play order."""
        return tuple(stream.source for stream in self.plan.streams)

    @property
    def segments(self) -> int:
        """Media segments of all that would be stored, those that are there included."""
        return self.plan.segments

    @property
    def estimate(self) -> Estimate:
        """Bytes to store, and whether that is exact."""
        return self.plan.estimate()

    @property
    def bytes(self) -> int:
        """Bytes to store; `bytes_are_exact` says whether every size is known."""
        return self.estimate.bytes

    @property
    def bytes_are_exact(self) -> bool:
        """Whether every object is a byte range, so that its size is known."""
        return self.estimate.is_exact

    @property
    def duration(self) -> float:
        """Seconds of the longest stream."""
        return float(self.plan.duration)

    def document(self) -> dict[str, Any]:
        """The plan as `hlsdl.plan/1`."""
        estimate = self.estimate
        return {
            "schema": "hlsdl.plan/1",
            "source": self.source,
            "title": self.title,
            "duration": self.duration,
            "segments": self.segments,
            "bytes": estimate.bytes,
            "bytes_are_exact": estimate.is_exact,
            "streams": [_stream_document(*one) for one in zip(self.plan.streams, self.plan.estimates(), strict=True)],
            "choices": [choice.document() for choice in self.choices],
            "warnings": list(self.warnings),
            "bundle": str(self.bundle.path) if self.bundle is not None else None,
            "stored_segments": self.stored_segments,
        }


async def outline(source: Source, options: FetchOptions, *, goes_on: bool = False) -> PlanOutcome:
    """Read the playlists and make the plan; protected streams are reported, not refused.

    `goes_on`: with the bundle that an earlier run left where `options` say, if there is one.

    Raises:
        HlsdlError: what a download would end with, as far as it can be seen without asking for a segment.
    """
    before = bundle_before(find_bundle(source, options), options) if goes_on else None
    async with Client(options.transfer, source.url, base_url=source.base_url) as client:
        documents = Documents(client, stored_documents(before))
        root = await read_root(documents, source)
        asked = asked_so_far(before).and_now(options.wishes, root.master)
        selection = choose_again(before, root, asked)
        require_all_of(before, selection, asked)
        plan = await read_streams(documents, root, selection)
        refuse_unfinished(plan)
        refuse_empty(plan)
        asked_for = plan.resources if options.key_provider else (*plan.keys, *plan.resources)
        for one in asked_for:
            client.require_allowed(one.url)
        await look_at_inline_keys(client, plan)
    obstacles = (
        f"the {stream.source.kind} stream cannot be played offline here: {stream.protection.obstacle}"
        for stream in plan.streams
        if stream.protection.obstacle is not None
    )
    return PlanOutcome(
        title=before.title if before and not options.title else title_of(source, root.master, options.title),
        source=source.url,
        choices=selection.choices,
        plan=plan,
        warnings=tuple(dict.fromkeys((*root.playlist.warnings, *obstacles))),
        bundle=before,
    )


def _stream_document(stream: StreamPlan, estimate: Estimate) -> dict[str, Any]:
    source = stream.source
    return {
        "id": source.id,
        "kind": source.kind,
        "playlist": f"{source.id}/index.m3u8",
        "source": redact(source.url),
        "bandwidth": source.bandwidth,
        "average_bandwidth": source.average_bandwidth,
        "resolution": list(source.resolution) if source.resolution else None,
        "frame_rate": source.frame_rate,
        "codecs": list(source.codecs),
        "video_range": source.video_range,
        "language": source.language,
        "name": source.name,
        "group": source.group,
        "channels": source.channels,
        "default": source.default,
        "forced": source.forced,
        "characteristics": list(source.characteristics),
        "encryption": stream.protection.encryption,
        "segments": sum(resource.kind == "segment" for resource in stream.resources),
        "gaps": stream.gaps,
        "bytes": estimate.bytes,
        "duration": float(stream.playlist.duration),
    }
