"""What a stream offers: its multivariant playlist, and what one media playlist adds (`hlsdl inspect`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hlsdl.errors import PlaylistError, redact
from hlsdl.planning.plan import DownloadPlan
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.protection import protection_of
from hlsdl.planning.reasons import variant_id
from hlsdl.playlist.models import Key, MultivariantPlaylist, Rendition, SessionData, TrickPlayVariant, Variant
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.presentation import Documents, Root, choose, read_root, read_streams
from hlsdl.session.sources import Source, title_of
from hlsdl.transfer.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDescription:
    """A stream as it is offered."""

    title: str
    source: str = field(repr=False)
    master: MultivariantPlaylist | None
    sample: DownloadPlan
    """One stream that was read for duration, liveness and keys."""
    warnings: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether the sampled stream is still growing."""
        return any(stream.playlist.is_live for stream in self.sample.streams)

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.sample.duration)

    @property
    def encryption(self) -> str:
        """`none`, or the METHODs of the sampled stream."""
        return next((protection_of(stream.playlist).encryption for stream in self.sample.streams), "none")

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Distinct (METHOD, KEYFORMAT) pairs."""
        session: tuple[Key, ...] = self.master.session_keys if self.master else ()
        media = (key for stream in self.sample.streams for key in stream.playlist.keys)
        return tuple(dict.fromkeys((key.method, key.keyformat) for key in (*session, *media)))

    def document(self) -> dict[str, Any]:
        """The description as `hlsdl.stream/1`."""
        master = self.master
        trick_play = master.trick_play if master else ()
        pathways = dict.fromkeys(one.pathway for one in (master.variants if master else ()) if one.pathway)
        return {
            "schema": "hlsdl.stream/1",
            "source": self.source,
            "title": self.title,
            "kind": "multivariant" if master else "media",
            "live": self.is_live,
            "duration": self.duration,
            "variants": [_variant(one) for one in (master.variants if master else ())],
            "renditions": [_rendition(one) for one in (master.renditions if master else ())],
            "iframes": [_trick(one) for one in trick_play if one.kind == "iframes"],
            "images": [_trick(one) for one in trick_play if one.kind == "images"],
            "session_data": [_data(one) for one in (master.session_data if master else ())],
            "keys": [{"method": method, "keyformat": keyformat} for method, keyformat in self.keys],
            "pathways": list(pathways),
            "warnings": list(self.warnings),
        }


async def describe(source: Source, options: FetchOptions) -> StreamDescription:
    """Read the source's playlist and one media playlist of it."""
    async with Client(options.transfer, source.url, base_url=source.base_url) as client:
        documents = Documents(client)
        root = await read_root(documents, source)
        sample = await _sample(documents, root)
    return StreamDescription(
        title=title_of(source, root.master, options.title),
        source=source.url,
        master=root.master,
        sample=sample,
        warnings=root.playlist.warnings,
    )


async def _sample(documents: Documents, root: Root) -> DownloadPlan:
    quiet = Preferences(audio=("none",), subtitles=("none",), multichannel=False)
    try:
        selection = choose(root, (quiet,))
    except PlaylistError:
        # A multivariant playlist of renditions or trick play alone has no variant to sample.
        return DownloadPlan(master=root.master, streams=(), keys=(), data=())
    return await read_streams(documents, root, selection)


def _variant(one: Variant) -> dict[str, Any]:
    return {
        "index": one.index,
        "id": variant_id(one),
        "name": one.name,
        "uri": redact(one.uri),
        "bandwidth": one.bandwidth,
        "average_bandwidth": one.average_bandwidth,
        "resolution": list(one.resolution) if one.resolution else None,
        "frame_rate": one.frame_rate,
        "codecs": list(one.codecs),
        "supplemental_codecs": list(one.supplemental_codecs),
        "video_range": one.video_range,
        "score": one.score,
        "hdcp_level": one.hdcp_level,
        "video_layout": one.video_layout,
        "audio": one.audio,
        "subtitles": one.subtitles,
        "closed_captions": one.closed_captions,
        "pathway": one.pathway,
    }


def _rendition(one: Rendition) -> dict[str, Any]:
    return {
        "type": one.type,
        "group": one.group,
        "name": one.name,
        "language": one.language,
        "uri": redact(one.uri) if one.uri else None,
        "default": one.default,
        "autoselect": one.autoselect,
        "forced": one.forced,
        "channels": one.channels,
        "characteristics": list(one.characteristics),
        "instream_id": one.instream_id,
    }


def _data(one: SessionData) -> dict[str, Any]:
    uri = redact(one.uri) if one.uri else None
    return {"id": one.data_id, "value": one.value, "language": one.language, "uri": uri}


def _trick(one: TrickPlayVariant) -> dict[str, Any]:
    return {
        "uri": redact(one.uri),
        "bandwidth": one.bandwidth,
        "resolution": list(one.resolution) if one.resolution else None,
        "codecs": list(one.codecs),
        "video_range": one.video_range,
    }
