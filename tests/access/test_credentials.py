"""Headers and cookies stay with the origin they were given for (S1), whatever redirects or playlists say."""

from __future__ import annotations

from itertools import product

import pytest

from hlsdl.access.cookies import Cookie
from hlsdl.access.credentials import CookieJar, Credentials
from hlsdl.access.limits import Limits
from hlsdl.access.urls import read_url
from hlsdl.errors import UsageError

ORIGINS = {
    "same": "https://video.example",
    "sub": "https://cdn.video.example",
    "other": "https://video.example.evil",
    "port": "https://video.example:8443",
    "scheme": "http://video.example",
}
SECRETS = ("Bearer secret", "key-secret", "a=cookie-secret", "b=cookie-secret")


def given(source: str, **changes: object) -> Credentials:
    settings: dict[str, object] = {
        "sources": [read_url(f"{source}/master.m3u8")],
        "headers": (("Authorization", "Bearer secret"), ("X-Api-Key", "key-secret"), ("Cookie", "a=cookie-secret")),
        "cookies": (Cookie(name="b", value="cookie-secret", domain="video.example", host_only=False),),
        **changes,
    }
    return Credentials.given(**settings)  # type: ignore[arg-type]


def sent(credentials: Credentials, url: str) -> str:
    return "\n".join(f"{name}: {value}" for name, value in credentials.headers_for(read_url(url), now=0.0))


@pytest.mark.parametrize(("source", "target"), list(product(ORIGINS, repeat=2)))
@pytest.mark.parametrize("path", ["/segment.ts", "/key", "/subtitle.vtt", "/init.mp4", "/redirect?to=x"])
def test_only_the_sources_own_origin_gets_its_secrets(source: str, target: str, path: str) -> None:
    text = sent(given(ORIGINS[source]), ORIGINS[target] + path)
    if source == target:
        assert "Bearer secret" in text
        assert "key-secret" in text
        assert "a=cookie-secret" in text
    else:
        assert "secret" not in text


def test_a_trusted_host_gets_them_too_on_any_port_but_not_in_the_clear() -> None:
    credentials = given("https://video.example", trusted_origins=("CDN.video.example",))
    for url in ("https://cdn.video.example/a", "https://cdn.video.example:9443/a"):
        assert "Bearer secret" in sent(credentials, url)
    for url in ("http://cdn.video.example/a", "https://x.cdn.video.example/a", "https://ncdn.video.example/a"):
        assert "secret" not in sent(credentials, url)


def test_a_trusted_host_gets_them_in_the_clear_when_the_source_is_in_the_clear() -> None:
    credentials = given("http://video.example", trusted_origins=("cdn.example",))
    assert "Bearer secret" in sent(credentials, "http://cdn.example/a")


@pytest.mark.parametrize(
    ("trusted", "url", "expected"),
    [
        ("cdn.example:8443", "https://cdn.example:8443/", True),
        ("cdn.example:8443", "https://cdn.example/", False),
        ("https://cdn.example", "https://cdn.example/", True),
        ("https://cdn.example", "https://cdn.example:444/", False),
        ("[2001:DB8::1]", "https://[2001:db8::1]:1/", True),
        ("[2001:DB8:0:0::1]", "https://[2001:db8::1]/", True),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
        ("CDN.Example.", "https://cdn.example/", True),
    ],
)
def test_a_trusted_origin_may_name_its_port(trusted: str, url: str, expected: bool) -> None:
    text = sent(given("https://video.example", trusted_origins=(trusted,)), url)
    assert ("Bearer secret" in text) is expected


@pytest.mark.parametrize(
    "trusted", ["", "https://", "a/b", "a b", "user@host", "*:x", "*.example", "[::", "[1]", "host:port"]
)
def test_what_is_no_host_cannot_be_trusted(trusted: str) -> None:
    with pytest.raises(UsageError):
        given("https://video.example", trusted_origins=(trusted,))


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "a\r\nX-B: b"), ("X-A", "a\nb"), ("X-A", "a\0b"), ("X A", "b"), ("", "b"), ("X-A:", "b"), ("X-Ä", "b")],
)
def test_a_header_that_would_inject_another_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        given("https://video.example", headers=((name, value),))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "name", ["Host", "range", "If-Range", "Accept-Encoding", "Content-Length", "Transfer-Encoding"]
)
def test_a_header_that_the_engine_sets_itself_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        given("https://video.example", headers=((name, "x"),))


@pytest.mark.parametrize("given_as", ["headers", "user_agent", "referer"])
def test_bytes_that_are_no_text_cannot_be_sent(given_as: str) -> None:
    value: object = (("X-A", "a\udcff"),) if given_as == "headers" else "a\udcff"
    with pytest.raises(UsageError, match="cannot be sent"):
        given("https://video.example", **{given_as: value})


def test_the_user_agent_goes_everywhere_however_it_was_given() -> None:
    for credentials in (
        given("https://video.example", user_agent="Player/1"),
        given("https://video.example", headers=(("user-agent", "Player/1"),)),
    ):
        assert "User-Agent: Player/1" in sent(credentials, "https://other.example/")


def test_the_referer_is_whole_at_home_and_a_bare_origin_elsewhere() -> None:
    credentials = given("https://video.example", referer="https://page.example/watch?id=secret")
    assert "Referer: https://page.example/watch?id=secret" in sent(credentials, "https://video.example/a")
    assert "Referer: https://page.example/" in sent(credentials, "https://cdn.example/a").splitlines()
    assert "Referer" not in sent(credentials, "http://cdn.example/a")


def test_a_cookie_of_the_file_needs_the_right_origin_and_the_right_domain() -> None:
    cookies = (
        Cookie(name="mine", value="1", domain="video.example"),
        Cookie(name="theirs", value="2", domain="bank.example", host_only=False),
    )
    credentials = given("https://video.example", headers=(), cookies=cookies)
    assert "Cookie: mine=1" in sent(credentials, "https://video.example/a").splitlines()
    assert "Cookie" not in sent(credentials, "https://bank.example/a")


def test_what_an_origin_sets_goes_back_to_it_alone() -> None:
    jar = CookieJar(Limits())
    home = read_url("https://video.example/a/b")
    jar.store(home, ["s=1; Path=/", "d=2; Domain=video.example; Path=/", "p=3; Domain=example"], now=0.0)
    for origin in ORIGINS.values():
        kept = jar.cookies_of(read_url(f"{origin}/a/x"))
        assert bool(kept) is (origin == "https://video.example")
    headers = dict(Credentials().headers_for(home, now=0.0, kept=jar.cookies_of(home)))
    assert headers["Cookie"] == "s=1; d=2; p=3"


def test_a_later_value_replaces_an_earlier_one_and_an_expired_one_deletes_it() -> None:
    jar = CookieJar(Limits())
    home = read_url("https://video.example/")
    jar.store(home, ["s=1", "s=2", "t=1"], now=100.0)
    jar.store(home, ["t=1; Max-Age=0"], now=100.0)
    assert [(cookie.name, cookie.value) for cookie in jar.cookies_of(home)] == [("s", "2")]


def test_the_jar_is_bounded_at_its_limits() -> None:
    jar = CookieJar(Limits(cookies_per_origin=3, cookie_origins=2, cookie_bytes=10))
    home = read_url("https://video.example/")
    jar.store(home, [f"c{n}={n}" for n in range(10_000)], now=0.0)
    assert [cookie.name for cookie in jar.cookies_of(home)] == ["c9997", "c9998", "c9999"]
    jar.store(home, ["abc=123456", "abcd=123456"], now=0.0)
    assert "abc" in {cookie.name for cookie in jar.cookies_of(home)}
    assert "abcd" not in {cookie.name for cookie in jar.cookies_of(home)}
    for name in ("b", "c"):
        jar.store(read_url(f"https://{name}.example/"), ["x=1"], now=0.0)
    assert jar.cookies_of(home) == ()


def test_nothing_secret_is_shown() -> None:
    credentials = given("https://video.example", referer="https://page.example/?id=secret")
    jar = CookieJar(Limits())
    jar.store(read_url("https://video.example/"), ["s=secret"], now=0.0)
    shown = repr(credentials) + repr(jar) + repr(jar.cookies_of(read_url("https://video.example/")))
    assert not any(secret in shown for secret in (*SECRETS, "secret"))
