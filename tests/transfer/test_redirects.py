"""Conformance, part three: redirects and TLS. Where we go, and what goes with us."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlsdl.access.limits import Limits
from hlsdl.errors import HlsdlError, HttpError, PolicyError
from hlsdl.testing import (
    Behaviour,
    Cut,
    Headers,
    LocalAuthority,
    Redirect,
    Reset,
    ScriptedOrigin,
)
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink, Validator
from transfer.conftest import MakeClient, segment

BODY = b"".join(b"G" + n.to_bytes(4, "big") + bytes(183) for n in range(1000))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_and_the_final_url_is_told(
    origin: ScriptedOrigin, make_client: MakeClient, status: int
) -> None:
    url = origin.add("/deep/a.m3u8", b"#EXTM3U\n")
    origin.always("/a", Redirect("b?x=1", status))
    origin.always("/b", Redirect("/deep/a.m3u8", status))
    client = make_client(url)
    body = await client.read(origin.url("/a"), kind="playlist", limit=100)
    assert (body.data, body.url, body.requested_url) == (b"#EXTM3U\n", url, origin.url("/a"))


async def test_a_range_survives_a_redirect(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    origin.add("/a.ts", BODY, etag='"v1"')
    origin.always("/r", Redirect("/a.ts"))
    sink = MemorySink(BODY[:50_000], Validator(etag='"v1"', strong=True))
    limits = Limits(resume_from=1000)
    await make_client(origin.url("/"), limits=limits).fetch(segment(origin.url("/r")), sink)
    assert (sink.data, sink.restarts) == (BODY, 0)
    assert [request.headers["if-range"] for request in origin.requests] == ['"v1"', '"v1"']


async def test_ten_redirects_are_followed_and_eleven_are_not(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 40."""
    origin.add("/0", BODY)
    for n in range(1, 12):
        origin.always(f"/{n}", Redirect(f"/{n - 1}"))
    client = make_client(origin.url("/"))
    sink = MemorySink()
    await client.fetch(segment(origin.url("/10")), sink)
    assert sink.data == BODY
    with pytest.raises(PolicyError) as caught:
        await client.fetch(segment(origin.url("/11")), MemorySink())
    assert caught.value.code == 10
    origin.always("/loop", Redirect("/loop"))
    origin.clear_requests()
    with pytest.raises(PolicyError):
        await client.fetch(segment(origin.url("/loop")), MemorySink())
    assert origin.count("/loop") == 11


async def test_nothing_given_for_the_source_follows_a_redirect_to_another_origin(
    origin: ScriptedOrigin, make_client: MakeClient, tmp_path: Path
) -> None:
    """Row 41."""
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("127.0.0.1\tFALSE\t/\tFALSE\t0\tfile\tsecret\n")
    with ScriptedOrigin() as other:
        other.add("/a.ts", BODY)
        origin.always("/a.ts", Headers([("Set-Cookie", "set=secret; Path=/")]), Redirect(other.url("/a.ts")))
        origin.always("/back", Redirect("/home"))
        origin.add("/home", BODY)
        origin.always("/set", Headers([("Set-Cookie", "set=secret; Path=/; Domain=127.0.0.1")]))
        origin.add("/set", BODY)
        client = make_client(
            origin.url("/master.m3u8"),
            headers=(("Authorization", "Bearer secret"), ("X-Api-Key", "secret"), ("Cookie", "given=secret")),
            cookies_file=cookies,
            referer="http://page.example/?id=secret",
        )
        for path in ("/set", "/a.ts", "/back"):
            await client.fetch(segment(origin.url(path)), MemorySink())
        await client.fetch(segment(other.url("/a.ts")), MemorySink())
        asked_home = [str(request.headers) for request in origin.requests]
        asked_other = [str(request.headers) for request in other.requests]
    assert all(text.count("secret") >= 4 for text in asked_home)
    assert "set=secret" in asked_home[-1]
    assert len(asked_other) == 2
    assert not any("secret" in text for text in asked_other)


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "gopher://127.0.0.1/1", "javascript:alert(1)",
        "http://[bad", "http://user:secret@127.0.0.1/", "http://169.254.169.254/latest/", "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0:1/", "http://2852039166/", "http://10.0.0.1/", "http://localhost:1/", "http://[::1]:1/", "//[fe80::1]/",
    ],
)  # fmt: skip
async def test_a_redirect_to_where_we_must_not_go_is_refused(
    origin: ScriptedOrigin, make_client: MakeClient, target: str
) -> None:
    """Rows 42 and 44."""
    origin.always("/a.ts", Redirect(target))
    with pytest.raises(PolicyError) as caught:
        await make_client(origin.url("/")).fetch(segment(origin.url("/a.ts")), MemorySink())
    assert caught.value.code == 10
    assert "secret" not in f"{caught.value} {caught.value.url}"
    assert origin.count("/a.ts") == 1


async def test_no_packet_goes_to_a_refused_address(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 44, with a canary that would answer."""
    with ScriptedOrigin() as canary:
        canary.add("/a.ts", BODY)
        spellings = ("localhost", "[::ffff:127.0.0.1]", "127.0.0.2", "[::1]", "a.localhost")
        client = make_client(origin.url("/"))
        for host in spellings:
            url = canary.url("/a.ts", host=host)
            origin.always("/r", Redirect(url))
            for asked in (url, origin.url("/r")):
                with pytest.raises(PolicyError):
                    await client.fetch(segment(asked), MemorySink())
        assert canary.connections == 0


async def test_a_tls_origin_is_served_and_never_downgraded(
    origin: ScriptedOrigin, make_client: MakeClient, tmp_path: Path
) -> None:
    """Row 43."""
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a.ts", BODY)
        origin.add("/plain.ts", BODY)
        secure.always("/down", Redirect(origin.url("/plain.ts")))
        client = make_client(url, cacert=authority.ca_file)
        sink = MemorySink()
        await client.fetch(segment(url), sink)
        assert sink.data == BODY
        with pytest.raises(PolicyError):
            await client.fetch(segment(secure.url("/down")), MemorySink())
        assert origin.requests == []
        sink = MemorySink()
        await make_client(url, insecure=True).fetch(segment(secure.url("/down")), sink)
        assert sink.data == BODY
        with pytest.raises(PolicyError):
            await make_client(url, insecure=True, require_https=True).fetch(segment(secure.url("/down")), MemorySink())


@pytest.mark.parametrize("fault", ["expired", "wrong host", "unknown authority"])
async def test_a_certificate_that_cannot_be_trusted_is_final(
    make_client: MakeClient, tmp_path: Path, fault: str
) -> None:
    """Row 47."""
    authority = LocalAuthority(tmp_path)
    hosts = ("elsewhere.example",) if fault == "wrong host" else ("127.0.0.1",)
    with ScriptedOrigin(tls=authority.server_context(*hosts, expired=fault == "expired")) as secure:
        url = secure.add("/a.ts", BODY)
        client = make_client(url, cacert=None if fault == "unknown authority" else authority.ca_file)
        with pytest.raises(HttpError) as caught:
            await client.fetch(segment(url), MemorySink())
        assert (caught.value.code, caught.value.retryable, secure.connections) == (4, False, 1)
        assert ("clock" if fault == "expired" else "--cacert") in (caught.value.hint or "")
        sink = MemorySink()
        await make_client(url, insecure=True).fetch(segment(url), sink)
        assert sink.data == BODY


@pytest.mark.parametrize("fault", [Cut(after=1000), Reset(after=1000), Cut(after=1000, framing="chunked")], ids=str)
async def test_a_tls_body_that_ends_without_goodbye_is_a_cut_body(
    make_client: MakeClient, tmp_path: Path, fault: Behaviour
) -> None:
    """Row 48."""
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a.ts", BODY)
        secure.script("/a.ts", fault)
        sink = MemorySink()
        await make_client(url, cacert=authority.ca_file).fetch(segment(url), sink)
        assert (sink.data, secure.count("/a.ts")) == (BODY, 2)


async def test_plain_http_on_a_tls_port_and_tls_on_a_plain_port_are_clear_errors(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    origin.add("/a.ts", BODY)
    url = origin.url("/a.ts").replace("http:", "https:")
    with pytest.raises(HlsdlError) as caught:
        await make_client(url, timeout=0.3, retry=RetryPolicy(retries=1)).fetch(segment(url), MemorySink())
    assert caught.value.code in {3, 4}


async def test_a_client_certificate_is_shown_when_asked_for(make_client: MakeClient, tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context("127.0.0.1", ask_client_certificate=True)) as secure:
        url = secure.add("/a.ts", BODY)
        mine = authority.certificate("me", client=True)
        sink = MemorySink()
        await make_client(url, cacert=authority.ca_file, client_cert=mine).fetch(segment(url), sink)
        assert sink.data == BODY
        without = make_client(url, cacert=authority.ca_file, retry=RetryPolicy(retries=1))
        with pytest.raises(HlsdlError):
            await without.fetch(segment(url), MemorySink())
