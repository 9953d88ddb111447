"""ffmpeg is found in the promised order, tells what it decoded, and never outlives the call."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from hlsdl import ffmpeg
from hlsdl.errors import IntegrityError, UsageError
from hlsdl.ffmpeg import Ffmpeg, decode, decode_arguments, find_ffmpeg

MEDIA = Path(__file__).parent.parent / "fixtures" / "media"
BANNER = "ffmpeg version 99.1 Copyright"

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for ffmpeg is a shell script")


@pytest.fixture(scope="module")
def real() -> Ffmpeg:
    try:
        return find_ffmpeg()
    except UsageError:
        pytest.skip("no ffmpeg on this machine")


def script(path: Path, body: str, *, banner: str = BANNER) -> Path:
    """An executable that answers `-h` as ffmpeg does, and does `body` otherwise."""
    path.write_text(f'#!/bin/sh\nif [ "$1" = -h ]; then echo "{banner}" >&2; exit 0; fi\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def stand_in(folder: Path, body: str) -> Ffmpeg:
    return find_ffmpeg(script(folder / "ffmpeg", body))


# --- finding


@posix
def test_a_configured_ffmpeg_wins_over_the_one_on_path(tmp_path: Path) -> None:
    found = find_ffmpeg(script(tmp_path / "my-ffmpeg", ""))
    assert (found.path, found.version, found.picky) == (tmp_path / "my-ffmpeg", "99.1", False)


@posix
def test_path_is_searched_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "ffmpeg", "")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert find_ffmpeg().path == tmp_path / "ffmpeg"


@posix
def test_an_ffmpeg_on_path_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is no reason to fail while the wheel works."""
    wheel = pytest.importorskip("imageio_ffmpeg", reason="the imageio-ffmpeg wheel is not installed")
    script(tmp_path / "ffmpeg", "", banner="something else")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert find_ffmpeg().path == Path(wheel.get_ffmpeg_exe())


def test_without_any_ffmpeg_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError) as caught:
        find_ffmpeg()
    assert "hlsdl[ffmpeg]" in (caught.value.hint or "")


@pytest.mark.parametrize("configured", [Path("/nowhere/ffmpeg"), Path(sys.executable), Path(__file__)])
def test_a_configured_path_that_is_no_ffmpeg_is_refused_even_when_another_works(configured: Path) -> None:
    with pytest.raises(UsageError, match=str(configured)):
        find_ffmpeg(configured)


# --- decoding


def test_no_network_protocol_is_ever_allowed(real: Ffmpeg) -> None:
    argv = decode_arguments(real, Path("index.m3u8"))
    assert argv[argv.index("-protocol_whitelist") + 1] == "file,crypto,data"


def test_a_name_with_a_leading_hyphen_is_no_option() -> None:
    argv = decode_arguments(Ffmpeg(path=Path("ffmpeg"), version="5.1"), Path("-map.ts"))
    assert argv[argv.index("-i") + 1] == "./-map.ts"
    assert "-extension_picky" not in argv


PLAYLISTS = {
    "film/sdr-180/index.m3u8": [("video", 250, 10.0)],
    "film/pq-360/index.m3u8": [("video", 250, 10.0)],
    "film/aac-fr/index.m3u8": [("audio", 466, 9.9)],
    "film/ac3-en/index.m3u8": [("audio", 310, 9.9)],
    "film/flac-en/index.m3u8": [("audio", 104, 9.9)],
    "film/subs-en/index.m3u8": [("subtitle", 10, 9.0)],
    "muxed-ts/high/index.m3u8": [("video", 150, 6.0), ("audio", 278, 5.9)],
    "byteranges/video/index.m3u8": [("video", 150, 6.0), ("audio", 278, 5.9)],
    "aes128/video/index.m3u8": [("video", 150, 6.0), ("audio", 278, 5.9)],
}


@pytest.mark.parametrize("playlist", PLAYLISTS)
async def test_every_frame_of_a_playlist_is_counted(real: Ffmpeg, playlist: str) -> None:
    report = await decode(MEDIA / playlist, ffmpeg=real)
    assert (report.exit_code, report.complaint_count, report.complaints) == (0, 0, ())
    expected = PLAYLISTS[playlist]
    assert [(stream.kind, stream.frames) for stream in report.streams] == [(kind, n) for kind, n, _ in expected]
    for stream, (_, _, duration) in zip(report.streams, expected, strict=True):
        assert stream.duration == pytest.approx(duration, abs=0.06)


async def test_a_folder_named_like_a_url_does_not_matter(real: Ffmpeg, tmp_path: Path) -> None:
    """ffmpeg takes `?` and `#` in the path of a playlist for a query: it must never see that path."""
    odd = tmp_path / "-what? a #1 film%20: part 2"
    shutil.copytree(MEDIA / "aes128", odd)
    report = await decode(odd / "video" / "index.m3u8", ffmpeg=real)
    assert (report.duration, report.complaint_count) == (6.0, 0)


async def test_damage_is_complained_about(real: Ffmpeg, tmp_path: Path) -> None:
    data = bytearray((MEDIA / "muxed-ts" / "low" / "0.ts").read_bytes())
    data[2000:20000:5] = bytes(len(data[2000:20000:5]))
    (tmp_path / "0.ts").write_bytes(data)
    report = await decode(tmp_path / "0.ts", ffmpeg=real)
    assert report.complaint_count > 0
    assert "0x" not in report.complaints[0].message


async def test_what_is_no_media_gives_no_frame(real: Ffmpeg, tmp_path: Path) -> None:
    (tmp_path / "0.ts").write_bytes(bytes(10_000))
    report = await decode(tmp_path / "0.ts", ffmpeg=real)
    assert (report.frames, report.streams, report.exit_code != 0) == (0, (), True)


async def test_progress_is_told_in_decoded_seconds(real: Ffmpeg) -> None:
    seen: list[float] = []
    await decode(MEDIA / "film" / "sdr-180" / "index.m3u8", ffmpeg=real, on_progress=seen.append)
    assert seen[-1] == pytest.approx(10.0)


async def test_only_so_many_frames_are_decoded_as_asked(real: Ffmpeg) -> None:
    report = await decode(MEDIA / "film" / "sdr-180" / "index.m3u8", ffmpeg=real, frames=1)
    assert report.frames == 1


@posix
async def test_messages_without_end_are_counted_and_not_kept(tmp_path: Path) -> None:
    body = 'i=0; while [ $i -lt 3000 ]; do echo "[h264 @ 0x55aa$i] bad block $i." >&2; i=$((i+1)); done; exit 7'
    report = await decode(tmp_path / "0.ts", ffmpeg=stand_in(tmp_path, body))
    assert (report.complaint_count, len(report.complaints), report.exit_code) == (3000, 20, 7)
    assert report.complaints[0].message == "[h264] bad block 0"


@posix
async def test_repeated_messages_count_as_often_as_they_came(tmp_path: Path) -> None:
    body = 'echo "[aac @ 0x1] bad" >&2; echo "    Last message repeated 41 times" >&2'
    report = await decode(tmp_path / "0.ts", ffmpeg=stand_in(tmp_path, body))
    assert [(one.message, one.count) for one in report.complaints] == [("[aac] bad", 42)]
    assert report.complaint_count == 42


@posix
async def test_cancelling_ends_the_process(tmp_path: Path) -> None:
    """The stand-in would run for ever; it says its process id as the time of a frame."""
    found = stand_in(tmp_path, 'echo "0, 0, $$, 0, 1, 0x0"; while :; do :; done')
    pid: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(decode(tmp_path / "0.ts", ffmpeg=found, on_progress=pid.set_result))
    number = int(await pid)
    os.kill(number, 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


@posix
async def test_a_decode_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    found = stand_in(tmp_path, "while :; do :; done")
    with pytest.raises(IntegrityError, match="no progress"):
        await decode(tmp_path / "0.ts", ffmpeg=found, stall_timeout=0.05)


async def test_a_vanished_ffmpeg_is_a_usage_error(tmp_path: Path) -> None:
    gone = Ffmpeg(path=tmp_path / "gone", version="1")
    with pytest.raises(UsageError, match="could not be started"):
        await decode(tmp_path / "0.ts", ffmpeg=gone)


def test_the_module_does_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doors read `$HLSDL_FFMPEG` and pass it on."""
    monkeypatch.setenv("HLSDL_FFMPEG", "/nowhere/ffmpeg")
    assert ffmpeg.find_ffmpeg().path != Path("/nowhere/ffmpeg")
