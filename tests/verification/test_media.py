"""Deep verification: ffmpeg decodes what is stored, and the outcome is held against the playlists."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hlsdl.bundle.manifest import Manifest, StoredStream
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import UsageError
from hlsdl.ffmpeg import find_ffmpeg
from hlsdl.planning.preferences import Preferences
from hlsdl.playlist.models import MediaPlaylist
from hlsdl.playlist.parsing import parse_playlist
from hlsdl.verification import Code, Report, Severity, verify_bundle
from hlsdl.verification.media import pieces_of, tolerance
from hlsdl.verification.streams import BASE

from .bundles import MEDIA, store, writing

ONE_VIDEO = Preferences(variants="one", audio=("none",), subtitles=("none",), hdr=False, max_size=(320, 180))


@pytest.fixture(autouse=True, scope="module")
def _needs_ffmpeg() -> None:
    try:
        find_ffmpeg()
    except UsageError:
        pytest.skip("no ffmpeg on this machine")


def restored(bundle: Path, path: str, change: Callable[[bytes], bytes]) -> Report:
    """Verify deeply after an object was replaced together with its hash: only decoding can tell."""
    with writing(bundle) as writer:
        writer.put(path, change((bundle / path).read_bytes()))
        assert writer.manifest is not None
        stream = writer.manifest.streams[0]
        size = sum(
            entry.size for name, entry in writer.entries.items() if name.startswith(stream.id) and "m3u8" not in name
        )
        streams = (replace(stream, bytes=size), *writer.manifest.streams[1:])
        writer.seal(replace(writer.manifest, streams=streams))
    assert verify_bundle(bundle).ok
    return verify_bundle(bundle, deep=True)


def stream_of(kind: str = "video") -> StoredStream:
    return StoredStream(id="0-A-1", kind=kind, playlist="0-A-1/index.m3u8", source_url="", final_url="")


def media_playlist(body: str) -> MediaPlaylist:
    text = f"#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n{body}#EXT-X-ENDLIST\n"
    playlist = parse_playlist(text.encode(), BASE + "0-A-1/index.m3u8")
    assert isinstance(playlist, MediaPlaylist)
    return playlist


@pytest.mark.parametrize("name", ["film", "muxed-ts", "byteranges", "aes128", "odd"])
def test_every_stream_of_a_sound_bundle_decodes(tmp_path: Path, name: str) -> None:
    """Two ladders, five audio codings, subtitles, I-frames, rotated keys, a gap, a change of the init section."""
    report = verify_bundle(store(MEDIA / name, tmp_path / f"{name} #1?.movpkg"), deep=True)
    assert (report.ok, report.findings) == (True, ())


def test_the_wheels_ffmpeg_says_the_same(tmp_path: Path) -> None:
    wheel = pytest.importorskip("imageio_ffmpeg", reason="the imageio-ffmpeg wheel is not installed")
    bundle = store(MEDIA / "odd", tmp_path / "odd.movpkg")
    assert verify_bundle(bundle, deep=True, ffmpeg=Path(wheel.get_ffmpeg_exe())).findings == ()


def test_without_deep_nothing_is_decoded(tmp_path: Path) -> None:
    bundle = store(MEDIA / "muxed-ts", tmp_path / "b.movpkg")
    assert verify_bundle(bundle, ffmpeg=Path("/nowhere/ffmpeg")).ok


def test_deep_without_an_ffmpeg_is_a_usage_error(tmp_path: Path) -> None:
    bundle = store(MEDIA / "muxed-ts", tmp_path / "b.movpkg")
    with pytest.raises(UsageError, match="/nowhere/ffmpeg"):
        verify_bundle(bundle, deep=True, ffmpeg=Path("/nowhere/ffmpeg"))


def test_a_wrong_key_makes_the_stream_undecodable(tmp_path: Path) -> None:
    bundle = store(MEDIA / "aes128", tmp_path / "b.movpkg")
    key = min(path.relative_to(bundle).as_posix() for path in bundle.glob("keys/*"))
    report = restored(bundle, key, lambda data: data[::-1])
    assert not report.ok
    assert {finding.code for finding in report.findings} <= {Code.UNDECODABLE, Code.DECODE_ERRORS}


def test_a_stream_of_which_nothing_decodes_is_an_error(tmp_path: Path) -> None:
    bundle = store(MEDIA / "film", tmp_path / "b.movpkg", preferences=ONE_VIDEO)
    stream = Bundle.open(bundle).streams[0]
    # The sample description names H.264; without it ffmpeg has boxes and no codec.
    report = restored(bundle, f"{stream.id}/000000000.init.mp4", lambda data: data.replace(b"avcC", b"free"))
    assert [(one.code, one.severity, one.path) for one in report.findings if one.severity is Severity.ERROR] == [
        (Code.UNDECODABLE, Severity.ERROR, stream.playlist)
    ]


def test_a_segment_without_pictures_is_missed_in_the_duration(tmp_path: Path) -> None:
    """2 of 6 seconds are padding packets: sound in structure, nothing to see."""
    bundle = store(MEDIA / "muxed-ts", tmp_path / "b.movpkg", preferences=Preferences(variants="one"))
    stream = Bundle.open(bundle).streams[0]
    padding = b"\x47\x1f\xff\x10" + b"\xff" * 184
    report = restored(bundle, f"{stream.id}/000000001.ts", lambda _data: padding * 50)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert [(finding.code, finding.path) for finding in errors] == [(Code.UNDECODABLE, stream.playlist)]
    assert "4.00 s of video decode, the playlist says 6.00 s" in errors[0].message


def test_damaged_pictures_in_bytes_as_served_are_a_warning(tmp_path: Path) -> None:
    bundle = store(MEDIA / "film", tmp_path / "b.movpkg", preferences=ONE_VIDEO)
    stream = Bundle.open(bundle).streams[0]

    def change(data: bytes) -> bytes:
        place = data.index(b"mdat") + 4000
        return data[:place] + bytes(byte ^ 0x55 for byte in data[place : place + 3000]) + data[place + 3000 :]

    report = restored(bundle, f"{stream.id}/000000002.m4s", change)
    assert report.ok
    assert [(one.code, one.path) for one in report.findings] == [(Code.DECODE_ERRORS, stream.playlist)]


def test_an_iframe_that_gives_no_picture_is_a_warning(tmp_path: Path) -> None:
    bundle = store(MEDIA / "film", tmp_path / "b.movpkg", preferences=replace(ONE_VIDEO, iframes=True))
    stream = next(one for one in Bundle.open(bundle).streams if one.kind == "iframes")
    with writing(bundle) as writer:
        path = f"{stream.id}/000000001.m4s"
        data = (bundle / path).read_bytes()
        place = data.index(b"mdat") + 4
        writer.put(path, data[:place] + bytes(len(data) - place))
        assert writer.manifest is not None
        writer.seal(writer.manifest)
    report = verify_bundle(bundle, deep=True)
    assert [(one.code, one.path) for one in report.findings] == [(Code.DECODE_ERRORS, stream.playlist)]
    assert report.findings[0].message.startswith("1 of 5 pictures")


def test_of_a_partial_bundle_what_is_there_is_decoded(tmp_path: Path) -> None:
    complete = store(MEDIA / "film", tmp_path / "a.movpkg", preferences=ONE_VIDEO)
    stream = Bundle.open(complete).streams[0]
    missing = [f"{stream.id}/00000000{number}.m4s" for number in (1, 4)]
    bundle = store(MEDIA / "film", tmp_path / "b.movpkg", preferences=ONE_VIDEO, skip=missing, seal=False)
    report = verify_bundle(bundle, deep=True)
    assert {finding.code for finding in report.findings} == {Code.INCOMPLETE}


@pytest.mark.parametrize("what", ["000000001.m4s", "000000000.init.mp4", "key"])
@pytest.mark.parametrize("stands_there", ["pipe", "link to a device", "link"])
def test_what_is_no_plain_file_is_never_given_to_ffmpeg(tmp_path: Path, what: str, stands_there: str) -> None:
    """A pipe would be waited for, a device has no end, a link leads anywhere."""
    bundle = store(MEDIA / ("aes128" if what == "key" else "film"), tmp_path / "b.movpkg", preferences=ONE_VIDEO)
    file = min(bundle.glob("keys/*" if what == "key" else f"0-*/{what}"))
    moved = file.rename(tmp_path / "outside")
    if stands_there == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero" if stands_there == "link to a device" else moved)
    report = verify_bundle(bundle, deep=True)
    assert [one.code for one in report.findings if one.severity is Severity.ERROR] == [Code.NOT_REGULAR]
    assert not any(one.code is Code.DECODE_ERRORS for one in report.findings)


def test_a_playlist_that_a_manifest_names_as_many_streams_is_decoded_once(tmp_path: Path) -> None:
    """Those streams have no folders either: that is told as what it is, and not as a fault of ffmpeg."""
    bundle = store(MEDIA / "film", tmp_path / "b.movpkg", preferences=ONE_VIDEO)
    with writing(bundle) as writer:
        assert writer.manifest is not None
        (stream,) = writer.manifest.streams
        others = tuple(replace(stream, id=f"0-{number}-0") for number in range(50))
        writer.save_manifest(replace(writer.manifest, streams=(*others, stream)))
    report = verify_bundle(bundle, deep=True, ffmpeg=told_to(tmp_path / "runs", tmp_path))
    assert not {one.code for one in report.findings} & {Code.UNDECODABLE, Code.DECODE_ERRORS, Code.DURATION_MISMATCH}
    assert (tmp_path / "runs").read_text().count("-f hls") == 1


def told_to(runs: Path, folder: Path) -> Path:
    """An ffmpeg that writes down how it is run, one line for each time."""
    wrapper = folder / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> "{runs}"\nexec "{find_ffmpeg().path}" "$@"\n')
    wrapper.chmod(0o700)
    return wrapper


def test_a_protected_stream_is_not_decoded(tmp_path: Path) -> None:
    bundle = store(MEDIA / "film", tmp_path / "b.movpkg", preferences=ONE_VIDEO)
    manifest = bundle / "manifest.json"
    protected = manifest.read_bytes().replace(b'"protected": false', b'"protected": true')
    manifest.write_bytes(Manifest.decode(protected).encode())
    shutil.rmtree(bundle / Bundle.open(bundle).streams[0].id)
    codes = {finding.code for finding in verify_bundle(bundle, deep=True).findings}
    assert codes == {Code.PROTECTED, Code.MISSING}


def test_a_failure_under_sample_encryption_proves_nothing(tmp_path: Path) -> None:
    """ffmpeg cannot decrypt every SAMPLE-AES stream, so the bundle is not called broken for it."""
    bundle = store(MEDIA / "film", tmp_path / "b.movpkg", preferences=ONE_VIDEO)
    stream = Bundle.open(bundle).streams[0]
    line = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,MTIzNDU2Nzg5MDEyMzQ1Ng=="\n#EXT-X-MAP'
    for name in ("source.m3u8", "index.m3u8"):
        text = (bundle / stream.id / name).read_text().replace("#EXT-X-MAP", line)
        with writing(bundle) as writer:
            put = writer.put if name == "source.m3u8" else writer.write_text_file
            put(f"{stream.id}/{name}", text.encode())
    report = restored(bundle, f"{stream.id}/000000000.init.mp4", lambda data: data.replace(b"avcC", b"free"))
    assert report.ok
    assert all("sample encryption" in finding.message for finding in report.findings)
    assert Code.UNDECODABLE in {finding.code for finding in report.findings}


# --- pieces


def test_a_run_ends_where_the_init_section_changes_and_gaps_are_left_out() -> None:
    playlist = media_playlist(
        '#EXT-X-MAP:URI="a.init.mp4"\n#EXTINF:2,\n1.m4s\n#EXT-X-GAP\n#EXTINF:2,\n2.m4s\n#EXTINF:2,\n3.m4s\n'
        '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="b.init.mp4"\n#EXTINF:1,\n4.m4s\n'
        '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="a.init.mp4"\n#EXTINF:2,\n5.m4s\n'
    )
    stored = {f"0-A-1/{name}" for name in ("1.m4s", "2.m4s", "3.m4s", "4.m4s", "5.m4s", "a.init.mp4", "b.init.mp4")}
    pieces = pieces_of(stream_of(), playlist, stored)
    assert [[segment.uri.rpartition("/")[2] for segment in piece.segments] for piece in pieces] == [
        ["1.m4s", "3.m4s"],
        ["4.m4s"],
        ["5.m4s"],
    ]
    assert [piece.duration for piece in pieces] == [4, 1, 2]


def test_iframes_are_decoded_one_by_one() -> None:
    playlist = media_playlist('#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI="a.mp4"\n#EXTINF:2,\n1.m4s\n#EXTINF:2,\n2.m4s\n')
    pieces = pieces_of(stream_of("iframes"), playlist, {"0-A-1/1.m4s", "0-A-1/2.m4s", "0-A-1/a.mp4"})
    assert [len(piece.segments) for piece in pieces] == [1, 1]


def test_a_piece_writes_out_the_default_iv_of_each_segment() -> None:
    """Its own segments count from another number than those of the whole playlist."""
    playlist = media_playlist(
        '#EXTINF:2,\n1.ts\n#EXT-X-KEY:METHOD=AES-128,URI="../keys/K.key"\n#EXTINF:2,\n2.ts\n#EXTINF:2,\n3.ts\n'
        '#EXT-X-KEY:METHOD=AES-128,URI="../keys/K.key",IV=0xff\n#EXTINF:2,\n4.ts\n'
    )
    stored = {"keys/K.key", *(f"0-A-1/{number}.ts" for number in range(1, 5))}
    (piece,) = pieces_of(stream_of(), playlist, stored)
    lines = [line for line in piece.playlist().splitlines() if "KEY" in line or not line.startswith("#")]
    key = '#EXT-X-KEY:METHOD=AES-128,URI="file:keys/K.key",IV='
    assert lines == [
        "#EXT-X-KEY:METHOD=NONE",
        "file:0-A-1/1.ts",
        f"{key}0x{8:032x}",
        "file:0-A-1/2.ts",
        f"{key}0x{9:032x}",
        "file:0-A-1/3.ts",
        f"{key}0xff",
        "file:0-A-1/4.ts",
    ]


def test_an_extinf_without_decimals_is_taken_for_rounded() -> None:
    playlist = media_playlist("#EXTINF:2,\n1.ts\n#EXTINF:2.0,\n2.ts\n#EXTINF:1.96,\n3.ts\n")
    assert tolerance(playlist.segments) == pytest.approx(0.5 + 0.5 + 0.02 + 0.02)
    assert tolerance(()) == 0.5
    assert playlist.segments[1].duration == Decimal("2.0")
