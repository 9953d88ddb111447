"""What does not reach the media: other hosts, other origins, other methods, no token, ways out of the bundle."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

import hlsdl.player.protocol
from hlsdl.player import Serving, serve

from .bundles import FIXTURES, NEVER_SERVED, lay_out, stream_of
from .raw import Answer, assert_no_media, exchange

Ask = Callable[..., Answer]


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
