"""Playlists: from bytes to values, and the lines they came from. Pure; nothing here does I/O."""

from __future__ import annotations

from hlsdl.playlist.lines import (
    PlaylistLimits,
    PlaylistText,
    attribute_spans,
    content,
    fetchable_attributes,
    is_uri,
    remove_attribute,
    set_attribute,
    tag_name,
)
from hlsdl.playlist.models import (
    ByteRange,
    ContentSteering,
    DateRange,
    InitSection,
    Key,
    MediaPlaylist,
    MultivariantPlaylist,
    Rendition,
    Segment,
    SessionData,
    TrickPlayVariant,
    Variant,
)
from hlsdl.playlist.parsing import parse_playlist

__all__ = [
    "ByteRange",
    "ContentSteering",
    "DateRange",
    "InitSection",
    "Key",
    "MediaPlaylist",
    "MultivariantPlaylist",
    "PlaylistLimits",
    "PlaylistText",
    "Rendition",
    "Segment",
    "SessionData",
    "TrickPlayVariant",
    "Variant",
    "attribute_spans",
    "content",
    "fetchable_attributes",
    "is_uri",
    "parse_playlist",
    "remove_attribute",
    "set_attribute",
    "tag_name",
]
