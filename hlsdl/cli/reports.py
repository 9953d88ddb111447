"""From the JSON documents of contract §3 to the tables that people see: pure functions.

What a table shows is in its document too, so a script never needs to read a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hlsdl.cli.blocks import Block, Facts, Grid, Lines, format_bitrate, format_bytes, format_duration
from hlsdl.errors import redact

Document = Mapping[str, Any]

MOST_ALIKE = 20
"""Findings of one kind that are shown."""


def _plays_text(document: Document) -> str:
    plays = yes_no(document["playable_offline"])
    return f"{plays}, as before the rest was asked for" if document["state"] == "partial" and plays == "yes" else plays


def bundle_blocks(document: Document) -> list[Block]:
    """Show an `hlsdl.bundle/1`: what a bundle holds."""
    facts = Facts(
        [
            ("title", document["title"]),
            ("path", document["path"]),
            ("source", redact(document["source"])),
            ("state", document["state"]),
            ("plays offline", _plays_text(document)),
            ("created", document["created"]),
            ("duration", format_duration(document["duration"])),
            ("size", f"{format_bytes(document['bytes'])} in {document['segments']} segments"),
        ]
    )
    columns = ("id", "kind", "what", "codecs", "encryption", "segments", "size", "complete")
    rows = [
        (
            short_id(one["id"]),
            one["kind"],
            stream_text(one),
            codec_names(one["codecs"]),
            one["encryption"],
            segments_text(one),
            format_bytes(one["bytes"]),
            yes_no(one["complete"]),
        )
        for one in document["streams"]
    ]
    return [facts, Grid("streams", columns, rows)]


def short_id(stream_id: str) -> str:
    """Enough of a stream's id to tell it from the others; documents have the whole."""
    return stream_id[:10]


def codec_names(codecs: Sequence[str]) -> str:
    """The four-character names, without profiles and levels."""
    return ",".join(codec.split(".")[0] for codec in codecs)


def plan_blocks(document: Document) -> list[Block]:
    """Show an `hlsdl.plan/1`: what would be downloaded, every choice with its reason, every rejection."""
    about = "" if document["bytes_are_exact"] else "~"
    facts = Facts(
        [
            ("title", document["title"]),
            ("source", redact(document["source"])),
            ("duration", format_duration(document["duration"])),
            ("size", f"{about}{format_bytes(document['bytes'])} in {document['segments']} segments"),
            *_gone_on_with(document),
        ]
    )
    streams = [
        (
            short_id(one["id"]),
            one["kind"],
            stream_text(one),
            format_bitrate(one["bandwidth"]),
            codec_names(one["codecs"]),
            segments_text(one),
        )
        for one in document["streams"]
    ]
    choices = [(one["what"], one["chosen"], one["because"]) for one in document["choices"]]
    rejected = [
        (choice["what"], one["label"], one["because"]) for choice in document["choices"] for one in choice["rejected"]
    ]
    blocks: list[Block] = [
        facts,
        Grid("streams", ("id", "kind", "what", "bitrate", "codecs", "segments"), streams),
        Grid("chosen", ("what", "chosen", "because"), choices),
    ]
    if rejected:
        blocks.append(Grid("not chosen", ("what", "candidate", "because"), rejected))
    return [*blocks, *_warnings(document)]


def _gone_on_with(document: Document) -> list[tuple[str, object]]:
    """The bundle that an earlier run left, and what is in it."""
    if document.get("bundle") is None:
        return []
    stored = f"{document['stored_segments']} of them are there, with what earlier runs asked for"
    return [("goes on with", document["bundle"]), ("stored", stored)]


def stream_blocks(document: Document) -> list[Block]:
    """Show an `hlsdl.stream/1`: everything a stream offers."""
    keys = [f"{key['method']} ({key['keyformat']})" for key in document["keys"]]
    facts = Facts(
        [
            ("title", document.get("title")),
            ("source", redact(document["source"])),
            ("kind", document["kind"]),
            ("live", yes_no(document["live"])),
            ("duration", format_duration(document["duration"])),
            ("keys", ", ".join(keys) or "none"),
            ("pathways", ", ".join(document["pathways"]) or "none"),
        ]
    )
    grids = [
        Grid("variants", VARIANT_COLUMNS, [_variant_row(one) for one in document["variants"]]),
        Grid("renditions", RENDITION_COLUMNS, [_rendition_row(one) for one in document["renditions"]]),
        Grid("I-frames", TRICK_COLUMNS, [_trick_row(one) for one in document["iframes"]]),
        Grid("images", TRICK_COLUMNS, [_trick_row(one) for one in document["images"]]),
        Grid("session data", ("id", "language", "value"), [_data_row(one) for one in document["session_data"]]),
    ]
    return [facts, *[grid for grid in grids if grid.rows], *_warnings(document)]


def verify_blocks(document: Document) -> list[Block]:
    """Show an `hlsdl.verify/1`: a verdict, and every kind of finding; a thousand alike are some, and how many more."""
    verdict = "sound" if document["ok"] else "damaged or incomplete"
    lines: list[Block] = [Lines([f"{verdict}: {document['files']} files, {format_bytes(document['bytes'])}"])]
    rows: list[tuple[str, str, str, str]] = []
    alike = Counter((one["severity"], one["code"]) for one in document["findings"])
    shown: Counter[tuple[str, str]] = Counter()
    for one in document["findings"]:
        kind = one["severity"], one["code"]
        shown[kind] += 1
        if shown[kind] <= MOST_ALIKE:
            rows.append((*kind, one["path"], one["message"]))
        elif shown[kind] == alike[kind]:
            rows.append((*kind, "…", f"{alike[kind] - MOST_ALIKE:,} more of these (`--json` lists all)"))
    return [*lines, Grid("findings", ("severity", "code", "path", "message"), rows)] if rows else lines


def library_blocks(document: Document) -> list[Block]:
    """Show an `hlsdl.library/1`: every bundle, and how long it is kept."""
    columns = ("title", "state", "size", "last used", "priority", "expires", "path")
    rows = [
        (
            one["title"],
            one["state"],
            format_bytes(one["bytes"]),
            one["last_used"],
            one["priority"],
            one["expires"],
            one["path"],
        )
        for one in document["bundles"]
    ]
    count = len(rows)
    summary = Lines([f"{count} bundle{'' if count == 1 else 's'}, {format_bytes(document['bytes'])}"])
    return [summary, Grid("bundles", columns, rows)] if rows else [summary]


def collection_blocks(document: Document) -> list[Block]:
    """Show an `hlsdl.collection/1`: what went, or would go, and what had to stay."""
    verb = "would be deleted" if document["dry_run"] else "deleted"
    rows = [(format_bytes(one["bytes"]), one["because"], one["path"]) for one in document["evicted"]]
    spared = [(one["because"], one["path"]) for one in document["spared"]]
    count = f"{len(rows) or 'no'} bundle{'' if len(rows) == 1 else 's'}"
    blocks: list[Block] = [Lines([f"{count} {verb}: {format_bytes(document['freed'])}"])]
    if rows:
        blocks.append(Grid(verb, ("size", "because", "path"), rows))
    return [*blocks, Grid("stay", ("because", "path"), spared)] if spared else blocks


def policy_blocks(document: Document) -> list[Block]:
    """Show an `hlsdl.policy/1`: how long a bundle is kept."""
    return [
        Facts(
            [
                ("path", document["path"]),
                ("priority", document["priority"]),
                ("expires", document["expires"] or "never"),
            ]
        )
    ]


def stream_text(stream: Document) -> str:
    """Say what a stream is in a few words: `1280x720 25 fps PQ`, `fr "Français" 6ch`."""
    size, rate = stream.get("resolution"), stream.get("frame_rate")
    channels = stream.get("channels")
    parts = [
        "x".join(str(side) for side in size) if size else "",
        f"{rate:g} fps" if rate else "",
        stream.get("video_range") if stream.get("video_range") not in (None, "SDR") else "",
        stream.get("language") or "",
        f'"{stream["name"]}"' if stream.get("name") else "",
        f"{channels}ch" if channels else "",
        "default" if stream.get("default") else "",
        "forced" if stream.get("forced") else "",
    ]
    return " ".join(str(part) for part in parts if part)


def segments_text(stream: Document) -> str:
    """Say how many segments a stream has, and how many of them are gaps."""
    gaps = f" ({stream['gaps']} gap{'s' * (stream['gaps'] > 1)})" if stream.get("gaps") else ""
    return f"{stream['segments']}{gaps}"


def yes_no(value: object) -> str:
    """Say a truth value."""
    return "yes" if value else "no"


VARIANT_COLUMNS = ("#", "id", "size", "fps", "peak", "average", "range", "codecs", "audio", "subtitles", "pathway")
RENDITION_COLUMNS = (
    *("type", "group", "language", "name", "channels"),
    *("default", "autoselect", "forced", "characteristics"),
)
TRICK_COLUMNS = ("size", "bitrate", "codecs")


def _variant_row(one: Document) -> Sequence[object]:
    return (
        one["index"],
        one.get("id") or one.get("name"),
        _size(one),
        f"{one['frame_rate']:g}" if one.get("frame_rate") else None,
        format_bitrate(one["bandwidth"]),
        format_bitrate(one.get("average_bandwidth")),
        one.get("video_range"),
        codec_names(one["codecs"]),
        one.get("audio"),
        one.get("subtitles"),
        one.get("pathway"),
    )


def _rendition_row(one: Document) -> Sequence[object]:
    return (
        one["type"],
        one["group"],
        one.get("language"),
        one["name"],
        one.get("channels"),
        yes_no(one["default"]),
        yes_no(one["autoselect"]),
        yes_no(one["forced"]),
        ",".join(one["characteristics"]),
    )


def _trick_row(one: Document) -> Sequence[object]:
    return (_size(one), format_bitrate(one["bandwidth"]), codec_names(one["codecs"]))


def _data_row(one: Document) -> Sequence[object]:
    return (one["id"], one.get("language"), one.get("value") or one.get("uri"))


def _warnings(document: Document) -> list[Block]:
    return [Lines([f"warning: {text}" for text in document["warnings"]])] if document.get("warnings") else []


def _size(one: Document) -> str | None:
    return "x".join(str(side) for side in one["resolution"]) if one.get("resolution") else None
