"""What reaches the media and what does not, as bytes over real sockets."""

from __future__ import annotations

import itertools
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

from .bundles import FIXTURES, NEVER_SERVED, lay_out
from .raw import Answer, exchange, read_all

Ask = Callable[..., Answer]
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


def stream_of(bundle: Path) -> str:
    return next(path.name for path in bundle.iterdir() if path.name.startswith("0-"))


def assert_no_media(answer: Answer) -> None:
    """Nothing of the bundle is in the answer, whatever its status."""
    assert b"#EXTM3U" not in answer.data
    assert b"secret" not in answer.data
    assert b"\x47\x40" not in answer.data
    assert answer.status in {0, 400, 403, 404, 405, 416}


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


# --- Host: closed without a byte --------------------------------------------------------------------------------

HOSTS = [
    "evil.test", "evil.test:{port}", "127.0.0.1", "localhost", "[::1]", "127.0.0.1:80", "127.0.0.1:1", "127.0.0.1:{port}0",
    "127.0.0.1:0{port}", "127.0.0.1: {port}", "127.0.0.1 :{port}", "localhost.:{port}", "LOCALHOST:{port}", "Localhost:{port}",
    "127.0.0.1.:{port}", "127.1:{port}", "127.0.1:{port}", "0.0.0.0:{port}", "2130706433:{port}", "0x7f000001:{port}",
    "0177.0.0.1:{port}", "127.0.0.2:{port}", "::1:{port}", "[::]:{port}", "[::ffff:127.0.0.1]:{port}", "[0:0:0:0:0:0:0:1]:{port}",
    "[::1%25lo]:{port}", "127.0.0.1:{port},evil.test", "evil.test, 127.0.0.1:{port}", "user@127.0.0.1:{port}",
    "127.0.0.1:{port}@evil.test", "127.0.0.1:{port}/", "127.0.0.1:{port}?", "127.0.0.1:{port}#", "http://127.0.0.1:{port}",
    "127.0.0.1:{port}.evil.test", "evil.test.127.0.0.1:{port}", "localhost.localdomain:{port}", "ip6-localhost:{port}",
    "127.0.0.1.nip.io:{port}", "localtest.me:{port}", "", ":{port}", "127.0.0.1:", "*", "null", "127.0.0.1:{port};",
    "127.0.0.1:{port}\x00", "127.0.0.1\\:{port}", "\u212alocalhost", "127.0.0.1%3a{port}", "\"127.0.0.1:{port}\"",
]  # fmt: skip


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("host", HOSTS)
def test_any_other_host_is_closed_without_a_byte(serving: Serving, host: str, version: str) -> None:
    """DNS rebinding: the browser sends the attacker's name, whatever address it resolved to."""
    head = (
        f"GET /{serving.token}/index.m3u8 HTTP/{version}\r\nHost: {host.replace('{port}', str(serving.port))}\r\n\r\n"
    )
    assert exchange(serving.port, head.encode("utf-8")).data == b""


MALFORMED_HEADS = [
    "GET {path} HTTP/1.1\r\n\r\n",
    "GET {path} HTTP/1.0\r\n\r\n",
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nHost: evil.test\r\n\r\n",
    "GET {path} HTTP/1.0\r\nHost: {host}\r\nHost: evil.test\r\n\r\n",
    "GET {path} HTTP/1.0\r\nHost: evil.test\r\nhost: {host}\r\n\r\n",
    "GET http://{host}{path} HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "GET http://evil.test{path} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "GET https://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "GET //{host}{path}",
    "GET {path}\r\n",
    "GET {path} HTTP/0.9\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET {path} HTTP/1.1\r\nHost : {host}\r\n\r\n",
    "GET {path} HTTP/1.1\r\n Host: {host}\r\n\r\n",
    "GET {path} HTTP/1.1\r\nX: y\r\n Host: {host}\r\n\r\n",
    "GET {path} HTTP/1.1\r\nX-Forwarded-Host: {host}\r\nHost: evil.test\r\n\r\n",
    "GET {path} HTTP/1.1\r\nForwarded: host={host}\r\nHost: evil.test\r\n\r\n",
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nA\x00B: c\r\n\r\n",
    "GET {path}\x00 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "GET {path}\xff HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "GET  {path} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "\r\n\r\n",
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n",
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip\r\n\r\n",
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nX: " + "a" * 1_000_000 + "\r\n\r\n",
    "GET {path}" + "a" * 1_000_000 + " HTTP/1.1\r\nHost: {host}\r\n\r\n",
]


@pytest.mark.parametrize("number", range(len(MALFORMED_HEADS)))
def test_what_is_not_plain_http_to_this_host_is_closed_without_a_byte(
    serving: Serving, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hlsdl.player.protocol, "HEAD_TIMEOUT", 0.2)  # some of these never come to an end
    head = MALFORMED_HEADS[number].replace("{path}", f"/{serving.token}/index.m3u8")
    head = head.replace("{host}", f"127.0.0.1:{serving.port}")
    assert exchange(serving.port, head.encode("latin-1")).data == b""


# --- Origin, method, body ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test", "http://evil.test", "null", "", "*", "file://", "http://127.0.0.1", "http://localhost:{port}",
        "https://127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://127.0.0.1:{port}.evil.test", "HTTP://127.0.0.1:{port}",
        "http://127.0.0.1:1", "http://user@127.0.0.1:{port}", "chrome-extension://abcdefghijklmnop", "http://127.0.0.1:{port} http://evil.test",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_another_origin_gets_nothing_and_no_permission(ask: Ask, serving: Serving, origin: str, method: str) -> None:
    answer = ask("index.m3u8", f"Origin: {origin.replace('{port}', str(serving.port))}", method=method)
    assert answer.status == 403
    assert_no_media(answer)
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_our_own_origin_is_served_without_cors_headers(ask: Ask, serving: Serving) -> None:
    answer = ask("index.m3u8", f"Origin: http://127.0.0.1:{serving.port}")
    assert answer.status == 200
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize(
    "method",
    ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS", "PROPFIND", "MOVE", "COPY", "LINK", "PURGE",
     "get", "Get", "GETS", "G", "HEADGET", "M-SEARCH", "QUERY"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["index.m3u8", "", "manifest.json"])
def test_only_get_and_head_are_answered(ask: Ask, method: str, path: str) -> None:
    answer = ask(
        path, "Access-Control-Request-Private-Network: true", "Content-Length: 0", method=method, closing=False
    )
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.headers["connection"] == "close"
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert_no_media(answer)


def test_a_request_hidden_in_a_body_is_not_answered(serving: Serving) -> None:
    """Request smuggling: what follows a refused head is never taken for a request."""
    inner = f"GET /{serving.token}/index.m3u8 HTTP/1.1\r\nHost: 127.0.0.1:{serving.port}\r\n\r\n"
    for framing in (f"Content-Length: {len(inner)}", "Transfer-Encoding: chunked"):
        for method in ("GET", "POST"):
            head = f"{method} /{serving.token}/ HTTP/1.1\r\nHost: 127.0.0.1:{serving.port}\r\n{framing}\r\n\r\n"
            answer = exchange(serving.port, (head + inner).encode())
            assert answer.data.count(b"HTTP/1.1 ") <= 1
            assert_no_media(answer)


def test_an_upgrade_is_ignored(ask: Ask) -> None:
    for protocol in ("websocket", "h2c"):
        answer = ask("index.m3u8", "Connection: Upgrade", f"Upgrade: {protocol}", "Sec-WebSocket-Key: AAAA")
        assert answer.status == 200


# --- token and path ---------------------------------------------------------------------------------------------


def test_without_the_token_there_is_nothing(serving: Serving) -> None:
    token = serving.token
    wrong = [
        "",
        "x",
        token[:-1],
        token + "x",
        token[1:],
        token.upper(),
        token[::-1],
        "%" + token,
        f"{token}%00",
        "." * 43,
    ]
    wrong += [token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :] for n in range(len(token))]
    for path in (
        *(f"/{each}/index.m3u8" for each in wrong),
        "/",
        "/index.m3u8",
        "/favicon.ico",
        f"/{token}",
        f"//{token}/",
    ):
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{serving.port}\r\nConnection: close\r\n\r\n"
        answer = exchange(serving.port, head.encode())
        assert answer.status == 404
        assert token not in answer.data.decode("latin-1")
        assert_no_media(answer)


OUTSIDE = ["etc/passwd", "manifest.json", "journal.jsonl", "lock", "secret.txt"]
UPS = [
    "..",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "..;",
    "...",
    "....",
    ". .",
    "%uff0e%uff0e",
]
SLASHES = ["/", "%2f", "%5c", "\\", "//", "%252f", "%c0%af", "/./", "%2f%2f"]


@pytest.mark.parametrize("prefix", ["", "{stream}/", "keys/", "page/vendor/"])
@pytest.mark.parametrize("up", UPS)
def test_no_spelling_of_a_way_up_leads_out(ask: Ask, bundle: Path, tmp_path: Path, prefix: str, up: str) -> None:
    (bundle.parent / "secret.txt").write_text("secret outside the bundle")
    for slash, name, depth in itertools.product(SLASHES, OUTSIDE, (1, 3)):
        path = prefix.replace("{stream}", stream_of(bundle)) + (up + slash) * depth + name
        answer = ask(path)
        assert_no_media(answer)
        assert answer.status in {0, 404}


def test_no_spelling_of_a_served_name_is_served_but_the_name_itself(ask: Ask, bundle: Path) -> None:
    stream = stream_of(bundle)
    key = next((bundle / "keys").iterdir()).name
    for path in (
        "index.m3u8/", "/index.m3u8", "./index.m3u8", "index.m3u8%00", "index.m3u8%20", "index.m3u8.", "INDEX.M3U8", "index%2em3u8",
        "%69ndex.m3u8", f"{stream}", f"{stream}/", f"{stream}//index.m3u8", f"{stream}%2findex.m3u8", f"{stream}\\index.m3u8",
        f"{stream}/./index.m3u8", f"{stream}/../index.m3u8", f"keys/../{stream}/index.m3u8", f"keys/{key}/", f"keys/{key}::$DATA",
        f"keys/{key}%00.ts", f"KEYS/{key}", "keys", "keys/", "Data", "Data/", ".", "..", "~", "*", "con", "nul", "index.m3u8~", "index.m3u8;a",
        "index.m3u8:stream", f"{stream}/000000000.ts/x", f"{stream}/{'a' * 300}.ts", "a/" * 500 + "x", "x" * 3000,
    ):  # fmt: skip
        assert ask(path).status in {0, 404}, path
    # A query is no part of the name, and changes nothing.
    assert ask("index.m3u8?../../etc/passwd").status == 200


def test_what_the_bundle_keeps_for_itself_is_not_served(ask: Ask, bundle: Path) -> None:
    own = [path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()]
    refused = [name for name in own if ask(name).status == 404]
    stream = stream_of(bundle)
    assert sorted(refused) == sorted(
        [*NEVER_SERVED, *(f"{stream}/{name}" for name in ("source.m3u8", "000000099.ts.part", "StreamInfoBoot.xml"))]
    )


def test_a_link_in_the_bundle_is_not_followed(tmp_path: Path) -> None:
    own = lay_out("muxed-ts", tmp_path / "own.movpkg")
    name = f"{stream_of(own)}/000000000.ts"
    (own / name).unlink()
    (own / name).symlink_to(FIXTURES / "muxed-ts" / "master.m3u8")
    with serve(own) as running:
        request = f"GET /{running.token}/{name} HTTP/1.0\r\nHost: 127.0.0.1:{running.port}\r\n\r\n"
        assert exchange(running.port, request.encode()).status == 404


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
