"""What the local playlists say of what is stored, and what the manifest keeps."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faults import serve

import hlsdl
from hlsdl.bundle.journal import LARGEST_NUMBER, Entry
from hlsdl.bundle.manifest import Manifest, StoredKey, StoredStream
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import DiskError
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.selection import Selection, StreamSource
from hlsdl.session.contents import (
    Contents,
    every_document,
    multivariant_playlist,
    with_unknown_of,
)
from hlsdl.session.presentation import Document, Documents, choose, parse_root, plan_streams
from hlsdl.session.same_streams import with_ids_of
from hlsdl.session.sources import Source
from hlsdl.session.wishes import asked_so_far
from hlsdl.testing import ScriptedOrigin

URL = "https://films.test/v/index.m3u8"


def said(durations: list[str], sizes: list[int | None]) -> tuple[int, int]:
    """The measured peak and average of a media playlist whose segments have these sizes; None: not stored."""
    body = "".join(f"#EXTINF:{duration},\n{number}.ts\n" for number, duration in enumerate(durations))
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n{body}#EXT-X-ENDLIST\n".encode()
    source, document = Source(url=URL), Document(data=text, url=URL, final_url=URL)
    root = parse_root(document, source)
    wish = Preferences()
    plan = plan_streams(root, choose(root, [wish]), ())
    entries = {
        resource.path: Entry(path=resource.path, size=size, sha256="0" * 64)
        for resource, size in zip(plan.resources, sizes, strict=True)
        if size is not None
    }
    asked = asked_so_far(None).and_now((wish,), None, None)
    documents = Documents(None, {URL: document})
    contents = Contents(source=source, root=root, title="x", asked=asked, plan=plan, documents=documents)
    attributes = dict(
        one.split("=") for one in multivariant_playlist(entries, contents).split(":")[1].split()[0].split(",")
    )
    return int(attributes["BANDWIDTH"]), int(attributes["AVERAGE-BANDWIDTH"])


@pytest.mark.parametrize(
    ("durations", "sizes", "peak", "average"),
    [
        pytest.param(["4", "4", "2"], [100, 300, 200], 800, 480, id="each-has-its-own-duration"),
        pytest.param(["2", "4", "2"], [100, None, 300], 1200, 800, id="what-is-not-stored-does-not-count"),
        pytest.param(["0", "2", "2"], [999, 100, 300], 1200, 800, id="nor-what-takes-no-time"),
        pytest.param(["2"], [None], 1, 1, id="nothing-stored"),
        pytest.param(["1e-400", "2"], [999, 100], 400, 400, id="less-than-any-float"),
        pytest.param(["1e-310", "2"], [999, 100], LARGEST_NUMBER, 4396, id="next-to-no-time"),
    ],
)
def test_bitrates_are_measured_from_what_is_stored(
    durations: list[str], sizes: list[int | None], peak: int, average: int
) -> None:
    """Peak and average of those segments that are stored and take time."""
    assert said(durations, sizes) == (peak, average)


@pytest.mark.parametrize(
    "again", [{"title": "Another"}, {"artwork": b"\x89PNG"}, {"force": True, "title": "Another"}], ids=str
)
async def test_what_a_newer_version_wrote_is_written_again(tmp_path: Path, again: dict[str, Any]) -> None:
    """Of the bundle, its choices and each part that it still has; a bundle that is started over is another one."""
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        await hlsdl.fetch(url, output=bundle)
        newer = json.loads((bundle / "manifest.json").read_text())
        newer |= {"pinned_by": ["A", "newer"], "checksum": None}
        newer["streams"][0]["poster"] = {"at": 4.0}
        newer["documents"][0]["read_by"] = "newer"
        newer["choices"]["mood"] = ["noir"]
        (bundle / "manifest.json").write_text(json.dumps(newer))
        for _ in range(2):
            await hlsdl.fetch(url, output=bundle, **again)
    now = json.loads((bundle / "manifest.json").read_text())
    told = [now.get("pinned_by"), now["streams"][0].get("poster"), now["documents"][0].get("read_by")]
    told += [now["choices"].get("mood")]
    assert told == ([None] * 4 if "force" in again else [["A", "newer"], {"at": 4.0}, "newer", ["noir"]])
    assert now["updated"] >= newer["updated"]
    assert now["state"] == "complete"


def test_a_part_that_is_gone_leaves_nothing_of_a_newer_version() -> None:
    """Nor does what this version says, or no longer says, in its choices."""
    here = {"title": "x", "source_url": URL, "final_url": URL}
    keys = [StoredKey(path=f"keys/{name}.key", url=URL, unknown={"of": name}) for name in "AB"]
    chosen = {"wishes": [], "dropped": ["0-x"], "base_url": URL, "named": "0f", "mood": "noir"}
    before = Manifest(**here, keys=tuple(keys), unknown={"more": 1}, choices=chosen)
    again = tuple(StoredKey(path=f"keys/{name}.key", url=URL) for name in "BC")
    now = Manifest(**here, keys=again, choices={"wishes": [{}]})
    kept = with_unknown_of(before, now)
    assert kept.unknown == {"more": 1}
    assert [key.unknown for key in kept.keys] == [{"of": "B"}, {}]
    assert kept.choices == {"wishes": [{}], "mood": "noir"}


async def test_a_playlist_that_cannot_be_read_now_is_no_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be fetched in its place would have to be proven by what has come already."""
    with ScriptedOrigin() as origin:
        bundle = await hlsdl.fetch(serve(origin), output=tmp_path / "a.movpkg")
    assert len(every_document(bundle)) == 1

    def refuse(*_: Any, **__: Any) -> Any:
        raise DiskError("too many files are open")

    with monkeypatch.context() as patched:
        patched.setattr(hlsdl.Bundle, "read", refuse)
        with pytest.raises(DiskError):
            every_document(bundle)
    next(bundle.path.rglob("source.m3u8")).unlink()
    assert every_document(bundle) == {}


def test_streams_that_differ_in_a_query_alone_are_not_taken_for_each_other() -> None:
    def selected(*queries: str) -> Selection:
        chosen = [StreamSource(id=f"0-{query}", kind="video", url=f"{URL}?{query}", bandwidth=9) for query in queries]
        return Selection(streams=tuple(chosen), choices=())

    def ids(before: tuple[str, ...], now: tuple[str, ...]) -> list[str]:
        stored = [
            StoredStream(id=one.id, kind="video", playlist="x", source_url=one.url, final_url=one.url, bandwidth=9)
            for one in selected(*before).streams
        ]
        manifest = Manifest(title="x", source_url=URL, final_url=URL, streams=tuple(stored))
        bundle = cast(Bundle, SimpleNamespace(manifest=manifest, streams=manifest.streams))
        return [stream.id for stream in with_ids_of(bundle, selected(*now)).streams]

    assert ids(("token=1",), ("token=2",)) == ["0-token=1"]
    assert ids(("angle=1", "angle=2"), ("angle=2", "angle=3")) == ["0-angle=2", "0-angle=3"]
    assert ids(("angle=1",), ("angle=2", "angle=3")) == ["0-angle=2", "0-angle=3"]
