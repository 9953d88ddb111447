"""Bad input, each with one clear sentence, a hint, its documented exit code, and never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Done, hlsdl

from hlsdl.planning.plan import MOST_DATA_BYTES
from hlsdl.session.keys import LONGEST_INLINE_KEY
from hlsdl.testing import Empty, Html, ScriptedOrigin, Status

MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{}\n#EXT-X-ENDLIST\n"
QUICK = ("--retries", "1", "--timeout", "2", "--stall-timeout", "2")


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        yield server


def told(done: Done, code: int) -> None:
    """The promise about every failure: the code, one sentence, a hint, no traceback, nothing on stdout."""
    assert done.code == code, (done.code, done.err)
    assert "Traceback" not in done.err
    assert "hint:" in done.err
    message = done.err.strip().splitlines()[0] if "hint:" in done.err.splitlines()[-1] else done.err
    assert message
    assert done.out == ""


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        pytest.param(Html(), 5, id="an HTML page"),
        pytest.param(Empty(), 5, id="an empty body"),
        pytest.param(Status(404), 4, id="not found"),
        pytest.param(Status(403), 4, id="forbidden"),
        pytest.param(Status(401), 4, id="not authorised"),
        pytest.param(Status(410), 4, id="gone"),
        pytest.param(Status(503), 3, id="a server that stays unavailable"),
    ],
)
def test_a_source_that_is_no_playlist(origin: ScriptedOrigin, tmp_path: Path, behaviour: object, code: int) -> None:
    origin.add("/m.m3u8", b"#EXTM3U\n")
    origin.always("/m.m3u8", behaviour)  # type: ignore[arg-type]
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, *QUICK), code)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told(hlsdl("fetch", f"http://127.0.0.1:{port}/m.m3u8", "-P", tmp_path, *QUICK), 3)
    assert list(tmp_path.iterdir()) == []


def test_a_language_that_is_not_there(origin: ScriptedOrigin, tmp_path: Path, film: Path) -> None:
    origin.add_folder(film)
    told(hlsdl("fetch", origin.url("/master.m3u8"), "-P", tmp_path, "--audio", "ja"), 6)
    assert [one.path for one in origin.requests] == ["/master.m3u8"]


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/x.ts",
        "http://0.0.0.0/x.ts",
        "ftp://127.0.0.1/x.ts",
        "http://10.255.255.1/x.ts",
        "data:video/mp2t;base64,R0dH",
    ],
)
def test_a_segment_that_points_where_we_may_not_go(origin: ScriptedOrigin, tmp_path: Path, uri: str) -> None:
    origin.add("/m.m3u8", MEDIA.format(uri).encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, *QUICK), 10)
    told(hlsdl("plan", origin.url("/m.m3u8"), *QUICK), 10)


@pytest.mark.parametrize("uri", ["http://169.254.169.254/latest", "gone.json", "ftp://127.0.0.1/a.json"])
def test_session_data_that_does_not_come_is_left_out(origin: ScriptedOrigin, tmp_path: Path, uri: str) -> None:
    """A film plays without it, whatever is wrong with it."""
    data = f'#EXT-X-SESSION-DATA:DATA-ID="a.b",URI="{uri}"'
    origin.add("/m.m3u8", f"#EXTM3U\n{data}\n#EXT-X-STREAM-INF:BANDWIDTH=9\nv.m3u8\n".encode())
    origin.add("/v.m3u8", MEDIA.format("a.ts").encode())
    origin.add("/a.ts", b"\x47" * 188)
    assert hlsdl("plan", origin.url("/m.m3u8")).code == 0
    done = hlsdl("fetch", origin.url("/m.m3u8"), "-o", tmp_path / "m.movpkg", *QUICK)
    assert (done.code, "warning: session data is left out" in done.err) == (0, True)


@pytest.mark.parametrize(("past", "stays"), [(0, True), (1, False)])
def test_session_data_may_have_8_mib_and_no_byte_more(
    origin: ScriptedOrigin, tmp_path: Path, past: int, stays: bool
) -> None:
    data = '#EXT-X-SESSION-DATA:DATA-ID="a.b",URI="d.json"'
    origin.add("/m.m3u8", f"#EXTM3U\n{data}\n#EXT-X-STREAM-INF:BANDWIDTH=9\nv.m3u8\n".encode())
    origin.add("/v.m3u8", MEDIA.format("a.ts").encode())
    origin.add("/a.ts", b"\x47" * 188)
    origin.add("/d.json", b"{}".ljust(MOST_DATA_BYTES + past))
    done = hlsdl("fetch", origin.url("/m.m3u8"), "-o", tmp_path / "m.movpkg", *QUICK)
    assert (done.code, "is left out" in done.err) == (0, not stays)
    assert len(list((tmp_path / "m.movpkg" / "Data").glob("*.json"))) == stays


@pytest.mark.parametrize(("past", "code"), [(0, 7), (1, 12)])
def test_a_key_in_the_playlist_is_decoded_up_to_64_kib(
    origin: ScriptedOrigin, tmp_path: Path, past: int, code: int
) -> None:
    key = "data:," + "k" * (LONGEST_INLINE_KEY + past)
    text = MEDIA.format("a.ts").replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"\n#EXTINF')
    origin.add("/m.m3u8", text.encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, *QUICK), code)


def test_a_live_playlist(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.add("/m.m3u8", MEDIA.format("a.ts").replace("#EXT-X-ENDLIST\n", "").encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path), 13)
    assert origin.count("/a.ts") == 0


def test_no_segments(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.add("/m.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n")
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path), 5)
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_gaps(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Whether the playlist says so or the server, there is no film without a single segment."""
    origin.add("/m.m3u8", MEDIA.format("a.ts").encode())
    origin.add("/g.m3u8", MEDIA.format("a.ts").replace("#EXTINF", "#EXT-X-GAP\n#EXTINF").encode())
    told(hlsdl("fetch", origin.url("/g.m3u8"), "-P", tmp_path), 5)
    told(hlsdl("plan", origin.url("/g.m3u8")), 5)
    assert list(tmp_path.iterdir()) == []
    done = hlsdl("fetch", origin.url("/m.m3u8"), "-o", tmp_path / "m.movpkg", "--allow-gaps", "--quiet")
    told(done, 4)
    assert hlsdl("info", tmp_path / "m.movpkg", "--json").document["state"] == "partial"


def test_a_variant_of_a_stream_that_has_none(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.add("/m.m3u8", MEDIA.format("a.ts").encode())
    origin.add("/a.ts", b"\x47" * 188)
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, "--variant", "hd"), 6)
    assert hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, "--variant", "0").code == 0


def test_a_segment_of_next_to_no_time(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """A bitrate beyond all numbers is cut down to one that can be stored: the bundle can be read again."""
    origin.add("/1.ts", bytes(188))
    origin.add("/m.m3u8", MEDIA.format("1.ts").replace("EXTINF:4", f"EXTINF:0.{'0' * 40}1").encode())
    assert hlsdl("fetch", origin.url("/m.m3u8"), "-o", tmp_path / "a.movpkg", *QUICK).code == 0
    assert hlsdl("info", tmp_path / "a.movpkg").code == 0


def test_the_largest_bitrate(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """A bitrate at the limit of what a playlist may say needs too large a disk, and what is said of it can be read."""
    rate = 2**63 - 1
    line = f"#EXT-X-STREAM-INF:BANDWIDTH={rate},AVERAGE-BANDWIDTH={rate},RESOLUTION=999999999x999999999"
    origin.add("/m.m3u8", f"#EXTM3U\n{line}\nv.m3u8\n".encode())
    origin.add("/v.m3u8", MEDIA.format("1.ts").encode())
    origin.add("/1.ts", bytes(188))
    assert hlsdl("fetch", origin.url("/m.m3u8"), "-o", tmp_path / "a.movpkg", *QUICK).code == 9
    assert hlsdl("info", tmp_path / "a.movpkg").code == 0


def test_a_segment_that_is_gone(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.add("/m.m3u8", MEDIA.format("gone.ts").encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, *QUICK), 4)
    assert origin.count("/gone.ts") >= 1


@pytest.mark.parametrize("key", [b"short", b"<html>not a key</html>", b""])
def test_a_key_that_is_no_key(origin: ScriptedOrigin, tmp_path: Path, key: bytes) -> None:
    origin.add("/k", key)
    origin.add("/a.ts", b"\x47" * 188)
    text = MEDIA.format("a.ts").replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF')
    origin.add("/m.m3u8", text.encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, *QUICK), 7)


@pytest.mark.parametrize("key", ["data:;base64,AAAA", "DATA:;base64,AAAA", "data:;base64,?", "data:"])
def test_a_key_in_the_playlist_that_is_no_key(origin: ScriptedOrigin, tmp_path: Path, key: str) -> None:
    text = MEDIA.format("a.ts").replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"\n#EXTINF')
    origin.add("/m.m3u8", text.encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, *QUICK), 7)
    told(hlsdl("plan", origin.url("/m.m3u8"), *QUICK), 7)
    assert origin.count("/a.ts") == 0


def test_a_stream_of_a_key_system_is_refused_before_its_first_segment(origin: ScriptedOrigin, tmp_path: Path) -> None:
    key = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"\n#EXTINF'
    origin.add("/a.ts", b"\x47" * 188)
    origin.add("/m.m3u8", MEDIA.format("a.ts").replace("#EXTINF", key).encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path), 7)
    assert origin.count("/a.ts") == 0
    kept = hlsdl("fetch", origin.url("/m.m3u8"), "-P", tmp_path, "--keep-protected", "--json")
    assert (kept.code, kept.document["playable_offline"]) == (0, False)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("fetch",), id="no source"),
        pytest.param(("fetch", "https://h.test/a.m3u8", "--min-bitrate", "fast"), id="no number"),
        pytest.param(("fetch", "no/such/file.m3u8"), id="no file"),
        pytest.param(("fetch", "gopher://h.test/a"), id="no such scheme"),
        pytest.param(("info", "no/such.movpkg"), id="no bundle"),
        pytest.param(("verify", "/"), id="a folder that is no bundle"),
        pytest.param(("no-such-command",), id="no such command"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = hlsdl(*arguments)
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    assert done.err


def test_a_failure_as_json_is_one_document_with_the_same_code(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.always("/m.m3u8", Status(403))
    done = hlsdl("fetch", origin.url("/m.m3u8?token=secret"), "-P", tmp_path, "--json")
    assert done.code == 4
    assert done.document["schema"] == "hlsdl.error/1"
    assert done.document["code"] == 4
    assert done.document["http_status"] == 403
    assert done.document["resumable"] is False
    assert "secret" not in done.out + done.err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small tmpfs, where this machine lets us."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / "disk"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("mounting a tmpfs is not allowed here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_keeps_what_is_finished_and_can_be_resumed(
    origin: ScriptedOrigin, small_disk: Callable[[str], Path]
) -> None:
    """The declared bitrate promises little, so that the disk fills while segments arrive."""
    place = small_disk("size=72m")
    names = [f"{number}.ts" for number in range(12)]
    for name in names:
        origin.add(f"/{name}", (b"\x47" + name.encode().ljust(187, b"x")) * 44_000)
    lines = "".join(f"#EXTINF:0.1,\n{name}\n" for name in names)
    origin.add("/m.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{lines}#EXT-X-ENDLIST\n".encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", place, "-N", "2"), 9)
    finished = {f"{int(path.name[:9])}.ts" for path in place.glob("m.movpkg/0-*/0*.ts")}
    assert finished
    (journal,) = place.glob("m.movpkg/journal.jsonl")
    assert '"pause","reason":"the disk is full' in journal.read_text()  # for whoever looks why it ended
    subprocess.run(["mount", "-o", "remount,size=400m", str(place)], check=True)
    origin.clear_requests()
    assert hlsdl("fetch", origin.url("/m.m3u8"), "-P", place).code == 0
    assert not finished & {request.path.strip("/") for request in origin.requests}


def test_a_disk_too_small_is_said_before_the_first_segment(
    origin: ScriptedOrigin, small_disk: Callable[[str], Path]
) -> None:
    place = small_disk("size=8m")
    origin.add("/a.ts", b"\x47" * 188)
    origin.add("/m.m3u8", MEDIA.format("a.ts").encode())
    told(hlsdl("fetch", origin.url("/m.m3u8"), "-P", place), 9)
    assert origin.count("/a.ts") == 0


def test_a_read_only_folder(origin: ScriptedOrigin, small_disk: Callable[[str], Path], film: Path) -> None:
    place = small_disk("size=8m,ro")
    origin.add_folder(film)
    told(hlsdl("fetch", origin.url("/master.m3u8"), "-P", place), 9)
    assert list(place.iterdir()) == []


def test_a_folder_without_permission(origin: ScriptedOrigin, tmp_path: Path, film: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    origin.add_folder(film)
    tmp_path.chmod(0o500)
    told(hlsdl("fetch", origin.url("/master.m3u8"), "-P", tmp_path), 9)
