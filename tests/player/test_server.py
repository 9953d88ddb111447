"""What the server gives to a player, its ranges, its connections, its beginning and end, as bytes over real sockets."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hlsdl.player.protocol
from hlsdl.errors import UsageError
from hlsdl.player import Serving, serve

from .bundles import lay_out, stream_of
from .raw import Answer, exchange, read_all

Ask = Callable[..., Answer]
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


# --- what must work ---------------------------------------------------------------------------------------------


def test_everything_that_the_playlists_name_comes_byte_for_byte(bundle: Path, ask: Ask) -> None:
    stream = stream_of(bundle)
    types = {".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t", ".key": "application/octet-stream"}
    keys = [f"keys/{key.name}" for key in (bundle / "keys").iterdir()]
    for name in ["index.m3u8", f"{stream}/index.m3u8", *(f"{stream}/{n:09d}.ts" for n in range(6)), *keys]:
        answer = ask(name)
        assert answer.status == 200
        assert answer.body == (bundle / name).read_bytes()
        assert answer.headers["content-type"] == types[Path(name).suffix]
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers.items() >= SECURITY_HEADERS.items()


def test_head_gives_the_headers_of_get_and_no_body(ask: Ask) -> None:
    get, head = ask("index.m3u8"), ask("index.m3u8", method="HEAD")
    assert head.status == 200
    assert head.body == b""
    assert head.headers == get.headers


def test_the_page_and_its_parts_are_served_under_a_policy_without_other_hosts(ask: Ask) -> None:
    for path, kind in (("", "text/html"), ("page/player.js", "text/javascript"), ("page/player.css", "text/css")):
        answer = ask(path)
        assert answer.status == 200
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "http" not in policy
        assert answer.headers.items() >= SECURITY_HEADERS.items()


def test_the_addresses_work_and_keep_the_secret_out_of_repr(serving: Serving) -> None:
    pattern = rf"http://127\.0\.0\.1:{serving.port}/[\w-]{{43}}/"
    assert re.fullmatch(pattern, serving.page_url)
    assert serving.playlist_url == serving.page_url + "index.m3u8"
    assert serving.token not in repr(serving)


def test_one_connection_serves_several_requests(serving: Serving, connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    request = f"GET /{serving.token}/index.m3u8 HTTP/1.1\r\nHost: localhost:{serving.port}\r\n"
    connection.sendall((f"{request}\r\n" * 3 + f"{request}Connection: close\r\n\r\n").encode())
    assert read_all(connection).count(b"#EXTM3U") == 4


def test_hostile_bytes_are_served_as_media_and_never_as_a_page(tmp_path: Path) -> None:
    own = lay_out("muxed-ts", tmp_path / "own.movpkg")
    name = f"{stream_of(own)}/000000000.ts"
    (own / name).write_bytes(b"<!doctype html><script>alert(document.domain)</script>")
    with serve(own) as running:
        request = f"GET /{running.token}/{name} HTTP/1.0\r\nHost: 127.0.0.1:{running.port}\r\n\r\n"
        answer = exchange(running.port, request.encode())
    assert answer.headers["content-type"] == "video/mp2t"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox;")


def test_a_bundle_can_be_watched_while_it_grows(tmp_path: Path) -> None:
    own = lay_out("muxed-ts", tmp_path / "own.movpkg")
    name = f"{stream_of(own)}/000000002.ts"
    (own / name).rename(tmp_path / "later")
    with serve(own) as running:
        request = f"GET /{running.token}/{name} HTTP/1.0\r\nHost: 127.0.0.1:{running.port}\r\n\r\n".encode()
        assert exchange(running.port, request).status == 404
        (tmp_path / "later").rename(own / name)
        assert exchange(running.port, request).body == (own / name).read_bytes()


def test_two_servers_do_not_know_each_others_token(bundle: Path, serving: Serving) -> None:
    with serve(bundle) as other:
        head = f"GET /{serving.token}/index.m3u8 HTTP/1.0\r\nHost: 127.0.0.1:{other.port}\r\n\r\n"
        assert exchange(other.port, head.encode()).status == 404


# --- Range ------------------------------------------------------------------------------------------------------


def test_a_range_is_answered_with_just_that_part(ask: Ask, bundle: Path) -> None:
    name = f"{stream_of(bundle)}/000000000.ts"
    data = (bundle / name).read_bytes()
    for value, part in (("0-0", data[:1]), ("100-199", data[100:200]), ("-7", data[-7:]), ("500-", data[500:])):
        answer = ask(name, f"Range: bytes={value}")
        assert answer.status == 206
        assert answer.body == part
        start = len(data) - 7 if value == "-7" else int(value.split("-")[0])
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/{len(data)}"


def test_a_range_past_the_end_is_answered_with_416_and_the_size(ask: Ask, bundle: Path) -> None:
    name = f"{stream_of(bundle)}/000000000.ts"
    size = (bundle / name).stat().st_size
    for value in (f"{size}-", f"{2**64}-", f"{2**64}-{2**65}", "-0", "9" * 5000 + "-"):
        answer = ask(name, f"Range: bytes={value}")
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{size}"
        assert answer.body == b""


def test_ranges_that_make_no_sense_and_many_ranges_get_the_whole_file_once(ask: Ask, bundle: Path) -> None:
    name = f"{stream_of(bundle)}/000000000.ts"
    data = (bundle / name).read_bytes()
    many = ",".join(f"{n}-" for n in range(2000))
    for value in ("bytes=5-1", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,0-1", f"bytes={many}"):
        answer = ask(name, f"Range: {value}")
        assert answer.status == 200
        assert answer.body == data
    assert ask(name, "Range: bytes=0-1", 'If-Range: "some-tag"').body == data
    assert ask(name, "Range: bytes=0-1", "Range: bytes=2-3").body == data


# --- connections ------------------------------------------------------------------------------------------------


def test_a_head_that_does_not_come_in_time_is_dropped(
    serving: Serving, connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hlsdl.player.protocol, "HEAD_TIMEOUT", 0.2)
    silent, slow = connect(), connect()
    slow.sendall(b"GET / HTTP/1.1\r\nHost: ")
    started = time.monotonic()
    assert read_all(silent) == b""
    assert read_all(slow) == b""
    assert time.monotonic() - started < 5


def test_a_drip_of_header_bytes_does_not_buy_time(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hlsdl.player.protocol, "HEAD_TIMEOUT", 0.3)
    connection = connect()
    connection.settimeout(0.02)
    started = time.monotonic()
    while time.monotonic() - started < 20:
        try:
            connection.send(b"G")
            assert connection.recv(1) == b""
            break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    assert time.monotonic() - started < 5


def test_hundreds_of_connections_that_say_nothing_do_not_stop_playback(
    serving: Serving, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest silent connections make room, so a newcomer is always heard."""
    monkeypatch.setattr(hlsdl.player.protocol, "HEAD_TIMEOUT", 3600.0)
    crowd: list[socket.socket] = []
    try:
        crowd.extend(socket.create_connection(("127.0.0.1", serving.port), timeout=30) for _ in range(400))
        for _ in range(20):
            assert ask("index.m3u8").status == 200
        crowd[0].settimeout(10)
        assert read_all(crowd[0]) == b""
    finally:
        for connection in crowd:
            connection.close()


def test_a_reader_that_leaves_does_no_harm(serving: Serving, bundle: Path, ask: Ask) -> None:
    name = f"{stream_of(bundle)}/000000000.ts"
    for _ in range(50):
        connection = socket.create_connection(("127.0.0.1", serving.port), timeout=30)
        connection.sendall(f"GET /{serving.token}/{name} HTTP/1.1\r\nHost: 127.0.0.1:{serving.port}\r\n\r\n".encode())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()
    assert ask(name).body == (bundle / name).read_bytes()


def test_only_loopback_is_listened_on(serving: Serving) -> None:
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("this system has no /proc/net/tcp")
    lines = table.read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    assert [address for address in listening if address.endswith(f":{serving.port:04X}")] == [
        f"0100007F:{serving.port:04X}"
    ]


# --- starting and stopping --------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_a_usage_error(bundle: Path, serving: Serving) -> None:
    with pytest.raises(UsageError, match=f"port `{serving.port}` cannot be used"), serve(bundle, port=serving.port):
        pass
    for port in (-1, 70_000):
        with pytest.raises(UsageError), serve(bundle, port=port):
            pass


def test_a_folder_without_a_playlist_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UsageError, match=r"has no `index\.m3u8` to play"), serve(path):
            pass


def test_after_the_context_the_port_is_free_and_no_thread_is_left(bundle: Path) -> None:
    with serve(bundle) as first:
        port = first.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    with serve(bundle, port=port) as second:
        assert second.port == port
        assert second.token != first.token
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("hlsdl-player") <= 1  # that of this module's own server
