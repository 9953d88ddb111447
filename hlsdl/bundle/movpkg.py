"""The package files: `root.xml`, `boot.xml` and `StreamInfoBoot.xml` as text (docs/bundle-format.md §5).

Pure: values in, bytes out. Element and attribute names are those that public readers look for; the attributes of SEG
and ISEG stand in alphabetical order, since some readers rely on it. Elements whose values nobody has published are
left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from hlsdl.bundle.layout import BOOT_XML, DATA, INDEX

SCHEMAS = "http://apple.com/IMG/Schemas"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_PACKAGE_VERSION = "1.0"
_PLAIN = re.compile(r"[!#-%'-;=?-~]*").fullmatch
"""What an attribute's value may hold as it is: printable ASCII less space and `"&<>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageStream:
    """One stream as `boot.xml` lists it."""

    id: str
    """Its id, which is the name of its folder."""
    network_url: str = field(repr=False)
    """Of the media playlist, with its query."""
    complete: bool
    unique_tag: str | None = None
    """STABLE-VARIANT-ID or STABLE-RENDITION-ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataItem:
    """One file of the `Data` folder."""

    path: str
    """Its name inside `Data`."""
    name: str
    """What it is called in the source: `master.m3u8`."""
    category: str
    """`Playlist` or `SessionData`."""
    role: str | None = None
    """`Master` for the multivariant playlist."""

    @property
    def id(self) -> str:
        """A UUID in upper case; the same for the same file in every run."""
        return str(uuid5(NAMESPACE_URL, f"hlsdl:{DATA}/{self.path}")).upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSegment:
    """One stored media segment."""

    url: str = field(repr=False)
    path: str
    """File name in the stream's folder."""
    length: int
    """Bytes."""
    sequence: int
    duration: Decimal
    """Seconds."""
    start: Decimal
    """Seconds on the stream's own timeline."""
    offset: int = 0
    """Of the byte range in the remote resource; the file itself always begins at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageInit:
    """One stored init section."""

    url: str = field(repr=False)
    path: str
    length: int
    sequence: int
    """The first media sequence number it applies to."""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """One stream as its `StreamInfoBoot.xml` describes it."""

    network_url: str = field(repr=False)
    complete: bool
    is_main: bool
    """The video or muxed stream; a rendition is supplemental."""
    peak_bandwidth: int
    segments: Iterable[PackageSegment]
    """Gone through once, so that it need not be a list: there may be hundreds of thousands."""
    inits: Sequence[PackageInit] = ()
    local_playlist: str = INDEX
    """Relative to the stream's folder."""
    unique_identifier: str | None = None


def render_root() -> bytes:
    """Return `root.xml`: it names `boot.xml`, and that is all it does."""
    root = Element("MoviePackage", {"xmlns": f"{SCHEMAS}/MoviePackage"})
    _texts(root, {"Version": _PACKAGE_VERSION, "MoviePackageType": "HLS", "BootImage": BOOT_XML})
    return _document(root)


def render_boot(
    streams: Iterable[PackageStream], *, master_url: str | None, data_items: Iterable[DataItem] = ()
) -> bytes:
    """Return `boot.xml`. `master_url` is None when the source is a media playlist."""
    schema = f"{SCHEMAS}/HLSMoviePackage"
    location = f"{schema} /System/Library/Schemas/HLSMoviePackage.xsd"
    root = Element("HLSMoviePackage", {"xmlns:xsi": _XSI, "xmlns": schema, "xsi:schemaLocation": location})
    _texts(root, {"Version": _PACKAGE_VERSION, "HLSMoviePackageType": "PersistedStore"})
    listed = SubElement(root, "Streams")
    for stream in streams:
        names = {"ID": stream.id, "Path": stream.id, "NetworkURL": _legal(stream.network_url)}
        if stream.unique_tag is not None:
            names["UniqueTag"] = _legal(stream.unique_tag)
        _texts(SubElement(listed, "Stream", names), {"Complete": _yes(stream.complete)})
    if master_url is not None:
        _texts(SubElement(root, "MasterPlaylist"), {"NetworkURL": master_url})
    items = SubElement(root, "DataItems", {"Directory": DATA})
    for item in data_items:
        texts = {"ID": item.id, "Category": item.category, "Name": item.name, "DataPath": item.path}
        _texts(SubElement(items, "DataItem"), texts | ({"Role": item.role} if item.role else {}))
    return _document(root)


def render_stream_info(info: StreamInfo) -> bytes:
    """Return one stream's `StreamInfoBoot.xml`."""
    root = Element("StreamInfo", {"xmlns": f"{SCHEMAS}/HLSPersistentStreamInfo"})
    _texts(
        root,
        {
            "Version": _PACKAGE_VERSION,
            "Complete": _yes(info.complete),
            "PeakBandwidth": str(info.peak_bandwidth),
            "Type": "Main" if info.is_main else "Supplemental",
        },
    )
    playlist = SubElement(root, "MediaPlaylist")
    _texts(playlist, {"NetworkURL": info.network_url, "PathToLocalCopy": info.local_playlist})
    if info.inits:
        inits = SubElement(root, "MediaInitializationSegments")
        for init in info.inits:
            SubElement(inits, "ISEG", _stored(init))
    SubElement(root, "MediaSegments")
    listed, stored = _listed(info.segments)
    stored += sum(init.length for init in info.inits)
    _texts(root, {"MediaBytesStored": str(stored if info.complete else 0)})
    if info.unique_identifier is not None:
        _texts(root, {"UniqueIdentifier": info.unique_identifier})
    document = _document(root)
    return document.replace(b"  <MediaSegments />\n", listed, 1) if listed else document


def _listed(segments: Iterable[PackageSegment]) -> tuple[bytes, int]:
    """The `MediaSegments` element as it stands in the document, empty when there are none, and the sum of their bytes.

    As text, and not as elements: those of 200,000 segments take a second and 200 MB.
    """
    text = BytesIO()
    empty = text.write(b"  <MediaSegments>\n")
    stored = 0
    duration, lasting = None, ""
    for one in segments:
        stored += one.length
        if one.duration is not duration:  # as one object it is, nearly always, that of the segment before
            duration, lasting = one.duration, _seconds(one.duration)
        path, url = one.path, one.url
        if not _PLAIN(path + url):
            path, url = _escaped(path), _escaped(url)
        text.write(
            f'    <SEG Dur="{lasting}" Len="{one.length}" Off="{one.offset}" PATH="{path}"'
            f' SeqNum="{one.sequence}" Tim="{_seconds(one.start)}" URL="{url}" />\n'.encode()
        )
    if text.tell() == empty:
        return b"", 0
    text.write(b"  </MediaSegments>\n")
    return text.getvalue(), stored


def _escaped(text: str) -> str:
    """An attribute's value between its quotes."""
    return _legal(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _stored(item: PackageInit) -> dict[str, str]:
    """The attributes of an ISEG, in alphabetical order."""
    return {
        "Len": str(item.length),
        "Off": str(item.offset),
        "PATH": item.path,
        "SeqNum": str(item.sequence),
        "URL": _legal(item.url),
    }


def _texts(parent: Element, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = _legal(text)


def _document(root: Element) -> bytes:
    indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode").encode() + b"\n"


def _yes(value: bool) -> str:
    return "YES" if value else "NO"


def _seconds(value: Decimal) -> str:
    """A plain decimal number, never an exponent, always with a fraction."""
    text = str(value)  # a third of the time that the format takes, and the same where it has no exponent
    if "E" in text or "e" in text:
        text = f"{value:f}"
    return text if "." in text else text + ".0"


def _legal(text: str) -> str:
    """`text` with characters that XML 1.0 §2.2 has no place for percent-encoded; only hostile URLs have them."""
    if text.isprintable():
        return text
    return "".join(c if _is_legal(ord(c)) else quote(c.encode(errors="surrogatepass")) for c in text)


def _is_legal(code: int) -> bool:
    return 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
