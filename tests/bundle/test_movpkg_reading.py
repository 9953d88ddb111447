"""Package files of strangers are read for what they list, and nothing in them leads outside or grows without end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hlsdl.bundle import movpkg, movpkg_reading
from hlsdl.bundle.movpkg_reading import inner_path, read_boot, read_root, read_stream_info
from hlsdl.errors import HlsdlError, IntegrityError, LimitError, PolicyError

NAME = "0-A/StreamInfoBoot.xml"
URL = "https://films.example/v.m3u8?token=t"


def info(inside: str, complete: str = "YES") -> bytes:
    return f"<StreamInfo><Complete>{complete}</Complete>{inside}</StreamInfo>".encode()


def seg(**attributes: str) -> str:
    values = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<SEG {values}/>"


class TestWhatWeWrite:
    def test_our_boot_file_reads_as_it_was_written(self) -> None:
        stream = movpkg.PackageStream(id="0-A", network_url=URL, complete=True)
        item = movpkg.DataItem(path="m.m3u8", name="master.m3u8", category="Playlist", role="Master")
        boot = read_boot(movpkg.render_boot([stream], master_url="https://films.example/m.m3u8", data_items=[item]))
        assert [(one.folder, one.network_url, one.is_complete) for one in boot.streams] == [("0-A", URL, True)]
        assert [(one.path, one.category, one.name) for one in boot.items] == [
            ("Data/m.m3u8", "Playlist", "master.m3u8")
        ]
        assert boot.master_url == "https://films.example/m.m3u8"

    def test_our_stream_file_reads_as_it_was_written(self) -> None:
        one = movpkg.PackageSegment(
            url=URL, path="000000007.m4s", length=5, sequence=7, duration=Decimal(6), start=Decimal(0), offset=9
        )
        init = movpkg.PackageInit(url=URL, path="000000007.init.mp4", length=3, sequence=7)
        written = movpkg.StreamInfo(
            network_url=URL, complete=True, is_main=True, peak_bandwidth=1, segments=[one], inits=[init]
        )
        read = read_stream_info(movpkg.render_stream_info(written), NAME)
        assert (read.is_complete, read.network_url, read.local_playlist) == (True, URL, "index.m3u8")
        assert [(s.path, s.sequence, s.offset, s.length, s.url) for s in read.segments] == [
            ("000000007.m4s", 7, 9, 5, URL)
        ]
        assert [(s.path, s.sequence) for s in read.inits] == [("000000007.init.mp4", 7)]

    def test_our_root_file_names_the_boot_file(self) -> None:
        assert read_root(movpkg.render_root()) == "boot.xml"


class TestTolerance:
    def test_namespaces_and_unknown_elements_say_nothing(self) -> None:
        text = '<a:S xmlns:a="urn:x"><New/><a:Complete>yes</a:Complete><a:SEG PATH="0.frag" New="1"/></a:S>'
        read = read_stream_info(text.encode(), NAME)
        assert (read.is_complete, [one.path for one in read.segments]) == (True, ["0.frag"])

    def test_what_is_left_out_is_unknown(self) -> None:
        read = read_stream_info(info(seg(PATH="0.frag")), NAME)
        one = read.segments[0]
        assert (one.sequence, one.offset, one.length, one.url) == (None, 0, 0, "")
        assert (read.network_url, read.local_playlist) == (None, None)
        boot = read_boot(b'<B><Stream Path="x"/><DataItem><Name>n</Name></DataItem></B>')
        assert (boot.streams[0].is_complete, boot.master_url, boot.items) == (None, None, ())

    def test_a_root_file_without_a_boot_image_means_the_usual_one(self) -> None:
        assert read_root(b"<MoviePackage/>") == "boot.xml"
        assert read_root(b"<MoviePackage><BootImage>other.xml</BootImage></MoviePackage>") == "other.xml"

    def test_secrets_are_in_no_repr(self) -> None:
        read = read_stream_info(info(f"<MediaPlaylist><NetworkURL>{URL}</NetworkURL></MediaPlaylist>"), NAME)
        boot = read_boot(f'<B><Stream Path="x" NetworkURL="{URL}"/></B>'.encode())
        assert "token" not in repr((read, boot))


class TestPaths:
    @pytest.mark.parametrize("path", ["0.frag", "./a b/0.frag", "a/b/c/d/e/f/g/h", "ä@~.frag", "x" * 255, "a//b"])
    def test_a_file_inside_may_have_any_name(self, path: str) -> None:
        inside = inner_path(path)
        assert not {"", ".", ".."} & set(inside.split("/"))

    @pytest.mark.parametrize(
        "path",
        ["", ".", "/", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\0b", "a\nb", "x" * 256, "a/b/c/d/e/f/g/h/i"],
    )
    def test_a_path_that_leads_elsewhere_is_refused(self, path: str) -> None:
        with pytest.raises(PolicyError):
            inner_path(path)

    @pytest.mark.parametrize(
        "text",
        [
            b'<B><Stream Path="../x"/></B>',
            b'<B><DataItems Directory="/etc"><DataItem><DataPath>passwd</DataPath></DataItem></DataItems></B>',
            b"<B><DataItem><DataPath>../x</DataPath></DataItem></B>",
        ],
    )
    def test_the_boot_file_names_nothing_outside(self, text: bytes) -> None:
        with pytest.raises(PolicyError):
            read_boot(text)

    @pytest.mark.parametrize(
        "inside",
        [
            seg(PATH="/x"),
            seg(SeqNum="1"),
            seg(PATH="a/../../b").replace("SEG", "ISEG"),
            "<MediaPlaylist><PathToLocalCopy>../x</PathToLocalCopy></MediaPlaylist>",
        ],
    )
    def test_a_stream_file_names_nothing_outside(self, inside: str) -> None:
        with pytest.raises(PolicyError):
            read_stream_info(info(inside), NAME)


class TestHostileText:
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"<",
            b"\0\0\0",
            b"<a></b>",
            b"<a>\xff</a>",
            b"<a>&undeclared;</a>",
            b"#EXTM3U",
        ],
    )
    def test_what_is_no_xml_is_damage(self, text: bytes) -> None:
        for read in (read_root, read_boot, lambda data: read_stream_info(data, NAME)):
            with pytest.raises(IntegrityError):
                read(text)

    @pytest.mark.parametrize("encoding", ["klingon", "utf-7", "unicode_escape", "utf-8"])
    def test_it_is_utf_8_whatever_it_says(self, encoding: str) -> None:
        text = f'<?xml version="1.0" encoding="{encoding}"?><B><BootImage>\u00e4+AC4-</BootImage></B>'
        assert read_root(text.encode()) == "ä+AC4-"

    @pytest.mark.parametrize("declared", ["<!DOCTYPE a>", '<!DOCTYPE a SYSTEM "file:///etc/passwd">'])
    def test_a_document_type_is_refused(self, declared: str) -> None:
        with pytest.raises(PolicyError, match="document type"):
            read_boot(f"{declared}<a/>".encode())

    @pytest.mark.parametrize("number", ["-1", "1e3", "", " 1", "٣", "9" * 19, "1" * 5000, "0x1"])
    @pytest.mark.parametrize("name", ["SeqNum", "Len", "Off"])
    def test_a_number_that_is_none_is_damage(self, name: str, number: str) -> None:
        with pytest.raises(IntegrityError, match=name):
            read_stream_info(info(seg(PATH="x", **{name: number})), NAME)

    def test_the_largest_number_is_one(self) -> None:
        read = read_stream_info(info(seg(PATH="x", Len=str(2**63 - 1))), NAME)
        assert read.segments[0].length == 2**63 - 1


class TestLimits:
    """At each limit it is read, one past it it is refused."""

    def refused(self, text: bytes) -> HlsdlError:
        with pytest.raises(LimitError) as error:
            read_stream_info(text, NAME)
        return error.value

    def test_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = info(seg(PATH="x"))
        monkeypatch.setattr(movpkg_reading, "LARGEST_XML", len(text))
        read_stream_info(text, NAME)
        assert "bytes" in self.refused(text + b" ").message

    def test_objects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(movpkg_reading, "MOST_LISTED", 3)
        assert len(read_stream_info(info(seg(PATH="x") * 3), NAME).segments) == 3
        assert "objects" in self.refused(info(seg(PATH="x") * 4)).message

    def test_streams_and_items(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(movpkg_reading, "MOST_STREAMS", 3)
        for one in ('<Stream Path="x"/>', "<DataItem><DataPath>x</DataPath></DataItem>"):
            read_boot(f"<B>{one * 3}</B>".encode())
            with pytest.raises(LimitError):
                read_boot(f"<B>{one * 4}</B>".encode())

    def test_depth(self) -> None:
        deepest = movpkg_reading.DEEPEST_ELEMENT
        assert read_stream_info(b"<a>" * deepest + b"</a>" * deepest, NAME).segments == ()
        assert "deeper" in self.refused(b"<a>" * (deepest + 1) + b"</a>" * (deepest + 1)).message

    def test_elements(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(movpkg_reading, "MOST_ELEMENTS", 3)
        read_stream_info(b"<a><b/><c/></a>", NAME)
        assert "elements" in self.refused(b"<a><b/><c/><d/></a>").message

    def test_a_tag_and_a_comment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Millions of attributes would take memory by the gigabyte before anybody could say what they are."""
        monkeypatch.setattr(movpkg_reading, "FED", 10)
        monkeypatch.setattr(movpkg_reading, "LONGEST_MARKUP", 1000)
        for much in ("<b {} />", "<!--{}-->", "<?x {}?>"):
            read_stream_info(f"<a>{much.format(self.attributes(900))}</a>".encode(), NAME)
            assert "longer tag" in self.refused(f"<a>{much.format(self.attributes(1100))}</a>".encode()).message

    def attributes(self, count: int) -> str:
        """So many characters of attributes."""
        return " ".join(f'a{n:03}=">"' for n in range(count // 9))

    def test_text_and_attributes(self) -> None:
        longest = movpkg_reading.LONGEST_TEXT
        read = read_stream_info(info(f"<x>{'y' * longest}</x>{seg(PATH='x', URL='y' * longest)}"), NAME)
        assert len(read.segments[0].url) == longest
        assert "text" in self.refused(info(f"<x>{'y' * (longest + 1)}</x>")).message
        assert "text" in self.refused(info(f"<x>{'<z/>y' * (longest + 1)}</x>")).message
        assert "values" in self.refused(info(seg(PATH="x", URL="y" * (longest + 1)))).message
