"""httpx's own client over libcurl's connections: what a program sees that brings nothing but httpx."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.errors import HlsdlError, HttpError, PolicyError
from hlsdl.testing import Cut, Gzip, LocalAuthority, Redirect, ScriptedOrigin, Stall, Status
from hlsdl.transfer.curl_httpx import CurlTransport
from hlsdl.transfer.doors import Setback
from hlsdl.transfer.options import TransferOptions

BODY = b"G" + bytes(range(187))
LARGE = b"".join(number.to_bytes(4, "big") for number in range(1_500_000))


@pytest.fixture
async def client(origin: ScriptedOrigin) -> AsyncIterator[httpx.AsyncClient]:
    transport = CurlTransport.for_source(origin.url("/"), TransferOptions(proxy=""))
    async with httpx.AsyncClient(transport=transport, timeout=5.0) as made:
        yield made


async def test_one_connection_serves_request_after_request(origin: ScriptedOrigin, client: httpx.AsyncClient) -> None:
    url = origin.add("/a%2fb.ts?x=%7e", BODY, headers={"X-Name": "ü"})
    for _ in range(3):
        response = await client.get(url, headers={"X-Mine": "1"})
        assert (response.status_code, response.content, response.http_version) == (200, BODY, "HTTP/1.1")
        assert response.headers["content-type"] == "application/octet-stream"
    assert origin.connections == 1
    assert origin.requests[0].target == "/a%2fb.ts?x=%7e"
    assert origin.requests[0].headers["x-mine"] == "1"
    assert origin.requests[0].headers["user-agent"].startswith("python-httpx/")


async def test_many_at_once_come_whole(origin: ScriptedOrigin, client: httpx.AsyncClient) -> None:
    url = origin.add("/large", LARGE)
    answers = await asyncio.gather(*(client.get(url) for _ in range(6)))
    assert [answer.content for answer in answers] == [LARGE] * 6


async def test_decoding_cookies_statuses_and_redirects_are_httpxs(
    origin: ScriptedOrigin, client: httpx.AsyncClient
) -> None:
    text = origin.add("/a.txt", b"words " * 1000, headers={"Set-Cookie": "id=1; Path=/"})
    origin.script("/a.txt", Gzip())
    origin.add("/old", b"")
    origin.always("/old", Redirect(text))
    missing = origin.add("/missing", b"gone")
    origin.always("/missing", Status(404))
    assert (await client.get(text)).text == "words " * 1000
    assert (await client.get(origin.url("/old"))).status_code == 302
    assert (await client.get(origin.url("/old"), follow_redirects=True)).text == "words " * 1000
    assert origin.requests[-1].headers["cookie"] == "id=1"
    with pytest.raises(httpx.HTTPStatusError):
        (await client.get(missing)).raise_for_status()


async def test_a_redirect_goes_nowhere_that_the_first_request_might_not(
    origin: ScriptedOrigin, client: httpx.AsyncClient
) -> None:
    origin.add("/a", b"")
    for target in ("http://10.0.0.1/", "http://169.254.169.254/", "ftp://films.example/"):
        origin.always("/a", Redirect(target))
        with pytest.raises(httpx.UnsupportedProtocol) as caught:
            await client.get(origin.url("/a"), follow_redirects=True)
        assert isinstance(caught.value.__cause__, PolicyError | type(None))


async def test_a_body_that_is_left_takes_its_connection_with_it(
    origin: ScriptedOrigin, client: httpx.AsyncClient
) -> None:
    url, small = origin.add("/a", LARGE), origin.add("/b", BODY)
    origin.always("/a", Stall(after=2_000_000))
    async with client.stream("GET", url) as response:
        first = await anext(response.aiter_raw())
    assert LARGE.startswith(first)
    assert (await client.get(small)).content == BODY
    assert origin.connections == 2


@pytest.mark.parametrize(
    ("method", "settings"),
    [("POST", {"content": b"x"}), ("HEAD", {}), ("GET", {"content": b"x"}), ("GET", {"headers": {"Host": "other.example"}})],
)  # fmt: skip
async def test_anything_but_a_plain_get_is_refused_before_it_is_sent(
    origin: ScriptedOrigin, client: httpx.AsyncClient, method: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await client.request(method, origin.add("/a", BODY), **settings)
    assert origin.connections == 0


async def test_failures_are_httpxs_with_ours_behind_them(origin: ScriptedOrigin, client: httpx.AsyncClient) -> None:
    url = origin.add("/a", LARGE)
    origin.script("/a", Cut(after=1000), Stall(after=1000))
    with pytest.raises(httpx.ReadError) as cut:
        await client.get(url)
    with pytest.raises(httpx.ReadTimeout) as stalled:
        await client.get(url, timeout=0.4)
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}/?token=secret"
    with pytest.raises(httpx.ConnectError) as unreachable:
        await client.get(gone)
    for caught in (cut, stalled, unreachable):
        assert isinstance(caught.value.__cause__, HlsdlError | Setback)
        assert "secret" not in str(caught.value)
        assert caught.value.request.method == "GET"


async def test_certificates_are_checked(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a", BODY)
        for options, trusted in (
            (TransferOptions(proxy=""), False),
            (TransferOptions(proxy="", cacert=authority.ca_file), True),
        ):
            async with httpx.AsyncClient(transport=CurlTransport.for_source(url, options)) as client:
                if trusted:
                    assert (await client.get(url)).content == BODY
                else:
                    with pytest.raises(httpx.ConnectError, match="cannot be trusted") as caught:
                        await client.get(url)
                    assert isinstance(caught.value.__cause__, HttpError)


async def test_the_environments_proxy_is_used_when_nothing_else_is_said(origin: ScriptedOrigin) -> None:
    origin.add("http://films.example/a", BODY)
    transport = CurlTransport.for_source("http://films.example/", environment={"http_proxy": origin.url("")})
    async with httpx.AsyncClient(transport=transport) as client:
        assert (await client.get("http://films.example/a")).content == BODY
