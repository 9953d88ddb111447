"""What a stranger found, so that it stays mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import hlsdl

import hlsdl as library
from hlsdl.errors import ContentKeyError, IntegrityError
from hlsdl.testing import ScriptedOrigin

MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n{}#EXT-X-ENDLIST\n"
PACKET = b"\x47" + b"x" * 187


async def test_a_bundle_verifies_itself(film: Path, tmp_path: Path) -> None:
    bundle = await library.fetch(str(film / "master.m3u8"), hdr=False, output=tmp_path)
    assert bundle.verify().ok
    assert library.open(bundle.path).verify(deep=True).ok


async def test_a_key_in_the_playlist_itself_is_looked_at_too(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/a.ts", PACKET * 4)
        key = '#EXT-X-KEY:METHOD=AES-128,URI="data:text/plain;base64,QUJD"\n'
        origin.add("/m.m3u8", MEDIA.format(f"{key}#EXTINF:4,\na.ts\n").encode())
        with pytest.raises(ContentKeyError):
            await library.fetch(origin.url("/m.m3u8"), output=tmp_path)


async def test_an_encrypted_segment_that_cannot_be_decrypted_is_not_sealed(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/a.ts", b"z" * 1001)
        origin.add("/k", b"0123456789abcdef")
        origin.add("/m.m3u8", MEDIA.format('#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:4,\na.ts\n').encode())
        with pytest.raises(IntegrityError, match="16-byte blocks"):
            await library.fetch(origin.url("/m.m3u8"), output=tmp_path)


async def test_a_segment_listed_twice_is_listed_twice_in_the_package(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/a.ts", PACKET * 4)
        origin.add("/b.ts", PACKET * 5)
        origin.add("/m.m3u8", MEDIA.format("#EXTINF:4,\na.ts\n#EXTINF:4,\na.ts\n#EXTINF:4,\nb.ts\n").encode())
        bundle = await library.fetch(origin.url("/m.m3u8"), output=tmp_path)
        assert origin.count("/a.ts") == 1
    text = (bundle.path / bundle.streams[0].id / "StreamInfoBoot.xml").read_text()
    assert text.count("<SEG ") == 3
    assert text.count('PATH="000000000.ts"') == 2
    assert bundle.verify().ok


async def test_the_package_of_a_local_source_names_no_folder_of_this_machine(film: Path, tmp_path: Path) -> None:
    bundle = await library.fetch(str(film / "master.m3u8"), hdr=False, output=tmp_path)
    for name in ("boot.xml", f"{bundle.streams[0].id}/StreamInfoBoot.xml", "index.m3u8"):
        assert str(film) not in (bundle.path / name).read_text()


@pytest.mark.parametrize("scheme", ["file", "FILE", "File"])
async def test_nor_where_a_local_playlist_names_files_by_url_in_any_spelling(tmp_path: Path, scheme: str) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "a.ts").write_bytes(PACKET * 4)
    (folder / "m.m3u8").write_text(MEDIA.format(f"#EXTINF:4,\n{scheme}://{folder}/a.ts\n"))
    bundle = await library.fetch(str(folder / "m.m3u8"), output=tmp_path)
    for name in ("boot.xml", f"{bundle.streams[0].id}/StreamInfoBoot.xml"):
        assert str(folder) not in (bundle.path / name).read_text()


async def test_a_rendition_that_is_a_variant_too_keeps_its_description(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/a.ts", PACKET * 4)
        for name in ("v", "a"):
            origin.add(f"/{name}.m3u8", MEDIA.format("#EXTINF:4,\na.ts\n").encode())
        master = (
            '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="a.m3u8"\n'
            '#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2",AUDIO="g"\na.m3u8\n'
            '#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,AUDIO="g"\nv.m3u8\n'
        )
        origin.add("/master.m3u8", master.encode())
        bundle = await library.fetch(origin.url("/master.m3u8"), variants="all", audio="all", output=tmp_path)
    audio = next(one for one in bundle.streams if one.kind == "audio")
    assert (audio.language, audio.name, audio.default) == ("en", "English", True)


def test_a_folder_that_is_no_bundle_is_not_played(tmp_path: Path) -> None:
    (tmp_path / "index.m3u8").write_text("#EXTM3U\n")
    done = hlsdl("play", tmp_path, "--player", "none")
    assert done.code == 2
    assert "no bundle" in done.err
