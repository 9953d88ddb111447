"""The plan: every object to fetch, where it goes, and in which order.

Made from the chosen streams and their parsed playlists, deterministically: the same stored playlists give the
same plan after a restart, so resuming is planning again and leaving out what the journal already has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from operator import attrgetter

from hlsdl.drafts import draft_of
from hlsdl.planning import naming
from hlsdl.planning.bandwidths import Bandwidths
from hlsdl.planning.protection import Protection, protection_of
from hlsdl.planning.selection import StreamSource
from hlsdl.playlist.models import ByteRange, InitSection, Key, MediaPlaylist, MultivariantPlaylist, Segment

MOST_SEGMENT_BYTES = 1 << 30
"""No segment may be larger than this (1 GiB)."""
LEAST_SEGMENT_LIMIT = 64 << 20
"""Below this (64 MiB) no limit is derived from the declared bitrate."""
BITRATE_SLACK = 20
"""How many times its declared size a segment may have before we call it hostile."""
KEY_BYTES = 16
AES_BLOCK = 16
MOST_DATA_BYTES = 8 << 20
"""Session data larger than 8 MiB is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One object to fetch and store: a URL, or a byte range of it, and the path it gets."""

    path: str
    """Relative POSIX path inside the bundle, chosen by us."""
    url: str = field(repr=False)
    byte_range: ByteRange | None = None
    kind: str = "segment"
    """`segment`, `init`, `key` or `data`."""
    duration: Decimal = Decimal(0)
    """Seconds; 0 for what is not a segment."""
    limit: int = MOST_SEGMENT_BYTES
    """The most bytes that are accepted."""
    stream: str | None = None
    sequence: int | None = None
    start: Decimal = Decimal(0)
    """Seconds from the start of its stream: the play order across streams."""
    block: int = 1
    """Its size is a whole number of these bytes: 16 for what is encrypted whole (AES-128, RFC 8216 §4.3.2.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """One stream to store: its playlist, its objects, and which file each line of the playlist means."""

    source: StreamSource
    playlist: MediaPlaylist
    resources: tuple[Resource, ...]
    """Init sections and segments in play order, each stored once however often it is listed."""
    files: Mapping[int, str]
    """Line index of a segment URI or EXT-X-MAP -> file name inside the stream's folder."""
    protection: Protection

    @property
    def id(self) -> str:
        """The stream's id and folder name."""
        return self.source.id

    @property
    def gaps(self) -> int:
        """Segments that the source itself declares absent."""
        return sum(segment.gap for segment in self.playlist.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How many bytes a plan takes."""

    bytes: int
    is_exact: bool
    guessed: int = 0
    """Bytes of it for which nothing in the playlists speaks: a usual bitrate was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadPlan:
    """Everything one download stores."""

    master: MultivariantPlaylist | None
    streams: tuple[StreamPlan, ...]
    keys: tuple[Resource, ...]
    data: tuple[Resource, ...]

    @property
    def resources(self) -> tuple[Resource, ...]:
        """All init sections and segments in play order across the streams."""
        if len(self.streams) == 1:
            return self.streams[0].resources
        # Sorting is stable: within one stream and one instant the playlist's own order stays, and streams follow in
        # their order. Each stream is sorted already, so this is a merge and linear.
        everything = chain.from_iterable(stream.resources for stream in self.streams)
        return tuple(sorted(everything, key=attrgetter("start")))

    @property
    def duration(self) -> Decimal:
        """Seconds of the longest stream."""
        return max((stream.playlist.duration for stream in self.streams), default=Decimal(0))

    @property
    def segments(self) -> int:
        """How many distinct media segments are stored."""
        return sum(resource.kind == "segment" for stream in self.streams for resource in stream.resources)

    def inline_keys(self) -> tuple[str, ...]:
        """The identity keys that stand in the playlists themselves, as `data:` URIs."""
        uris = (
            key.uri
            for stream in self.streams
            for key in stream.playlist.keys
            if key.keyformat == "identity" and is_inline(key.uri or "")
        )
        return tuple(dict.fromkeys(uri for uri in uris if uri))

    def estimate(self) -> Estimate:
        """Bytes to store: exact when every object is a byte range, else from the declared bitrates."""
        parts = self.estimates()
        return Estimate(
            bytes=sum(part.bytes for part in parts),
            is_exact=all(part.is_exact for part in parts),
            guessed=sum(part.guessed for part in parts),
        )

    def estimates(self) -> tuple[Estimate, ...]:
        """The same of each stream, in their order."""
        bandwidths = Bandwidths.of(self.master)
        return tuple(_estimate(stream, bandwidths) for stream in self.streams)


def make_plan(
    streams: Iterable[tuple[StreamSource, MediaPlaylist]], master: MultivariantPlaylist | None = None
) -> DownloadPlan:
    """Say exactly which objects these streams consist of."""
    planned = tuple(_plan_stream(source, playlist) for source, playlist in streams)
    # A session key that no chosen stream uses belongs to what was not chosen: it is not fetched, and one that is used
    # stands in the playlists too. The order is that of the playlists.
    keys: dict[str, Resource] = {}
    for key in (key for stream in planned for key in stream.playlist.keys):
        if key.uri not in keys and (path := stored_key_path(key)):
            uri = key.uri or ""
            keys[uri] = Resource(path=path, url=uri, kind="key", limit=KEY_BYTES)
    data = {
        item.uri: Resource(
            path=naming.data_path(item.uri, "json" if item.format == "JSON" else "bin"),
            url=item.uri,
            kind="data",
            limit=MOST_DATA_BYTES,
        )
        for item in (master.session_data if master else ())
        if item.uri and not is_inline(item.uri)
    }
    return DownloadPlan(master=master, streams=planned, keys=tuple(keys.values()), data=tuple(data.values()))


def is_inline(uri: str) -> bool:
    """Whether a URI is its own content (RFC 2397)."""
    return uri[:5].lower() == "data:"


def stored_key_path(key: Key) -> str | None:
    """Where this key is kept in the bundle; None for keys that we do not fetch (DRM systems, `data:` keys)."""
    if key.keyformat != "identity" or not key.uri:
        return None
    return naming.key_path(key.uri) if key.uri.split(":", 1)[0].lower() in ("http", "https", "file") else None


def _estimate(stream: StreamPlan, bandwidths: Bandwidths) -> Estimate:
    known = [r.byte_range.length for r in stream.resources if r.byte_range is not None]
    if len(known) == len(stream.resources):
        return Estimate(bytes=sum(known), is_exact=True)
    declared = bandwidths.own(stream.source)
    seconds: dict[int, Decimal] = {}
    for segment in stream.playlist.segments:
        if not segment.gap:
            rate = segment.bitrate or declared
            seconds[rate] = seconds.get(rate, Decimal(0)) + segment.duration
    guessed = bandwidths.usual(stream.source) * seconds.pop(0, Decimal(0))
    bits = sum((rate * lasting for rate, lasting in seconds.items()), guessed)
    return Estimate(bytes=int(bits) // 8, is_exact=False, guessed=int(guessed) // 8)


def _plan_stream(source: StreamSource, playlist: MediaPlaylist) -> StreamPlan:
    resources: list[Resource] = []
    files: dict[int, str] = {}
    inits: dict[tuple[str, ByteRange | None], str] = {}
    of_gaps: dict[tuple[str, ByteRange | None], int] = {}
    """The first segments of init sections that only gaps have so far."""
    # A segment that is listed twice is one file: the same bytes under the same default IV rules.
    known: dict[str | tuple[str, int, int], str] = {}
    measures = _Measures(source.bandwidth)
    folder = f"{source.id}/"
    start = Decimal(0)
    latest: InitSection | None = None
    for segment in playlist.segments:
        init, byte_range = segment.init, segment.byte_range
        if init is not latest and init is not None:
            first = of_gaps.pop((init.uri, init.byte_range), segment.sequence)
            if segment.gap:  # nothing of a gap is loaded
                of_gaps[init.uri, init.byte_range] = first
            else:
                latest = init
                if (init.uri, init.byte_range) not in inits:
                    name = inits[init.uri, init.byte_range] = naming.init_name(first)
                    resources.append(_init_resource(source, init, folder + name, first, start))
        # The numbers of a range, since a `ByteRange` is hashed and compared by functions of its own.
        identity = segment.uri if byte_range is None else (segment.uri, byte_range.offset, byte_range.length)
        stored = None if segment.gap else known.get(identity)
        if stored is None:
            extension = naming.segment_extension(segment.uri, kind=source.kind, has_init=init is not None)
            stored = naming.segment_name(segment.sequence, extension)
            if not segment.gap:
                known[identity] = stored
                resources.append(_segment_resource(source, segment, folder + stored, start, measures))
        files[segment.line] = stored
        start += segment.duration
    for init in playlist.inits:
        # A map that no segment uses has nothing to name it after; its line is dropped by the writer.
        if (init.uri, init.byte_range) in inits:
            files[init.line] = inits[init.uri, init.byte_range]
    return StreamPlan(
        source=source,
        playlist=playlist,
        resources=tuple(resources),
        files=files,
        protection=protection_of(playlist),
    )


class _Measures:
    """How large a segment may be, by its bitrate and duration, and in what blocks it comes, by its keys.

    Most segments of a stream have the same as the one before.
    """

    def __init__(self, bandwidth: int) -> None:
        self._bandwidth = bandwidth
        self._limits: dict[tuple[int | None, Decimal], int] = {}
        self._keys: tuple[Key, ...] = ()
        self._block = 1

    def limit(self, segment: Segment) -> int:
        """Bytes: those of its range, else many times what its bitrate declares."""
        if segment.byte_range is not None:
            return segment.byte_range.length
        limit = self._limits.get((segment.bitrate, segment.duration))
        if limit is None:
            derived = int(BITRATE_SLACK * (segment.bitrate or self._bandwidth) * segment.duration / 8)
            limit = min(MOST_SEGMENT_BYTES, max(LEAST_SEGMENT_LIMIT, derived))
            self._limits[segment.bitrate, segment.duration] = limit
        return limit

    def block(self, segment: Segment) -> int:
        """Bytes: AES_BLOCK for what is encrypted whole."""
        if segment.keys is not self._keys:
            self._keys = segment.keys
            self._block = AES_BLOCK if any(key.method == "AES-128" for key in segment.keys) else 1
        return self._block


_Draft = draft_of(Resource)


def _segment_resource(
    source: StreamSource, segment: Segment, path: str, start: Decimal, measures: _Measures
) -> Resource:
    draft = _Draft()
    draft.path = path
    draft.url = segment.uri
    draft.byte_range = segment.byte_range
    draft.kind = "segment"
    draft.duration = segment.duration
    draft.limit = measures.limit(segment)
    draft.stream = source.id
    draft.sequence = segment.sequence
    draft.start = start
    draft.block = measures.block(segment)
    draft.__class__ = Resource
    resource: Resource = draft
    return resource


def _init_resource(source: StreamSource, init: InitSection, path: str, sequence: int, start: Decimal) -> Resource:
    return Resource(
        path=path,
        url=init.uri,
        byte_range=init.byte_range,
        kind="init",
        limit=init.byte_range.length if init.byte_range else LEAST_SEGMENT_LIMIT,
        stream=source.id,
        sequence=sequence,
        start=start,
    )
