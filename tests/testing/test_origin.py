"""The scripted origin is itself a thing people rely on: it behaves exactly as told."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.testing import (
    Behaviour,
    Chunked,
    CloseDelimited,
    Cut,
    Empty,
    Gzip,
    GzipBomb,
    HangUp,
    Hold,
    Html,
    IgnoreRange,
    LocalAuthority,
    Longer,
    Redirect,
    Reset,
    ScriptedOrigin,
    Serve,
    ShortRange,
    Stall,
    Status,
    Without,
    WrongRange,
)

BODY = bytes(range(256)) * 40


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as running:
        running.add("/a.ts", BODY)
        yield running


def get(
    origin: ScriptedOrigin, path: str = "/a.ts", method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(origin.host, origin.port, timeout=5)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response, response.read()


def test_an_object_is_served_with_type_and_validators(origin: ScriptedOrigin) -> None:
    response, body = get(origin)
    assert (response.status, body) == (200, BODY)
    assert response.headers["Content-Type"] == "video/mp2t"
    assert response.headers["ETag"].startswith('"')
    assert response.headers["Last-Modified"].endswith("GMT")


def test_one_connection_serves_many_requests(origin: ScriptedOrigin) -> None:
    connection = http.client.HTTPConnection(origin.host, origin.port, timeout=5)
    for _ in range(3):
        connection.request("GET", "/a.ts")
        assert connection.getresponse().read() == BODY
    assert {request.connection for request in origin.requests} == {1}


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("bytes=0-9", 0, 10), ("bytes=10000-", 10_000, 10_240), ("bytes=-5", 10_235, 10_240)]
)
def test_a_range_is_answered_with_206(origin: ScriptedOrigin, asked: str, start: int, end: int) -> None:
    response, body = get(origin, Range=asked)
    assert (response.status, body) == (206, BODY[start:end])
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(BODY)}"


def test_a_range_past_the_end_is_416(origin: ScriptedOrigin) -> None:
    response, _ = get(origin, Range="bytes=10240-")
    assert (response.status, response.headers["Content-Range"]) == (416, "bytes */10240")


def test_if_range_with_another_validator_gives_the_whole(origin: ScriptedOrigin) -> None:
    etag = get(origin)[0].headers["ETag"]
    assert get(origin, Range="bytes=5-9", If_Range=etag)[0].status == 206
    assert get(origin, Range="bytes=5-9", If_Range='"other"')[0].status == 200
    assert get(origin, Range="bytes=5-9", If_Range=f"W/{etag}")[0].status == 200


def test_head_has_no_body_and_other_methods_are_refused(origin: ScriptedOrigin) -> None:
    response, body = get(origin, method="HEAD")
    assert (response.status, response.headers["Content-Length"], body) == (200, "10240", b"")
    assert get(origin, method="POST")[0].status == 405


def test_a_range_is_for_get_alone(origin: ScriptedOrigin) -> None:
    response, _ = get(origin, method="HEAD", Range="bytes=0-9")
    assert (response.status, response.headers["Content-Length"]) == (200, str(len(BODY)))


@pytest.mark.parametrize(
    ("condition", "status"), [("{}", 304), ('"x", W/{}', 304), ("*", 304), ('"x"', 200), ('W/"x", "y"', 200)]
)
def test_what_the_client_has_is_not_sent_again(origin: ScriptedOrigin, condition: str, status: int) -> None:
    etag = get(origin)[0].headers["ETag"]
    assert get(origin, If_None_Match=condition.format(etag))[0].status == status


@pytest.mark.parametrize("size", [0, 5000, 2**20 + 1])
def test_a_bomb_is_as_large_as_told(origin: ScriptedOrigin, size: int) -> None:
    origin.always("/a.ts", GzipBomb(size, prefix=b"x"))
    assert gzip.decompress(get(origin)[1]) == b"x" + bytes(size)


def test_an_origin_that_was_closed_starts_again(origin: ScriptedOrigin) -> None:
    origin.close()
    assert get(origin.start())[1] == BODY


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_an_address_of_ipv6_is_one_in_urls() -> None:
    with ScriptedOrigin(host="::1") as origin:
        url = origin.add("/a.ts", BODY)
        assert url == f"http://[::1]:{origin.port}/a.ts"
        with urllib.request.urlopen(url, timeout=5) as response:
            assert response.read() == BODY


def test_a_path_with_a_behaviour_of_its_own_is_not_every_path(origin: ScriptedOrigin) -> None:
    origin.add("/b.ts", BODY)
    origin.script("*", Status(503))
    origin.always("*", Status(500))
    origin.always("/a.ts", Status(404))
    assert [get(origin, path)[0].status for path in ("/a.ts", "/b.ts", "/b.ts", "/a.ts")] == [404, 503, 500, 404]
    origin.always("/a.ts")
    assert get(origin)[0].status == 200


def test_what_is_not_there_is_404(origin: ScriptedOrigin) -> None:
    assert get(origin, "/b.ts")[0].status == 404


def test_an_object_serves_every_query_unless_added_with_one(origin: ScriptedOrigin) -> None:
    origin.add("/a.ts?token=1", b"special")
    assert get(origin, "/a.ts?token=1")[1] == b"special"
    assert get(origin, "/a.ts?token=2")[1] == BODY
    assert (origin.count("/a.ts"), origin.count("/a.ts?token=1")) == (2, 1)


def test_a_folder_is_served_and_nothing_outside_it(origin: ScriptedOrigin, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "an index.m3u8").write_bytes(b"#EXTM3U\n")
    (tmp_path / "secret").write_bytes(b"no")
    origin.add_folder(tmp_path / "in", at="/stream")
    response, body = get(origin, "/stream/an%20index.m3u8")
    assert (body, response.headers["Content-Type"]) == (b"#EXTM3U\n", "application/vnd.apple.mpegurl")
    assert get(origin, "/stream/%2e%2e/secret")[0].status == 404


def test_a_script_is_used_up_one_request_at_a_time(origin: ScriptedOrigin) -> None:
    origin.script("/a.ts", Status(503, headers={"Retry-After": "1"}), Serve(), Status(404))
    assert [get(origin)[0].status for _ in range(4)] == [503, 200, 404, 200]
    assert [request.status for request in origin.requests] == [503, 200, 404, 200]


def test_a_constant_behaviour_stays_until_taken_away(origin: ScriptedOrigin) -> None:
    origin.always("*", Status(500))
    assert [get(origin)[0].status, get(origin, "/b")[0].status] == [500, 500]
    origin.always("*")
    assert get(origin)[0].status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_body_is_noticed_by_the_client(origin: ScriptedOrigin, framing: str) -> None:
    origin.script("/a.ts", Cut(after=100, framing=framing))  # type: ignore[arg-type]
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(origin)
    assert caught.value.partial == BODY[:100]
    assert origin.requests[0].body_bytes_sent == 100


def test_a_cut_close_delimited_body_is_not_noticed(origin: ScriptedOrigin) -> None:
    origin.script("/a.ts", Cut(after=100, framing="close"))
    assert get(origin)[1] == BODY[:100]


def test_a_reset_is_a_reset(origin: ScriptedOrigin) -> None:
    origin.script("/a.ts", Reset(after=100))
    with pytest.raises(ConnectionResetError):
        get(origin)


def test_a_hang_up_gives_no_answer(origin: ScriptedOrigin) -> None:
    origin.script("/a.ts", HangUp())
    with pytest.raises(http.client.RemoteDisconnected):
        get(origin)


def test_a_held_answer_waits_for_the_event(origin: ScriptedOrigin) -> None:
    event = threading.Event()
    origin.script("/a.ts", Hold(event, after=10))
    connection = http.client.HTTPConnection(origin.host, origin.port, timeout=5)
    connection.request("GET", "/a.ts")
    response = connection.getresponse()
    assert response.read(10) == BODY[:10]
    assert origin.requests[0].body_bytes_sent == 10
    event.set()
    assert response.read() == BODY[10:]


def test_a_stalled_answer_does_not_keep_the_origin_alive() -> None:
    origin = ScriptedOrigin().start()
    origin.add("/a.ts", BODY)
    origin.script("/a.ts", Stall(after=10))
    connection = http.client.HTTPConnection(origin.host, origin.port, timeout=5)
    connection.request("GET", "/a.ts")
    assert connection.getresponse().read(10) == BODY[:10]
    origin.close()
    assert all(not thread.is_alive() for thread in origin._threads)


@pytest.mark.parametrize(
    ("behaviour", "status", "body"),
    [
        (Empty(), 200, b""),
        (Html(), 200, Html().body),
        (Chunked(), 200, BODY),
        (CloseDelimited(), 200, BODY),
        (Longer(), 200, BODY),
        (Redirect("/b"), 302, b""),
        (Gzip(), 200, gzip.compress(BODY, mtime=0)),
        (Gzip(cut=10), 200, gzip.compress(BODY, mtime=0)[:10]),
    ],
)
def test_a_bent_answer_is_what_it_says(origin: ScriptedOrigin, behaviour: Behaviour, status: int, body: bytes) -> None:
    origin.script("/a.ts", behaviour)
    response, received = get(origin)
    assert (response.status, received) == (status, body)


@pytest.mark.parametrize(
    ("behaviour", "status", "content_range", "body"),
    [
        (WrongRange(), 206, "bytes 11-19/10240", BODY[11:20]),
        (ShortRange(4), 206, "bytes 10-13/10240", BODY[10:14]),
        (IgnoreRange(), 200, None, BODY),
        (Without("Content-Range"), 206, None, BODY[10:20]),
    ],
)
def test_a_bent_range_is_what_it_says(
    origin: ScriptedOrigin, behaviour: Behaviour, status: int, content_range: str | None, body: bytes
) -> None:
    origin.script("/a.ts", behaviour)
    response, received = get(origin, Range="bytes=10-19")
    assert (response.status, response.headers["Content-Range"], received) == (status, content_range, body)


def test_tls_is_served_with_a_certificate_of_the_local_authority(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as origin:
        origin.add("/a.ts", BODY)
        trusted = ssl.create_default_context(cafile=str(authority.ca_file))
        connection = http.client.HTTPSConnection(origin.host, origin.port, timeout=5, context=trusted)
        connection.request("GET", "/a.ts")
        assert connection.getresponse().read() == BODY
        stranger = http.client.HTTPSConnection("127.0.0.1", origin.port, timeout=5)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/a.ts")


def test_an_expired_certificate_is_expired(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context(expired=True)) as origin:
        trusted = ssl.create_default_context(cafile=str(authority.ca_file))
        connection = http.client.HTTPSConnection(origin.host, origin.port, timeout=5, context=trusted)
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            connection.request("GET", "/a.ts")


def test_it_tells_when_every_connection_has_ended(origin: ScriptedOrigin) -> None:
    connection = http.client.HTTPConnection(origin.host, origin.port, timeout=5)
    connection.request("GET", "/a.ts")
    assert connection.getresponse().read() == BODY
    with pytest.raises(TimeoutError):
        origin.wait_for_end(timeout=0.1)
    connection.close()
    origin.wait_for_end()
