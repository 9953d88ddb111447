"""Multivariant playlists: what m3u8's dictionary says of each entry, as our values, with the line it came from.

m3u8 reads copies of the tags whose numbers are known to be right and whose texts are quoted (`survey`), in order;
its dictionary keeps every attribute, also those that its own models lose. Keys are read by `keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hlsdl.errors import PlaylistError
from hlsdl.playlist.addresses import Base
from hlsdl.playlist.attributes import read_attributes, read_list
from hlsdl.playlist.keys import read_key
from hlsdl.playlist.lines import PlaylistText
from hlsdl.playlist.models import (
    ContentSteering,
    Key,
    MultivariantPlaylist,
    Rendition,
    SessionData,
    TrickPlayVariant,
    Variant,
)
from hlsdl.playlist.notes import Notes, shown
from hlsdl.playlist.reading import read_with_m3u8
from hlsdl.playlist.survey import HIDDEN, Survey

_TYPES = {"AUDIO": "audio", "VIDEO": "video", "SUBTITLES": "subtitles", "CLOSED-CAPTIONS": "closed_captions"}


def read_multivariant(
    text: PlaylistText, found: Survey, base: Base, variables: Mapping[str, str], notes: Notes
) -> MultivariantPlaylist:
    """The multivariant playlist that the surveyed lines make."""
    data = read_with_m3u8(found.copy, lambda line, *_: line == HIDDEN)
    entries = _Entries(data, found, base, notes)
    variants = entries.variants()
    renditions = entries.renditions()
    trick_play = entries.trick_play("EXT-X-I-FRAME-STREAM-INF") + entries.trick_play("EXT-X-IMAGE-STREAM-INF")
    if not (variants or renditions or trick_play):
        raise PlaylistError("the playlist has neither variants nor segments")
    if not variants:
        notes.add("the multivariant playlist has no variants")
    _note_missing_groups(variants, renditions, notes)
    return MultivariantPlaylist(
        url=base.url,
        text=text,
        variants=variants,
        renditions=renditions,
        trick_play=tuple(sorted(trick_play, key=lambda entry: entry.line)),
        session_data=entries.session_data(),
        session_keys=_session_keys(text, found, base, notes),
        steering=entries.steering(),
        version=data.get("version", 1),
        independent_segments=data["is_independent_segments"],
        variables=dict(variables),
        warnings=notes.sentences(),
    )


class _Entries:
    """m3u8's dictionaries beside the lines they came from."""

    def __init__(self, data: dict[str, Any], found: Survey, base: Base, notes: Notes) -> None:
        self._data, self._found, self._base, self._notes = data, found, base, notes

    def _pairs(self, tag: str, key: str) -> list[tuple[int, dict[str, Any]]]:
        """(line index, m3u8's entry) for each `tag`; as many of one as of the other, or the playlist is refused."""
        indexes, entries = self._found.entries.get(tag, []), self._data[key]
        if len(indexes) != len(entries):
            raise PlaylistError(f"{len(indexes)} `{tag}` lines, but {len(entries)} entries, were read")
        return list(zip(indexes, entries, strict=True))

    def _resolve(self, uri: str, index: int) -> str:
        """The URL of another playlist: itself would be a loop without end."""
        url = self._base.resolve(uri, index)
        if self._base.is_itself(url):
            raise PlaylistError("the playlist refers to itself", line=index + 1)
        return url

    def variants(self) -> tuple[Variant, ...]:
        pairs = self._pairs("EXT-X-STREAM-INF", "playlists")
        if len(pairs) != len(self._found.uris):
            raise PlaylistError(f"{len(self._found.uris)} URI lines, but {len(pairs)} variants, were read")
        return tuple(
            self._variant(entry["stream_info"], entry["uri"], position, index, uri_index)
            for position, ((index, entry), uri_index) in enumerate(zip(pairs, self._found.uris, strict=True))
        )

    def _variant(self, info: dict[str, Any], uri: str, position: int, index: int, uri_index: int) -> Variant:
        captions = _text(info, "closed_captions")
        return Variant(
            uri=self._resolve(uri, uri_index),
            bandwidth=info["bandwidth"],
            average_bandwidth=info.get("average_bandwidth"),
            score=_float(info, "score"),
            codecs=read_list(_text(info, "codecs") or ""),
            supplemental_codecs=read_list(_text(info, "supplemental_codecs") or ""),
            resolution=_size(info),
            frame_rate=info.get("frame_rate"),
            video_range=_text(info, "video_range") or "SDR",
            hdcp_level=_text(info, "hdcp_level"),
            video_layout=_text(info, "req_video_layout"),
            audio=_text(info, "audio"),
            video=_text(info, "video"),
            subtitles=_text(info, "subtitles"),
            closed_captions=None if captions == "NONE" else captions,
            pathway=_text(info, "pathway_id"),
            stable_id=_text(info, "stable_variant_id"),
            name=_text(info, "name"),
            index=position,
            line=index,
            uri_line=uri_index,
        )

    def renditions(self) -> tuple[Rendition, ...]:
        return tuple(self._rendition(info, index) for index, info in self._pairs("EXT-X-MEDIA", "media"))

    def _rendition(self, info: dict[str, Any], index: int) -> Rendition:
        kind, group, name, uri = (_text(info, key) for key in ("type", "group_id", "name", "uri"))
        if not kind or group is None:
            raise PlaylistError("`EXT-X-MEDIA` needs a `TYPE` and a `GROUP-ID`", line=index + 1)
        if kind not in _TYPES:
            self._notes.add(f"`EXT-X-MEDIA` has the unknown `TYPE` `{shown(kind)}`", index)
        if name is None:
            self._notes.add("`EXT-X-MEDIA` has no `NAME`", index)
        if kind == "SUBTITLES" and not uri:
            self._notes.add("`EXT-X-MEDIA` of type SUBTITLES has no `URI`", index)
        return Rendition(
            type=kind,
            group=group,
            name=name or "",
            uri=self._resolve(uri, index) if uri else None,
            language=_text(info, "language"),
            assoc_language=_text(info, "assoc_language"),
            default=_text(info, "default") == "YES",
            autoselect=_text(info, "autoselect") == "YES",
            forced=_text(info, "forced") == "YES",
            instream_id=_text(info, "instream_id"),
            characteristics=read_list(_text(info, "characteristics") or ""),
            channels=_text(info, "channels"),
            sample_rate=_integer(info, "sample_rate"),
            bit_depth=_integer(info, "bit_depth"),
            codecs=read_list(_text(info, "codecs") or ""),
            pathway=_text(info, "pathway_id"),
            stable_id=_text(info, "stable_rendition_id"),
            line=index,
        )

    def trick_play(self, tag: str) -> tuple[TrickPlayVariant, ...]:
        images = tag == "EXT-X-IMAGE-STREAM-INF"
        pairs = self._pairs(tag, "image_playlists" if images else "iframe_playlists")
        key, kind = ("image_stream_info", "images") if images else ("iframe_stream_info", "iframes")
        return tuple(self._trick_play(kind, entry[key], entry["uri"], index) for index, entry in pairs)

    def _trick_play(self, kind: str, info: dict[str, Any], uri: str, index: int) -> TrickPlayVariant:
        return TrickPlayVariant(
            kind=kind,
            uri=self._resolve(uri, index),
            bandwidth=info["bandwidth"],
            average_bandwidth=info.get("average_bandwidth"),
            codecs=read_list(_text(info, "codecs") or ""),
            resolution=_size(info),
            video_range=_text(info, "video_range") or "SDR",
            video=_text(info, "video"),
            language=_text(info, "language"),
            pathway=_text(info, "pathway_id"),
            stable_id=_text(info, "stable_variant_id"),
            line=index,
        )

    def session_data(self) -> tuple[SessionData, ...]:
        return tuple(
            self._session_data(info, index) for index, info in self._pairs("EXT-X-SESSION-DATA", "session_data")
        )

    def _session_data(self, info: dict[str, Any], index: int) -> SessionData:
        data_id, value, uri = (_text(info, key) for key in ("data_id", "value", "uri"))
        if not data_id:
            self._notes.add("`EXT-X-SESSION-DATA` has no `DATA-ID`", index)
        if (value is None) == (uri is None):
            self._notes.add("`EXT-X-SESSION-DATA` should have one of `VALUE` and `URI`", index)
        return SessionData(
            data_id=data_id or "",
            value=value,
            uri=self._resolve(uri, index) if uri else None,
            format=_text(info, "format") or "JSON",
            language=_text(info, "language"),
            line=index,
        )

    def steering(self) -> ContentSteering | None:
        indexes = self._found.entries.get("EXT-X-CONTENT-STEERING", [])
        if not indexes:
            return None
        if len(indexes) > 1:
            self._notes.add("`EXT-X-CONTENT-STEERING` is given more than once, the last one holds", indexes[-1])
        info = self._data["content_steering"]
        uri = _text(info, "server_uri")
        if not uri:
            self._notes.add("`EXT-X-CONTENT-STEERING` has no `SERVER-URI`, ignored", indexes[-1])
            return None
        return ContentSteering(
            server_uri=self._base.resolve(uri, indexes[-1]), pathway=_text(info, "pathway_id"), line=indexes[-1]
        )


def _session_keys(text: PlaylistText, found: Survey, base: Base, notes: Notes) -> tuple[Key, ...]:
    keys: list[Key] = []
    for index in found.entries.get("EXT-X-SESSION-KEY", []):
        attributes = read_attributes(text.lines[index], index, notes)
        key = read_key(attributes, "EXT-X-SESSION-KEY", index, base, notes)
        if key is None:
            notes.add("`EXT-X-SESSION-KEY` with `METHOD=NONE` is ignored", index)
        else:
            keys.append(key)
    return tuple(keys)


def _note_missing_groups(variants: tuple[Variant, ...], renditions: tuple[Rendition, ...], notes: Notes) -> None:
    groups = {(rendition.type, rendition.group) for rendition in renditions}
    for variant in variants:
        for kind, attribute in _TYPES.items():
            group = getattr(variant, attribute)
            if group is not None and (kind, group) not in groups:
                notes.add(f"a variant names the {kind} group `{shown(group)}`, which does not exist", variant.line)


def _text(info: dict[str, Any], key: str) -> str | None:
    """A text attribute; m3u8 takes the quotes off some of them only."""
    value = info.get(key)
    if value is None:
        return None
    text = str(value)
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _integer(info: dict[str, Any], key: str) -> int | None:
    text = _text(info, key)
    return int(text) if text else None


def _float(info: dict[str, Any], key: str) -> float | None:
    text = _text(info, key)
    return float(text) if text else None


def _size(info: dict[str, Any]) -> tuple[int, int] | None:
    text = _text(info, "resolution")
    if not text:
        return None
    width, _, height = text.partition("x")
    return int(width), int(height)
