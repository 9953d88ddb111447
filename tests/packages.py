"""Packages as another program writes them: the shape of Apple's, reconstructed from public readers.

Written apart from `hlsdl.bundle.movpkg`, so that reading is not tried against our own writing alone: other folder names,
`.frag` and `.initfrag`, the multivariant playlist under a UUID with NUL characters behind it, streams that were begun.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin
from xml.sax.saxutils import escape, quoteattr

IMG = "http://apple.com/IMG/Schemas"
MASTER_FILE = "Playlist-master.m3u8-CB50F631-8227-477A-BCEC-365BBF12BCC0.data"
ROOT_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<MoviePackage xmlns="{IMG}/MoviePackage"><Version>1.0</Version>
<MoviePackageType>HLS</MoviePackageType><BootImage>boot.xml</BootImage></MoviePackage>
"""
BYTE_RANGE = re.compile(r"(\d+)(?:@(\d+))?")


@dataclass(frozen=True)
class Piece:
    """A segment or an init section of a playlist, as far as a packager needs to know."""

    url: str
    sequence: int
    seconds: float = 0.0
    offset: int = 0
    length: int | None = None


def write_package(
    place: Path,
    origin: Path,
    url: str,
    playlists: Iterable[str],
    *,
    master: str = "master.m3u8",
    begun: str | None = None,
) -> Path:
    """Make a package of what is in the folder `origin`, which is at `url`.

    Args:
        place: the package.
        origin: the folder with `master`, the playlists and their media.
        url: where that folder is on the network, with a slash at the end.
        playlists: of the streams to take, relative to both.
        master: the multivariant playlist.
        begun: one more stream, of which the package has the beginning.
    """
    place.mkdir(parents=True)
    (place / "root.xml").write_text(ROOT_XML)
    (place / "Data").mkdir()
    (place / "Data" / MASTER_FILE).write_bytes((origin / master).read_bytes() + b"\0\0\0")
    streams = ""
    for number, playlist in enumerate([*playlists, *([begun] if begun else [])]):
        folder = f"{min(number, 1)}-{4482011 - number}-{'ABCDEFGH'[number % 8] * 32}"
        complete = "NO" if playlist == begun else "YES"
        _write_stream(place / folder, origin, url, playlist, complete)
        streams += (
            f'<Stream ID="{folder}" Path="{folder}" NetworkURL={quoteattr(urljoin(url, playlist))}>'
            f"<Complete>{complete}</Complete></Stream>"
        )
    (place / "boot.xml").write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<HLSMoviePackage xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="{IMG}/HLSMoviePackage"
 xsi:schemaLocation="{IMG}/HLSMoviePackage /System/Library/Schemas/HLSMoviePackage.xsd"><Version>1.0</Version>
<HLSMoviePackageType>PersistedStore</HLSMoviePackageType><Streams>{streams}</Streams>
<MasterPlaylist><NetworkURL>{escape(urljoin(url, master))}</NetworkURL></MasterPlaylist>
<DataItems Directory="Data"><DataItem><ID>CB50F631-8227-477A-BCEC-365BBF12BCC0</ID><Category>Playlist</Category>
<Name>master.m3u8</Name><DataPath>{MASTER_FILE}</DataPath><Role>Master</Role></DataItem></DataItems></HLSMoviePackage>
"""
    )
    return place


def _write_stream(folder: Path, origin: Path, url: str, playlist: str, complete: str) -> None:
    folder.mkdir()
    text = (origin / playlist).read_text()
    (folder / "remote.m3u8").write_text(text)
    segments, inits = _pieces(text, urljoin(url, playlist))
    if complete == "NO":
        segments = segments[:1]
    listed = {"SEG": "", "ISEG": ""}
    time, stored = 0.0, 0
    for kind, pieces in (("ISEG", inits), ("SEG", segments)):
        for number, piece in enumerate(pieces):
            name = f"{number}.{'initfrag' if kind == 'ISEG' else 'frag'}"
            data = (origin / piece.url.removeprefix(url).partition("?")[0]).read_bytes()
            if piece.length is not None:
                data = data[piece.offset : piece.offset + piece.length]
            (folder / name).write_bytes(data)
            stored += len(data)
            timing = f'Dur="{piece.seconds}" ' if kind == "SEG" else ""
            listed[kind] += (
                f'<{kind} {timing}Len="{len(data)}" Off="{piece.offset}" PATH="{name}" SeqNum="{piece.sequence}" '
                + (f'Tim="{time}" ' if kind == "SEG" else "")
                + f"URL={quoteattr(piece.url)} />"
            )
            time += piece.seconds
    (folder / "StreamInfoBoot.xml").write_text(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<StreamInfo xmlns="{IMG}/HLSPersistentStreamInfo"><Version>1.0</Version><Complete>{complete}</Complete>
<PeakBandwidth>4482011</PeakBandwidth><Compressable>NO</Compressable><MediaPlaylist>
<NetworkURL>{escape(urljoin(url, playlist))}</NetworkURL><PathToLocalCopy>remote.m3u8</PathToLocalCopy></MediaPlaylist>
<Type>Main</Type><MediaSegments>{listed["SEG"]}</MediaSegments>
<MediaInitializationSegments>{listed["ISEG"]}</MediaInitializationSegments>
<MediaBytesStored>{stored if complete == "YES" else 0}</MediaBytesStored></StreamInfo>
"""
    )


def _pieces(text: str, url: str) -> tuple[list[Piece], list[Piece]]:
    """The segments and init sections of a media playlist."""
    segments: list[Piece] = []
    inits: list[Piece] = []
    sequence, seconds, end = 0, 0.0, 0
    part: tuple[int, int] | None = None
    for line in text.splitlines():
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
            sequence = int(line.partition(":")[2])
        elif line.startswith("#EXTINF:"):
            seconds = float(line[8:].partition(",")[0])
        elif line.startswith("#EXT-X-BYTERANGE:"):
            part = _range(line.partition(":")[2], end)
        elif line.startswith("#EXT-X-MAP:"):
            uri = re.search(r'URI="([^"]*)"', line)
            taken = re.search(r'BYTERANGE="([^"]*)"', line)
            assert uri is not None
            offset, length = _range(taken[1], 0) if taken else (0, None)
            inits.append(Piece(urljoin(url, uri[1]), sequence, offset=offset, length=length))
        elif line and not line.startswith("#"):
            offset, length = part or (0, None)
            segments.append(Piece(urljoin(url, line), sequence, seconds, offset, length))
            end, part, sequence = offset + (length or 0), None, sequence + 1
    return segments, inits


def _range(text: str, end: int) -> tuple[int, int]:
    found = BYTE_RANGE.fullmatch(text)
    assert found is not None
    return int(found[2]) if found[2] else end, int(found[1])
