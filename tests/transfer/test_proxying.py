"""Through proxies on real sockets, with libcurl and with httpx: who is asked for what, who sees which secret."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from hlsdl.errors import HlsdlError, HttpError, NetworkError, PolicyError
from hlsdl.testing import LocalAuthority, Redirect, ScriptedOrigin, Status
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment
from transfer.doors import FakeClock
from transfer.scripted_proxy import ScriptedProxy, scripted_proxy

BODY = b"G" + bytes(20_000)
HTTP, HTTPS = "http://films.example", "https://films.example"
KINDS = ["http", "https", "socks5", "socks5h"]
ME = ("me", "se:cr@et")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return LocalAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: LocalAuthority) -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin(tls=authority.server_context("films.example")) as running:
        yield running


@pytest.fixture(params=["libcurl", "httpx"])
async def client(
    request: pytest.FixtureRequest, authority: LocalAuthority, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Callable[..., Client]]:
    """`client(proxy, …)`: one for `films.example`, a name that nobody resolves but the proxy."""
    caplog.set_level(logging.DEBUG)
    async with AsyncExitStack() as stack:

        def make(
            proxy: str | None, *, source: str = HTTP, environment: Mapping[str, str] | None = None, **changes: Any
        ) -> Client:
            given = {"timeout": 5.0, "retries": 1, "cacert": authority.ca_file, **changes}
            options = TransferOptions(proxy=proxy, transport=request.param, **given)
            made = Client(options, f"{source}/master.m3u8", clock=FakeClock(), environment=environment or {})
            stack.push_async_exit(made)
            return made

        yield make
    assert "cr@et" not in caplog.text
    assert "cr%40et" not in caplog.text


MakeClient = Callable[..., Client]


@pytest.fixture
async def start(origin: ScriptedOrigin, secure: ScriptedOrigin, authority: LocalAuthority) -> AsyncIterator[Any]:
    """`await start(kind, …)`: a proxy behind which `films.example` is our origin, by http and by https."""
    names = {
        "films.example:80": ("127.0.0.1", origin.port),
        "films.example:443": ("127.0.0.1", secure.port),
        f"127.0.0.1:{origin.port}": ("127.0.0.1", origin.port),
    }
    async with AsyncExitStack() as stack:

        async def run(kind: Any, **settings: Any) -> ScriptedProxy:
            tls = authority.server_context() if kind == "https" else None
            return await stack.enter_async_context(scripted_proxy(kind, names, tls=tls, **settings))

        yield run


async def fetched(client: Client, url: str) -> bytes:
    sink = MemorySink()
    await client.fetch(segment(url), sink)
    assert sink.length_verified
    return sink.data


async def failure(client: Client, url: str) -> HlsdlError:
    with pytest.raises(HlsdlError) as caught:
        await client.fetch(segment(url), MemorySink())
    assert "cr@et" not in f"{caught.value}{caught.value.hint}{caught.value!r}"
    return caught.value


def signed_in(proxy: ScriptedProxy, user: str = "me", password: str = "se%3Acr%40et") -> str:
    return proxy.url.replace("://", f"://{user}:{password}@")


# -- who is asked for what -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "https"])
async def test_an_http_proxy_is_asked_for_the_whole_url_as_it_is_written(
    origin: ScriptedOrigin, start: Any, client: MakeClient, kind: str
) -> None:
    target = "/a%2fb/../c.ts?sig=%2b%7e"
    origin.add(target, BODY)
    proxy = await start(kind)
    one = client(proxy.url)
    for _ in range(3):
        assert await fetched(one, f"{HTTP}{target}") == BODY
    assert proxy.asked == [f"GET {HTTP}{target}"] * 3
    assert origin.requests[0].target == target
    assert origin.requests[0].headers["host"] == "films.example"


@pytest.mark.parametrize("kind", ["http", "https"])
async def test_an_https_origin_is_reached_by_a_tunnel_that_sees_nothing(
    secure: ScriptedOrigin, start: Any, client: MakeClient, kind: str
) -> None:
    secure.add("/a.ts", BODY)
    proxy = await start(kind, sign_in=ME)
    options = {"headers": (("Authorization", "Bearer secret"), ("Cookie", "id=secret")), "user_agent": "Mine/1"}
    one = client(signed_in(proxy), source=HTTPS, **options)
    for _ in range(3):
        assert await fetched(one, f"{HTTPS}/a.ts") == BODY
    assert proxy.asked == ["CONNECT films.example:443"]
    assert "secret" not in proxy.heads[0]
    assert secure.connections == 1
    for request in secure.requests:
        assert request.headers["authorization"] == "Bearer secret"
        assert not [name for name in request.headers if name.startswith("proxy-")]


@pytest.mark.parametrize("kind", ["socks5", "socks5h"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_socks_proxy_is_given_the_name(  # noqa: PLR0917 - fixtures and parameters
    origin: ScriptedOrigin, secure: ScriptedOrigin, start: Any, client: MakeClient, kind: str, scheme: str
) -> None:
    for each in (origin, secure):
        each.add("/a.ts", BODY)
    proxy = await start(kind, sign_in=ME)
    one = client(signed_in(proxy))
    for _ in range(2):
        assert await fetched(one, f"{scheme}://films.example/a.ts") == BODY
    assert proxy.asked == [f"SOCKS films.example:{80 if scheme == 'http' else 443}"]


async def test_the_origins_certificate_is_checked_through_a_tunnel(
    authority: LocalAuthority, tmp_path: Path, client: MakeClient
) -> None:
    stranger = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=stranger.server_context("films.example")) as other:
        other.add("/a.ts", BODY)
        async with scripted_proxy("http", {"films.example:443": ("127.0.0.1", other.port)}) as proxy:
            error = await failure(client(proxy.url, source=HTTPS), f"{HTTPS}/a.ts")
            assert isinstance(error, HttpError)
            assert "cannot be trusted" in error.message
            assert other.requests == []


async def test_the_proxys_own_certificate_is_checked(
    origin: ScriptedOrigin, tmp_path: Path, client: MakeClient
) -> None:
    origin.add("/a.ts", BODY)
    names = {"films.example:80": ("127.0.0.1", origin.port)}
    async with scripted_proxy("https", names, tls=LocalAuthority(tmp_path).server_context()) as proxy:
        error = await failure(client(proxy.url), f"{HTTP}/a.ts")
        assert isinstance(error, HttpError)
        assert "cannot be trusted" in error.message
        assert proxy.asked == []
        assert await fetched(client(proxy.url, insecure=True), f"{HTTP}/a.ts") == BODY


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "https"])
@pytest.mark.parametrize("url", [f"{HTTP}/a.ts", f"{HTTPS}/a.ts"])
@pytest.mark.parametrize("refusal", ["no sign-in", "wrong sign-in", 403])
async def test_a_proxy_that_refuses_is_asked_once(
    start: Any, client: MakeClient, kind: str, url: str, refusal: str | int
) -> None:
    proxy = await start(kind, sign_in=None if refusal == 403 else ME, refusal=403)
    given = signed_in(proxy, password="wrongcr%40et") if refusal == "wrong sign-in" else proxy.url
    error = await failure(client(given), url)
    assert isinstance(error, HttpError)
    assert error.http_status == (403 if refusal == 403 else 407)
    assert error.hint is not None
    assert len(proxy.asked) == 1
    if refusal != 403:
        assert "proxy" in error.hint


@pytest.mark.parametrize("url", [f"{HTTP}/a.ts", f"{HTTPS}/a.ts"])
@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_proxy_that_cannot_reach_the_origin_is_asked_again(
    start: Any, client: MakeClient, url: str, status: int
) -> None:
    proxy = await start("http", refusal=status)
    one = client(proxy.url)
    error = await failure(one, url)
    assert isinstance(error, NetworkError)
    assert error.retryable
    assert len(proxy.asked) == 2
    assert error.message == f"the {'proxy' if url.startswith('https') else 'server'} answers {status}"


async def test_a_status_of_the_origin_is_no_refusal_of_the_proxy(
    secure: ScriptedOrigin, start: Any, client: MakeClient
) -> None:
    secure.add("/a.ts", BODY)
    secure.always("/a.ts", Status(403))
    proxy = await start("http")
    error = await failure(client(proxy.url, source=HTTPS), f"{HTTPS}/a.ts")
    assert (type(error), error.http_status) == (HttpError, 403)
    assert error.message == "the server answers 403"
    assert secure.count("/a.ts") == 1


@pytest.mark.parametrize("refusal", ["wrong sign-in", "no sign-in", 2, 5])
async def test_a_socks_proxy_that_refuses_is_no_defect(start: Any, client: MakeClient, refusal: str | int) -> None:
    is_number = isinstance(refusal, int)
    proxy = await start("socks5", sign_in=None if is_number else ME, refusal=refusal if is_number else None)
    given = signed_in(proxy, password="wrongcr%40et") if refusal == "wrong sign-in" else proxy.url
    error = await failure(client(given), f"{HTTP}/a.ts")
    assert isinstance(error, NetworkError | HttpError)
    assert "proxy" in error.message


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05", b"\x05\x00\x05", b"\x04\x5a", b""])
async def test_what_speaks_no_socks_is_no_defect_of_ours(client: MakeClient, said: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        for sign_in in ("", "me:se%3Acr%40et@"):
            url = f"socks5://{sign_in}127.0.0.1:{server.sockets[0].getsockname()[1]}"
            error = await failure(client(url), f"{HTTP}/a.ts")
            assert isinstance(error, NetworkError | HttpError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("url", [f"{HTTP}/a.ts", f"{HTTPS}/a.ts"])
async def test_a_proxy_that_is_not_there_is_said_to_be_the_trouble(client: MakeClient, kind: str, url: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        port = nobody.getsockname()[1]
    error = await failure(client(f"{kind}://me:se%3Acr%40et@127.0.0.1:{port}"), url)
    assert isinstance(error, NetworkError)
    assert "proxy" in error.message
    assert "--proxy" in (error.hint or "")


async def test_a_proxy_whose_name_is_unknown_is_said_to_be_the_trouble(client: MakeClient) -> None:
    error = await failure(client("http://me:se%3Acr%40et@proxy.invalid:3128"), f"{HTTP}/a.ts")
    assert isinstance(error, NetworkError)
    assert "proxy" in error.message


@pytest.mark.parametrize(
    ("kind", "url"), [("http", f"{HTTPS}/a.ts"), ("socks5", f"{HTTP}/a.ts"), ("http", f"{HTTP}/a.ts")]
)
async def test_a_proxy_that_never_answers_is_given_up(start: Any, client: MakeClient, kind: str, url: str) -> None:
    proxy = await start(kind, silent=True)
    error = await failure(client(proxy.url, timeout=1.0, stall_timeout=1.0, retries=0), url)
    assert isinstance(error, NetworkError)
    assert len(proxy.asked) == 1


# -- the environment -----------------------------------------------------------------------------------------------


async def test_the_environment_chooses_by_scheme(
    origin: ScriptedOrigin, secure: ScriptedOrigin, start: Any, client: MakeClient
) -> None:
    for each in (origin, secure):
        each.add("/a.ts", BODY)
    plain, tls = await start("http"), await start("socks5h", sign_in=ME)
    one = client(None, environment={"http_proxy": plain.url, "HTTPS_PROXY": signed_in(tls)})
    assert await fetched(one, f"{HTTP}/a.ts") == BODY
    assert await fetched(one, f"{HTTPS}/a.ts") == BODY
    assert plain.asked == [f"GET {HTTP}/a.ts"]
    assert tls.asked == ["SOCKS films.example:443"]


@pytest.mark.parametrize("exempt", ["127.0.0.1", "127.0.0.0/8", "*"])
async def test_who_is_exempt_is_asked_directly_and_hears_nothing_of_the_proxy(
    origin: ScriptedOrigin, start: Any, client: MakeClient, exempt: str
) -> None:
    url = origin.add("/b.ts", BODY)
    proxy = await start("http", sign_in=ME)
    one = client(None, source=origin.url(""), environment={"all_proxy": signed_in(proxy), "no_proxy": exempt})
    assert await fetched(one, url) == BODY
    assert proxy.asked == []


async def test_a_redirect_out_of_the_proxy_leaves_the_sign_in_behind(
    origin: ScriptedOrigin, start: Any, client: MakeClient
) -> None:
    """One handle of libcurl serves both hops; nothing of the first may stay on it."""
    url = origin.add("/b.ts", BODY)
    origin.add("/a.ts", b"")
    origin.always("/a.ts", Redirect(url))
    proxy = await start("http", sign_in=ME)
    one = client(
        None,
        source=origin.url(""),
        environment={"all_proxy": signed_in(proxy), "no_proxy": "127.0.0.1"},
    )
    for _ in range(2):
        assert await fetched(one, f"{HTTP}/a.ts") == BODY
    assert proxy.asked == [f"GET {HTTP}/a.ts"] * 2
    direct = [request for request in origin.requests if request.path == "/b.ts"]
    assert len(direct) == 2
    assert all("proxy-authorization" not in request.headers for request in direct)
    assert all(request.target == "/b.ts" for request in direct)


async def test_what_must_not_be_asked_for_is_not_asked_for_through_a_proxy_either(
    start: Any, client: MakeClient
) -> None:
    proxy = await start("http")
    one = client(proxy.url)
    for url in ("http://10.0.0.1/a.ts", "http://localhost/a.ts", "http://169.254.169.254/"):
        with pytest.raises(PolicyError):
            await fetched(one, url)
    assert proxy.asked == []
