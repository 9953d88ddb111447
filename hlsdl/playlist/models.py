"""What a playlist says, as frozen values: the nouns of RFC 8216.

Produced by `playlist.parsing` and read by `planning`; nothing here parses, writes or does I/O.
URIs are already resolved against the playlist's own URL (RFC 3986) and percent-encoded. A URI has its query, where
tokens live: it is in no `repr`.
Line numbers are 0-based indexes into `text.lines`, so that a writer can find the source line of each value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from hlsdl.playlist.lines import PlaylistText


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """A sub-range of a resource, in bytes (RFC 8216 §4.3.2.2); the offset is always known here."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """One past the last byte."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One EXT-X-KEY or EXT-X-SESSION-KEY (RFC 8216 §4.3.2.4). It names a key; it never holds key bytes."""

    method: str
    """As written: `AES-128`, `SAMPLE-AES`, `SAMPLE-AES-CTR`, or one we do not know. Never `NONE`."""
    uri: str | None = field(repr=False)
    iv: str | None = None
    """The hexadecimal text as written, or None (default: the media sequence number)."""
    keyformat: str = "identity"
    keyformat_versions: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InitSection:
    """A Media Initialization Section: one EXT-X-MAP (RFC 8216 §4.3.2.5) with the keys in force where it stands."""

    uri: str = field(repr=False)
    byte_range: ByteRange | None = None
    keys: tuple[Key, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One Media Segment (RFC 8216 §4.3.2)."""

    uri: str = field(repr=False)
    duration: Decimal
    """Seconds, exactly as EXTINF says."""
    sequence: int
    """Its Media Sequence Number."""
    discontinuity_sequence: int
    byte_range: ByteRange | None = None
    keys: tuple[Key, ...] = ()
    """The keys in force, one for each KEYFORMAT; empty when the segment is clear."""
    init: InitSection | None = None
    discontinuity: bool = False
    gap: bool = False
    """EXT-X-GAP: the segment is declared absent and is never fetched."""
    bitrate: int | None = None
    """EXT-X-BITRATE in force, in bits per second."""
    program_date_time: str | None = None
    line: int = 0
    """Index of the URI line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """One EXT-X-DATERANGE (RFC 8216 §4.3.2.7); its other attributes stay in the source line."""

    id: str
    group: str | None = None
    """CLASS, as written; `com.apple.hls.interstitial` marks an interstitial."""
    start: str | None = None
    """START-DATE, as written."""
    end: str | None = None
    duration: Decimal | None = None
    """Seconds."""
    asset_uri: str | None = field(default=None, repr=False)
    """X-ASSET-URI: the interstitial's own playlist."""
    asset_list: str | None = field(default=None, repr=False)
    """X-ASSET-LIST: a JSON document that names several."""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """A Media Playlist: the segments of one stream, in order."""

    url: str = field(repr=False)
    """Where it came from, after redirects: the base of its URIs."""
    text: PlaylistText
    """The source lines with EXT-X-DEFINE variables substituted; otherwise byte for byte as served."""
    segments: tuple[Segment, ...]
    inits: tuple[InitSection, ...] = ()
    """Every EXT-X-MAP, in order of appearance, also those no segment uses."""
    keys: tuple[Key, ...] = ()
    """Every EXT-X-KEY that is not METHOD=NONE, in order of appearance."""
    date_ranges: tuple[DateRange, ...] = ()
    """Every EXT-X-DATERANGE, in order of appearance."""
    version: int = 1
    target_duration: int | None = None
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    ended: bool = False
    """EXT-X-ENDLIST is present."""
    playlist_type: str | None = None
    """`VOD`, `EVENT` or None."""
    iframes_only: bool = False
    images_only: bool = False
    warnings: tuple[str, ...] = ()
    """What was tolerated and normalised, one sentence each."""

    @property
    def duration(self) -> Decimal:
        """The sum of all EXTINF durations, in seconds."""
        return sum((segment.duration for segment in self.segments), Decimal(0))

    @property
    def is_live(self) -> bool:
        """Whether segments may still be added (RFC 8216 §6.2.1)."""
        return not self.ended and self.playlist_type != "VOD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One Variant Stream: EXT-X-STREAM-INF and the URI line after it (RFC 8216 §4.3.4.2)."""

    uri: str = field(repr=False)
    bandwidth: int
    """Peak bits per second; 0 when the playlist leaves it out."""
    average_bandwidth: int | None = None
    score: float | None = None
    codecs: tuple[str, ...] = ()
    supplemental_codecs: tuple[str, ...] = ()
    resolution: tuple[int, int] | None = None
    """(width, height) in pixels."""
    frame_rate: float | None = None
    video_range: str = "SDR"
    """`SDR` (also when undeclared), `HLG` or `PQ`."""
    hdcp_level: str | None = None
    video_layout: str | None = None
    """REQ-VIDEO-LAYOUT, as written."""
    audio: str | None = None
    video: str | None = None
    subtitles: str | None = None
    closed_captions: str | None = None
    """A group id; None also stands for the enumerated NONE."""
    pathway: str | None = None
    stable_id: str | None = None
    name: str | None = None
    index: int = 0
    """Position among the variants of the playlist, from 0."""
    line: int = 0
    """Index of the EXT-X-STREAM-INF line."""
    uri_line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One EXT-X-MEDIA (RFC 8216 §4.3.4.1)."""

    type: str
    """`AUDIO`, `VIDEO`, `SUBTITLES` or `CLOSED-CAPTIONS`."""
    group: str
    name: str
    uri: str | None = field(default=None, repr=False)
    """None: the rendition is inside the variants that name its group."""
    language: str | None = None
    assoc_language: str | None = None
    default: bool = False
    autoselect: bool = False
    forced: bool = False
    instream_id: str | None = None
    characteristics: tuple[str, ...] = ()
    channels: str | None = None
    """As written: `2`, `6`, `16/JOC`, `2/-/BINAURAL`."""
    sample_rate: int | None = None
    bit_depth: int | None = None
    codecs: tuple[str, ...] = ()
    pathway: str | None = None
    stable_id: str | None = None
    line: int = 0

    @property
    def channel_count(self) -> int | None:
        """The number of independent channels: the first parameter of CHANNELS."""
        first = (self.channels or "").split("/")[0]
        return int(first) if first.isdecimal() and len(first) < 10 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrickPlayVariant:
    """EXT-X-I-FRAME-STREAM-INF (RFC 8216 §4.3.4.3) or the image playlists' EXT-X-IMAGE-STREAM-INF."""

    kind: str
    """`iframes` or `images`."""
    uri: str = field(repr=False)
    bandwidth: int
    average_bandwidth: int | None = None
    codecs: tuple[str, ...] = ()
    resolution: tuple[int, int] | None = None
    video_range: str = "SDR"
    video: str | None = None
    language: str | None = None
    pathway: str | None = None
    stable_id: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionData:
    """One EXT-X-SESSION-DATA (RFC 8216 §4.3.4.4): `value` or `uri`, not both."""

    data_id: str
    value: str | None = None
    uri: str | None = field(default=None, repr=False)
    format: str = "JSON"
    language: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSteering:
    """EXT-X-CONTENT-STEERING; acted on never (an offline player would call home), shown by `inspect`."""

    server_uri: str = field(repr=False)
    pathway: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MultivariantPlaylist:
    """A Multivariant (Master) Playlist: what the stream offers."""

    url: str = field(repr=False)
    text: PlaylistText
    variants: tuple[Variant, ...] = ()
    renditions: tuple[Rendition, ...] = ()
    trick_play: tuple[TrickPlayVariant, ...] = ()
    session_data: tuple[SessionData, ...] = ()
    session_keys: tuple[Key, ...] = ()
    steering: ContentSteering | None = None
    version: int = 1
    independent_segments: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """EXT-X-DEFINE values that children may IMPORT. They may be tokens: never logged."""
    warnings: tuple[str, ...] = ()

    def group(self, type: str, group: str | None) -> tuple[Rendition, ...]:  # noqa: A002 - RFC 8216's own word
        """The renditions of one (TYPE, GROUP-ID), in playlist order."""
        return tuple(r for r in self.renditions if r.type == type and r.group == group)
