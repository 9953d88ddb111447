"""The package files: names and order that public readers rely on, and no way to break the XML."""

from __future__ import annotations

import re
from decimal import Decimal
from xml.etree.ElementTree import Element, fromstring, tostring

from hypothesis import given
from hypothesis import strategies as st

from hlsdl.bundle.movpkg import (
    DataItem,
    PackageInit,
    PackageSegment,
    PackageStream,
    StreamInfo,
    render_boot,
    render_root,
    render_stream_info,
)

from .shelves import AUDIO, VIDEO

BOOT = "{http://apple.com/IMG/Schemas/HLSMoviePackage}"
INFO = "{http://apple.com/IMG/Schemas/HLSPersistentStreamInfo}"


def segment(number: int, **fields: object) -> PackageSegment:
    values: dict[str, object] = {
        "url": f"https://cdn.example/{number}.m4s?a=1&b=2",
        "path": f"{number:09d}.m4s",
        "length": 1000 + number,
        "sequence": number,
        "duration": Decimal("3.840"),
        "start": Decimal("3.840") * number,
        **fields,
    }
    return PackageSegment(**values)  # type: ignore[arg-type]


def test_root_names_the_boot_image() -> None:
    """`root.xml` has the three elements a reader needs."""
    root = fromstring(render_root())
    texts = {child.tag.rpartition("}")[2]: child.text for child in root}
    assert root.tag == "{http://apple.com/IMG/Schemas/MoviePackage}MoviePackage"
    assert texts == {"Version": "1.0", "MoviePackageType": "HLS", "BootImage": "boot.xml"}


def test_boot_lists_streams_and_data() -> None:
    """`boot.xml` carries every attribute readers require, with query strings, and says what is complete."""
    text = render_boot(
        [
            PackageStream(id=VIDEO, network_url="https://a.example/v.m3u8?x=1&y=2", complete=True, unique_tag="v1"),
            PackageStream(id=AUDIO, network_url="https://a.example/a.m3u8", complete=False),
        ],
        master_url="https://a.example/master.m3u8?t=1",
        data_items=[DataItem(path="master.m3u8", name="master.m3u8", category="Playlist", role="Master")],
    )
    root = fromstring(text)
    first, second = root.findall(f"{BOOT}Streams/{BOOT}Stream")
    assert first.attrib == {
        "ID": VIDEO,
        "Path": VIDEO,
        "NetworkURL": "https://a.example/v.m3u8?x=1&y=2",
        "UniqueTag": "v1",
    }
    assert (first.findtext(f"{BOOT}Complete"), second.findtext(f"{BOOT}Complete")) == ("YES", "NO")
    assert root.findtext(f"{BOOT}HLSMoviePackageType") == "PersistedStore"
    assert root.findtext(f"{BOOT}MasterPlaylist/{BOOT}NetworkURL") == "https://a.example/master.m3u8?t=1"
    items = root.find(f"{BOOT}DataItems")
    assert items is not None
    assert items.attrib == {"Directory": "Data"}
    item = {child.tag.removeprefix(BOOT): child.text for child in items[0]}
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", item.pop("ID") or "")
    assert item == {"Category": "Playlist", "Name": "master.m3u8", "DataPath": "master.m3u8", "Role": "Master"}
    assert b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"' in text
    assert text == render_boot(
        [
            PackageStream(id=VIDEO, network_url="https://a.example/v.m3u8?x=1&y=2", complete=True, unique_tag="v1"),
            PackageStream(id=AUDIO, network_url="https://a.example/a.m3u8", complete=False),
        ],
        master_url="https://a.example/master.m3u8?t=1",
        data_items=[DataItem(path="master.m3u8", name="master.m3u8", category="Playlist", role="Master")],
    )


def test_a_media_playlist_source_has_no_master() -> None:
    """Without a multivariant playlist `boot.xml` names none."""
    assert b"MasterPlaylist" not in render_boot([], master_url=None)


def test_stream_info_lists_segments_with_alphabetical_attributes() -> None:
    """SEG and ISEG attributes stand in the order regexes rely on, with times as plain decimals."""
    info = StreamInfo(
        network_url="https://a.example/v.m3u8",
        complete=True,
        is_main=True,
        peak_bandwidth=800_000,
        segments=[segment(0), segment(1, offset=4096, duration=Decimal(4), start=Decimal("1E+1"))],
        inits=[PackageInit(url="https://cdn.example/i.mp4", path="000000000.init.mp4", length=700, sequence=0)],
        unique_identifier="v1",
    )
    text = render_stream_info(info).decode()
    assert (
        '<SEG Dur="4.0" Len="1001" Off="4096" PATH="000000001.m4s" SeqNum="1" Tim="10.0"'
        ' URL="https://cdn.example/1.m4s?a=1&amp;b=2" />'
    ) in text
    assert ('<ISEG Len="700" Off="0" PATH="000000000.init.mp4" SeqNum="0" URL="https://cdn.example/i.mp4" />') in text
    root = fromstring(text)
    assert root.tag == f"{INFO}StreamInfo"
    assert root.findtext(f"{INFO}Complete") == "YES"
    assert root.findtext(f"{INFO}PeakBandwidth") == "800000"
    assert root.findtext(f"{INFO}Type") == "Main"
    assert root.findtext(f"{INFO}MediaPlaylist/{INFO}PathToLocalCopy") == "index.m3u8"
    assert root.findtext(f"{INFO}MediaBytesStored") == "2701"
    assert root.findtext(f"{INFO}UniqueIdentifier") == "v1"
    assert len(root.findall(f"{INFO}MediaSegments/{INFO}SEG")) == 2


def test_an_incomplete_stream_claims_no_bytes() -> None:
    """While a stream is incomplete it says NO and 0 bytes, whatever is there already."""
    info = StreamInfo(
        network_url="https://a.example/a.m3u8", complete=False, is_main=False, peak_bandwidth=0, segments=[segment(0)]
    )
    root = fromstring(render_stream_info(info))
    assert root.findtext(f"{INFO}Complete") == "NO"
    assert root.findtext(f"{INFO}MediaBytesStored") == "0"
    assert root.findtext(f"{INFO}Type") == "Supplemental"
    assert root.find(f"{INFO}MediaInitializationSegments") is None


PRINTABLE = st.text(max_size=20).filter(str.isprintable)
TIMES = st.decimals(0, 10**9, allow_nan=False)


@given(st.lists(st.tuples(PRINTABLE, TIMES), max_size=4))
def test_a_segment_stands_there_as_any_writer_of_xml_would_put_it(rows: list[tuple[str, Decimal]]) -> None:
    """Whatever its URL and times are, and whatever stood before it: the same text as from a library's element."""
    segments = [segment(number, url=url, duration=time, start=time * 2) for number, (url, time) in enumerate(rows)]
    info = StreamInfo(network_url="u", complete=True, is_main=True, peak_bandwidth=0, segments=segments)
    written = [line.strip() for line in render_stream_info(info).decode().split("\n") if line.startswith("    <SEG")]
    expected = []
    for one in segments:
        times = [f"{time:f}" if "." in f"{time:f}" else f"{time:f}.0" for time in (one.duration, one.start)]
        attributes = {"Dur": times[0], "Len": str(one.length), "Off": "0", "PATH": one.path}
        attributes |= {"SeqNum": str(one.sequence), "Tim": times[1], "URL": one.url}
        expected.append(tostring(Element("SEG", attributes), encoding="unicode"))
    assert written == expected


@given(st.text(max_size=80))
def test_no_text_breaks_the_xml(text: str) -> None:
    """Quotes, angle brackets, control characters and lone surrogates in a URL leave well-formed XML."""
    root = fromstring(render_boot([PackageStream(id=VIDEO, network_url=text, complete=True)], master_url=text))
    read = root.findtext(f"{BOOT}MasterPlaylist/{BOOT}NetworkURL") or ""
    if text.isprintable():
        assert read == text
