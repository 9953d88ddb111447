"""Local playlists: the source text, re-pointed at what is stored.

Every line survives byte for byte except those named here. A line changes only where its URI, its byte range or a
reference to something not stored stands; a line goes when it is about live delivery, or would call the network.
`docs/bundle-format.md` states the list for people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from hlsdl.planning.plan import StreamPlan, is_inline, stored_key_path
from hlsdl.planning.protection import KEY_SCHEMES
from hlsdl.planning.stand_ins import Rates, stand_in_line, stand_ins
from hlsdl.playlist import lines
from hlsdl.playlist.models import Key, MediaPlaylist, MultivariantPlaylist, Variant

VOD = "#EXT-X-PLAYLIST-TYPE:VOD"

LIVE_DELIVERY_TAGS = frozenset(
    {
        "EXT-X-SERVER-CONTROL",
        "EXT-X-PART-INF",
        "EXT-X-PART",
        "EXT-X-PRELOAD-HINT",
        "EXT-X-RENDITION-REPORT",
        "EXT-X-SKIP",
        "EXT-X-PREFETCH",
        "EXT-X-PREFETCH-DISCONTINUITY",
    }
)
"""They steer requests to an origin; an offline copy has none."""

REPLACED_TAGS = frozenset(
    {
        "EXT-X-DEFINE",  # variables are written out
        "EXT-X-BYTERANGE",  # each range is its own file
        "EXT-X-ALLOW-CACHE",  # removed in protocol version 7
        "EXT-X-CONTENT-STEERING",  # an offline player would call home
        "EXT-X-ENDLIST",  # written anew at the end
    }
)

OFFLINE_SCHEMES = frozenset({"data", "skd", "urn", "clearkey"})
"""Schemes that no player takes to the network by itself; such values stay as they are."""


def local_media_playlist(stream: StreamPlan, *, absent: Collection[str] = ()) -> str:
    """The media playlist of one stored stream.

    Args:
        stream: its plan.
        absent: file names (in the stream's folder) that the origin no longer had: they become EXT-X-GAP.
    """
    playlist = stream.playlist
    source, files = playlist.text.lines, stream.files
    keys = {key.line: key for key in playlist.keys}
    written: list[str] = []
    at = 0
    for segment in playlist.segments:
        end = segment.line
        if end == at + 1 and source[at].startswith("#EXTINF:"):  # as nearly always: nothing else stands before it
            written.append(source[at])
        else:
            written += _other_lines(stream, keys, at, end)
        name, line = files[end], source[end]
        if name in absent and not segment.gap:
            written.append(_like(line, "#EXT-X-GAP"))
        written.append(_like(line, name))
        at = end + 1
    written += _other_lines(stream, keys, at, len(source))
    return _sealed(_begun(written), playlist, needs_gap=bool(absent))


def _other_lines(stream: StreamPlan, keys: Mapping[int, Key], start: int, end: int) -> Iterator[str]:
    """What is written for the lines from `start` to before `end`, none of which is a segment's URI."""
    for number, line in enumerate(stream.playlist.text.lines[start:end], start):
        if line.startswith("#EXTINF:"):  # nothing in it is about delivery
            yield line
            continue
        tag = lines.tag_name(line)
        if number in keys:
            yield from _local_key(line, keys[number])
        elif tag == "EXT-X-MAP":
            yield from _local_map(line, stream.files.get(number))
        elif tag == "EXT-X-PLAYLIST-TYPE":
            yield _like(line, VOD)
        elif tag not in LIVE_DELIVERY_TAGS and tag not in REPLACED_TAGS and not _calls_network(line):
            yield line


def local_multivariant_playlist(
    master: MultivariantPlaylist,
    playlists: Mapping[str, str],
    files: Mapping[str, str],
    rates: Rates | None = None,
) -> str:
    """The multivariant playlist of what is stored.

    Args:
        master: the source.
        playlists: media playlist URL -> its local playlist, relative to the bundle (`<stream>/index.m3u8`).
        files: URL of a key or data item -> its stored path, relative to the bundle.
        rates: what is known of bitrates, for a rendition that must stand in for a variant.
    """
    kept = _kept_variants(master, playlists)
    standing_in = {} if kept else stand_ins(master, playlists.keys())
    targets = {one.index: one.uri for one in kept} | {i: one.rendition.uri or "" for i, one in standing_in.items()}
    kept = kept or [one.variant for one in standing_in.values()]
    removals = _unusable_groups(master, kept, playlists)
    variant_lines = {one.line: one for one in master.variants}
    variant_uris = {one.uri_line: one for one in master.variants}
    renditions = {one.line: one for one in master.renditions}
    trick_play = {one.line: one for one in master.trick_play}
    data = {one.line: one for one in master.session_data}
    session_keys = {one.line: one for one in master.session_keys}
    promoted = _promoted_defaults(master, kept, playlists)
    written: list[str] = []
    for number, line in enumerate(master.text.lines):
        if number in variant_lines and (index := variant_lines[number].index) in targets:
            said, one = _without(line, removals.get(index, ())), standing_in.get(index)
            written.append(stand_in_line(said, one, rates or {}) if one else said)
        elif number in variant_uris:
            target = targets.get(variant_uris[number].index)
            written += [_like(line, playlists[target])] if target is not None else []
        elif number in promoted:
            written += _local_rendition(line, renditions[number].uri, playlists, promoted=promoted[number])
        elif number in variant_lines or number in renditions:
            continue
        elif number in trick_play:
            written += _pointed(line, playlists.get(trick_play[number].uri))
        elif number in data and data[number].uri:
            written += _local_data(line, str(data[number].uri), files)
        elif number in session_keys:
            written += _local_session_key(line, session_keys[number], files)
        elif lines.tag_name(line) in REPLACED_TAGS or _calls_network(line):
            continue
        else:
            written.append(line)
    return "".join(_begun(written))


def _begun(written: list[str]) -> list[str]:
    """The lines without blanks before `#EXTM3U`: it is the first line (RFC 8216 §4.3.1.1), and players insist on it."""
    first = next(at for at, line in enumerate(written) if line.strip(lines.BLANKS))
    return [written[first].lstrip(lines.BLANKS), *written[first + 1 :]]


def measured_multivariant_playlist(playlist_path: str, *, peak: int, average: int) -> str:
    """The multivariant playlist around a media playlist that was the source itself; bitrates are measured."""
    attributes = f"BANDWIDTH={max(peak, 1)},AVERAGE-BANDWIDTH={max(average, 1)}"
    return f"#EXTM3U\n#EXT-X-STREAM-INF:{attributes}\n{playlist_path}\n"


def _like(line: str, content: str) -> str:
    """`content` with the line ending of `line`; a last line without one gets a line feed."""
    return content + ("\r\n" if line.endswith("\r\n") else "\n")


def _value(line: str, name: str) -> str | None:
    """An attribute's value without its quotes."""
    span = lines.attribute_spans(line).get(name)
    return line[span[0] : span[1]].strip('"') if span else None


def _without(line: str, names: Iterable[str]) -> str:
    for name in names:
        line = lines.remove_attribute(line, name)
    return line


def _pointed(line: str, target: str | None) -> list[str]:
    """The line with its URI attribute at `target`; no line when there is no target."""
    return [lines.set_attribute(line, "URI", f'"{target}"')] if target is not None else []


def _calls_network(line: str) -> bool:
    """Whether a player would fetch something this line names that is not stored."""
    for name in lines.fetchable_attributes(line):
        value = _value(line, name) or ""
        if value.split(":", 1)[0].lower() not in OFFLINE_SCHEMES or ":" not in value:
            return True
    return False


def _local_key(line: str, key: Key) -> list[str]:
    """A KEY line: ours points to the stored key, a key system's stays verbatim unless it is a web address."""
    path = stored_key_path(key)
    if path is not None:
        return _pointed(line, f"../{path}")
    return [line] if _stays_verbatim(key) else []


def _stays_verbatim(key: Key) -> bool:
    # A DRM line with a web address is a licence server. It describes ciphertext that we keep whole, and without
    # the line the segments would claim to be clear; only a player of that key system follows it.
    scheme = (key.uri or "").split(":", 1)[0].lower()
    return key.keyformat != "identity" or scheme not in KEY_SCHEMES - {"data"}


def _local_map(line: str, name: str | None) -> list[str]:
    return _pointed(lines.remove_attribute(line, "BYTERANGE"), name)


def _local_rendition(line: str, uri: str | None, playlists: Mapping[str, str], *, promoted: bool) -> list[str]:
    if promoted:
        line = lines.set_attribute(lines.set_attribute(line, "DEFAULT", "YES"), "AUTOSELECT", "YES")
    return [line] if uri is None else _pointed(line, playlists.get(uri))


def _local_data(line: str, uri: str, files: Mapping[str, str]) -> list[str]:
    return [line] if is_inline(uri) else _pointed(line, files.get(uri))


def _local_session_key(line: str, key: Key, files: Mapping[str, str]) -> list[str]:
    path = stored_key_path(key)
    if path is not None:
        return _pointed(line, path if path in files.values() else None)
    return [line] if _stays_verbatim(key) and (key.uri or "").split(":")[0].lower() not in ("http", "https") else []


def _sealed(written: list[str], playlist: MediaPlaylist, *, needs_gap: bool) -> str:
    """Add what makes it a finished playlist: PLAYLIST-TYPE:VOD behind the header, ENDLIST at the end."""
    if written and not written[-1].endswith("\n"):
        written[-1] += "\n"
    ending = written[0][len(lines.content(written[0])) :] or "\n"
    if needs_gap and playlist.version < 8:
        written[:] = [line for line in written if lines.tag_name(line) != "EXT-X-VERSION"]
        written.insert(1, f"#EXT-X-VERSION:8{ending}")
    # Whatever has the tag, however it is indented, has its name; the many others need not be taken apart.
    if not any(lines.tag_name(line) == "EXT-X-PLAYLIST-TYPE" for line in written if "EXT-X-PLAYLIST-TYPE" in line):
        place = next((at for at, line in enumerate(written) if lines.tag_name(line) == "EXT-X-TARGETDURATION"), 0) + 1
        written.insert(place, f"{VOD}{ending}")
    written.append(f"#EXT-X-ENDLIST{ending}")
    return "".join(written)


def _kept_variants(master: MultivariantPlaylist, playlists: Mapping[str, str]) -> list[Variant]:
    """The STREAM-INF lines that stay: stored video with each stored audio group the source pairs it with."""
    stored = [one for one in master.variants if one.uri in playlists]
    kept = [one for one in stored if one.audio is None or _has_audio(master, one, playlists)]
    voiced = {one.uri for one in kept}
    # A video stored without any of its audio groups still plays, silently: its first line stays.
    silent = {one.uri: one for one in reversed(stored) if one.uri not in voiced}
    return sorted([*kept, *silent.values()], key=lambda one: one.index)


def _has_audio(master: MultivariantPlaylist, variant: Variant, playlists: Mapping[str, str]) -> bool:
    group = master.group("AUDIO", variant.audio)
    return any(one.uri is None or one.uri in playlists for one in group)


def _unusable_groups(
    master: MultivariantPlaylist, kept: Iterable[Variant], playlists: Mapping[str, str]
) -> dict[int, list[str]]:
    """Variant index -> the group attributes that would name a group nothing is stored of."""
    removals: dict[int, list[str]] = {}
    for one in kept:
        for kind, group in (("AUDIO", one.audio), ("SUBTITLES", one.subtitles), ("VIDEO", one.video)):
            members = master.group(kind, group)
            if group is not None and not any(r.uri is None or r.uri in playlists for r in members):
                removals.setdefault(one.index, []).append(kind)
    return removals


def _promoted_defaults(
    master: MultivariantPlaylist, kept: Iterable[Variant], playlists: Mapping[str, str]
) -> dict[int, bool]:
    """EXT-X-MEDIA lines that stay -> whether this one becomes the DEFAULT because its group's own is not stored."""
    used = {
        (kind, group)
        for one in kept
        for kind, group in (
            ("AUDIO", one.audio),
            ("VIDEO", one.video),
            ("SUBTITLES", one.subtitles),
            ("CLOSED-CAPTIONS", one.closed_captions),
        )
    }
    staying = [
        one for one in master.renditions if (one.type, one.group) in used and (one.uri is None or one.uri in playlists)
    ]
    promoted = {one.line: False for one in staying}
    for group in dict.fromkeys(one.group for one in staying if one.type == "AUDIO"):
        had_default = any(one.default for one in master.group("AUDIO", group))
        members = [one for one in staying if one.type == "AUDIO" and one.group == group]
        if had_default and not any(one.default for one in members):
            promoted[members[0].line] = True
    return promoted
