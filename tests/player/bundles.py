"""Lay out the repository's media fixtures as a bundle, the way the writer of bundles does.

Only what the player's server sees is made: local playlists, segments, keys and the files it must never serve.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path, PurePosixPath

FIXTURES = Path(__file__).parents[2] / "fixtures" / "media"

NEVER_SERVED = ("manifest.json", "journal.jsonl", "lock", "root.xml", "boot.xml", "Data/master.m3u8")


def lay_out(fixture: str, bundle: Path, *, keep: str = "", title: str = "A film") -> Path:
    """Make `bundle` of a fixture, with the variants and renditions whose lines match the regular expression `keep`."""
    source = FIXTURES / fixture
    (bundle / "Data").mkdir(parents=True)
    (bundle / "keys").mkdir()
    streams: dict[str, str] = {}
    lines = (source / "master.m3u8").read_text(encoding="utf-8").splitlines()
    written: list[str] = []
    for number, line in enumerate(lines):
        if line.startswith("#EXT-X-STREAM-INF"):
            if re.search(keep, line + lines[number + 1]):
                written += [line, _store(source, lines[number + 1], bundle, streams)]
        elif line.startswith(("#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF:")):
            uri = re.search(r'URI="([^"]*)"', line)
            if uri and re.search(keep, line):
                written.append(line.replace(uri[0], f'URI="{_store(source, uri[1], bundle, streams)}"'))
        elif 'URI="credits.json"' in line:
            shutil.copy(source / "credits.json", bundle / "Data" / "credits.json")
            written.append(line.replace("credits.json", "Data/credits.json"))
        elif line.startswith("#"):
            written.append(line)
    (bundle / "index.m3u8").write_text("\n".join(written) + "\n", encoding="utf-8")
    for name in NEVER_SERVED:
        (bundle / name).write_text(f"secret of {name}", encoding="utf-8")
    (bundle / "manifest.json").write_text(json.dumps({"title": title, "state": "complete"}), encoding="utf-8")
    return bundle


def _store(source: Path, uri: str, bundle: Path, streams: dict[str, str]) -> str:
    """Copy one media playlist and its files, once; return its new URI."""
    if uri in streams:
        return streams[uri]
    folder = f"{len(streams)}-{_hash(uri)}-800000"
    streams[uri] = f"{folder}/index.m3u8"
    (bundle / folder).mkdir()
    playlist = source / uri
    sequence = 0
    written = []
    for line in playlist.read_text(encoding="utf-8").splitlines():
        attribute = re.search(r'URI="([^"]*)"', line)
        if attribute and line.startswith("#EXT-X-KEY"):
            key = f"keys/{_hash(attribute[1])}.key"
            shutil.copy(playlist.parent / attribute[1], bundle / key)
            written.append(line.replace(attribute[1], f"../{key}"))
        elif attribute and line.startswith("#EXT-X-MAP"):
            name = f"{sequence:09d}.init.mp4"
            shutil.copy(playlist.parent / attribute[1], bundle / folder / name)
            written.append(line.replace(attribute[1], name))
        elif line and not line.startswith("#"):
            name = f"{sequence:09d}{PurePosixPath(line).suffix}"
            shutil.copy(playlist.parent / line, bundle / folder / name)
            written.append(name)
            sequence += 1
        else:
            written.append(line)
    (bundle / folder / "index.m3u8").write_text("\n".join(written) + "\n", encoding="utf-8")
    (bundle / folder / "source.m3u8").write_text("#EXTM3U\nsecret of source.m3u8\n", encoding="utf-8")
    (bundle / folder / "000000099.ts.part").write_text("secret of a part", encoding="utf-8")
    (bundle / folder / "StreamInfoBoot.xml").write_text("<secret/>", encoding="utf-8")
    return streams[uri]


def _hash(text: str) -> str:
    return base64.b32encode(hashlib.sha1(text.encode()).digest()).decode()


def stream_of(bundle: Path) -> str:
    return next(path.name for path in bundle.iterdir() if path.name.startswith("0-"))
