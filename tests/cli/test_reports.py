"""What the tables say: everything a person needs, and nothing secret."""

from __future__ import annotations

from typing import Any

from hlsdl.cli.blocks import Block
from hlsdl.cli.reports import MOST_ALIKE, bundle_blocks, plan_blocks, stream_blocks, stream_text, verify_blocks

SECRET_SOURCE = "https://me:pw@a.example/master.m3u8?token=s3cret"
VIDEO: dict[str, Any] = {
    "id": "0-ABC-800000",
    "kind": "video",
    "playlist": "0-ABC-800000/index.m3u8",
    "source": "https://a.example/v.m3u8",
    "bandwidth": 800_000,
    "average_bandwidth": None,
    "resolution": [1280, 720],
    "frame_rate": 25.0,
    "codecs": ["avc1.64001f"],
    "video_range": "PQ",
    "language": None,
    "name": None,
    "group": None,
    "channels": None,
    "default": False,
    "forced": False,
    "characteristics": [],
    "encryption": "AES-128",
    "segments": 12,
    "gaps": 1,
    "bytes": 2_400_000,
    "duration": 24.0,
    "complete": True,
}


def text_of(blocks: list[Block]) -> str:
    return "\n\n".join(block.plain() for block in blocks)


def test_a_plan_shows_every_choice_and_every_rejection_with_its_reason() -> None:
    text = text_of(
        plan_blocks(
            {
                "title": "A film",
                "source": SECRET_SOURCE,
                "duration": 24.0,
                "segments": 12,
                "bytes": 2_400_000,
                "bytes_are_exact": False,
                "streams": [VIDEO],
                "choices": [
                    {
                        "what": "variant",
                        "chosen": "#2 1280x720",
                        "because": "the largest size",
                        "rejected": [{"id": "0", "label": "#0 320x180", "because": "it is smaller"}],
                    },
                    {"what": "audio", "chosen": "none", "because": "there is none", "rejected": []},
                ],
                "warnings": ["EXT-X-VERSION is missing"],
            }
        )
    )
    for part in ("#2 1280x720", "the largest size", "#0 320x180", "it is smaller", "there is none", "~2.4 MB in 12"):
        assert part in text
    assert "warning: EXT-X-VERSION is missing" in text
    assert "s3cret" not in text


def test_a_bundle_shows_its_streams_and_no_secret() -> None:
    text = text_of(
        bundle_blocks(
            {
                "title": "A film",
                "path": "A film.movpkg",
                "source": SECRET_SOURCE,
                "state": "partial",
                "playable_offline": False,
                "created": "2026-01-01T00:00:00Z",
                "duration": 3723.0,
                "bytes": 2_400_000,
                "segments": 12,
                "streams": [VIDEO],
            }
        )
    )
    for part in ("partial", "plays offline  no", "1:02:03", "1280x720 25 fps PQ", "AES-128", "12 (1 gap)", "token=…"):
        assert part in text
    assert "s3cret" not in text
    assert "pw@" not in text


def test_a_stream_shows_variants_renditions_keys_and_i_frames() -> None:
    variant = {
        "index": 0, "id": "v0", "name": None, "uri": "https://a/v", "bandwidth": 5_200_000, "average_bandwidth": 4_000_000,
        "resolution": [1920, 1080], "frame_rate": 23.976, "codecs": ["hvc1.2"], "video_range": "HLG", "audio": "aac",
        "subtitles": None, "pathway": "CDN-A",
    }  # fmt: skip
    rendition = {
        "type": "AUDIO", "group": "aac", "name": "Français", "language": "fr", "uri": "https://a/fr", "default": True,
        "autoselect": True, "forced": False, "channels": "6", "characteristics": ["public.accessibility"],
    }  # fmt: skip
    trick = {"uri": "https://a/i", "bandwidth": 90_000, "resolution": [320, 180], "codecs": ["avc1.4d"]}
    text = text_of(
        stream_blocks(
            {
                "title": "A film", "source": SECRET_SOURCE, "kind": "multivariant", "live": False, "duration": 24.0,
                "variants": [variant], "renditions": [rendition], "iframes": [trick], "images": [],
                "session_data": [{"id": "com.example.title", "language": "fr", "value": "Un film", "uri": None}],
                "keys": [{"method": "AES-128", "keyformat": "identity"}], "pathways": ["CDN-A"],
            }
        )
    )  # fmt: skip
    for part in (
        "v0",
        "1920x1080",
        "23.976",
        "5.2 Mbit/s",
        "HLG",
        "Français",
        "public.accessibility",
        "320x180",
        "90 kbit/s",
    ):
        assert part in text
    for part in ("AES-128 (identity)", "CDN-A", "com.example.title", "Un film"):
        assert part in text
    assert "images" not in text
    assert "s3cret" not in text


def test_a_verification_shows_its_verdict_and_every_finding() -> None:
    finding = {"code": "size-mismatch", "severity": "error", "path": "0-A/000000001.ts", "message": "it is shorter"}
    damaged = text_of(verify_blocks({"ok": False, "files": 9, "bytes": 1000, "findings": [finding]}))
    sound = text_of(verify_blocks({"ok": True, "files": 9, "bytes": 1000, "findings": []}))
    assert damaged.startswith("damaged or incomplete: 9 files")
    assert all(part in damaged for part in finding.values())
    assert sound == "sound: 9 files, 1.0 kB"


def test_findings_alike_are_some_and_how_many_more() -> None:
    one = {"severity": "warning", "code": "odd-container", "message": "is odd"}
    other = {"severity": "error", "code": "missing", "path": "last.ts", "message": "is missing"}

    def shown(count: int) -> str:
        findings = [*({**one, "path": f"{n}.ts"} for n in range(count)), other]
        return text_of(verify_blocks({"ok": False, "files": 9, "bytes": 1000, "findings": findings}))

    assert "more of these" not in shown(MOST_ALIKE)
    many = shown(10_000)
    assert f"{10_000 - MOST_ALIKE:,} more of these" in many
    assert f" {MOST_ALIKE - 1}.ts" in many
    assert f" {MOST_ALIKE}.ts" not in many
    assert "last.ts" in many


def test_a_stream_in_a_few_words() -> None:
    audio = {"language": "fr", "name": "Français", "channels": "6", "default": True}
    assert stream_text(audio) == 'fr "Français" 6ch default'
    assert stream_text(VIDEO) == "1280x720 25 fps PQ"
