"""An independent judge of bundles: it reads playlists by itself, with nothing of hlsdl, and compares with the origin.

It walks the source playlist and the local one side by side. Every line must be the same, but for the stated ones.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

DROPPED = (
    "#EXT-X-PLAYLIST-TYPE",
    "#EXT-X-ENDLIST",
    "#EXT-X-BYTERANGE",
    "#EXT-X-DEFINE",
    "#EXT-X-ALLOW-CACHE",
    "#EXT-X-SERVER-CONTROL",
    "#EXT-X-CONTENT-STEERING",
)
URI = re.compile(r'(?:[:,])URI="([^"]*)"')
REMOTE = re.compile(r"^(https?:)?//", re.IGNORECASE)


class Origin:
    """The truth: a folder that was served at a URL."""

    def __init__(self, folder: Path, base: str) -> None:
        self.folder, self.base = folder, base

    def bytes_at(self, url: str, byte_range: tuple[int, int] | None) -> bytes:
        assert url.startswith(self.base), f"{url} is not of this origin"
        data = (self.folder / unquote(urlsplit(url).path[len(urlsplit(self.base).path) :]).lstrip("/")).read_bytes()
        return data if byte_range is None else data[byte_range[0] : byte_range[0] + byte_range[1]]


def local_playlists(bundle: Path) -> list[Path]:
    """Every media playlist the index points to, each once."""
    index = (bundle / "index.m3u8").read_text()
    assert not [line for line in index.splitlines() if REMOTE.match(line)], "a remote URI is left in the index"
    assert not [uri for uri in URI.findall(index) if "://" in uri], "a remote attribute is left in the index"
    found = [line for line in index.splitlines() if line and not line.startswith("#")]
    found += [uri for uri in URI.findall(index) if uri.endswith(".m3u8")]
    return [bundle / path for path in dict.fromkeys(found)]


def judge(bundle: Path, playlist: Path, source_url: str, origin: Origin) -> int:
    """Compare one local media playlist with its source, line by line and byte by byte; how many objects were compared."""
    source = [line for line in _lines(playlist.parent / "source.m3u8") if not line.startswith(DROPPED)]
    local_lines = _lines(playlist)
    assert local_lines[-1] == "#EXT-X-ENDLIST"
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in local_lines
    local = [line for line in local_lines if not line.startswith(DROPPED)]
    assert len(local) == len(source), f"{playlist}: {len(source)} lines became {len(local)}"
    ranges = _ranges(_lines(playlist.parent / "source.m3u8"))
    compared, segment, gap = 0, 0, False
    for before, after in zip(source, local, strict=True):
        if before.startswith("#EXT-X-MAP"):
            byte_range = re.search(r'BYTERANGE="?(\d+)@(\d+)', before)
            wanted = (int(byte_range[2]), int(byte_range[1])) if byte_range else None
            uri = URI.findall(before)[0]
            stored = (playlist.parent / URI.findall(after)[0]).read_bytes()
            assert stored == origin.bytes_at(urljoin(source_url, uri), wanted), f"{playlist}: {after}"
            assert "BYTERANGE" not in after
            compared += 1
        elif before.startswith("#EXT-X-KEY") and _has_fetched_key(before):
            uri, local_uri = URI.findall(before)[0], URI.findall(after)[0]
            assert after == before.replace(uri, local_uri), f"{playlist}: {before!r} became {after!r}"
            key = playlist.parent / local_uri
            assert key.read_bytes() == origin.bytes_at(urljoin(source_url, uri), None)
            assert key.stat().st_mode & 0o777 == 0o600
        elif before and not before.startswith("#"):
            if not gap:
                stored = (playlist.parent / after).read_bytes()
                assert stored == origin.bytes_at(urljoin(source_url, before), ranges[segment]), f"{playlist}: {after}"
                compared += 1
            segment, gap = segment + 1, False
        else:
            assert after == before, f"{playlist}: {before!r} became {after!r}"
            gap = gap or before.startswith("#EXT-X-GAP")
    return compared


def _has_fetched_key(line: str) -> bool:
    """An identity key with an address: neither a key system's nor a `data:` URI."""
    uri = URI.findall(line)
    return bool(uri) and not uri[0].startswith("data:") and ("KEYFORMAT=" not in line or 'KEYFORMAT="identity"' in line)


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n").split("\n")


def _ranges(lines: list[str]) -> list[tuple[int, int] | None]:
    """(offset, length) of each segment in order, implicit offsets worked out."""
    found: list[tuple[int, int] | None] = []
    ends: dict[str, int] = {}
    pending: str | None = None
    for line in lines:
        if line.startswith("#EXT-X-BYTERANGE:"):
            pending = line.split(":", 1)[1]
        elif line and not line.startswith("#"):
            if pending is None:
                found.append(None)
            else:
                length, _, offset = pending.partition("@")
                start = int(offset) if offset else ends[line]
                found.append((start, int(length)))
                ends[line] = start + int(length)
            pending = None
    return found
