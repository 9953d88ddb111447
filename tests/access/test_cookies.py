"""cookies.txt and Set-Cookie are read as browsers write them."""

from __future__ import annotations

import pytest

from hlsdl.access.cookies import Cookie, are_cookies, read_cookies_txt, read_set_cookie
from hlsdl.access.urls import read_url
from hlsdl.errors import UsageError

FILE = """# Netscape HTTP Cookie File
# https://curl.se/docs/http-cookies.html

.video.example\tTRUE\t/\tTRUE\t0\tsession\ts-value
#HttpOnly_video.example\tFALSE\t/watch\tFALSE\t2000000000\thttponly\th-value
video.example\tFALSE\t/\tFALSE\t1000\texpired\te-value
video.example\tFALSE\t/\tFALSE\t\tblank\tb=value==
"""


@pytest.mark.parametrize("path", ["/tmp/a=b/cookies.txt", "~/a=b.txt", "./a=b", "../a=b", ".config/a=b", "cookies.txt"])
def test_what_begins_as_only_a_path_does_is_taken_for_no_cookies(path: str) -> None:
    assert not are_cookies(path)


@pytest.mark.parametrize("cookies", ["id=s", ".ASPXAUTH=s", "~id=s/t", "Cookie: id=s; path=/", "id=/s"])
def test_cookies_are_known_as_such_whatever_they_begin_with(cookies: str) -> None:
    assert are_cookies(cookies)


def test_a_netscape_file_is_read_with_sessions_kept_and_expired_ones_left_out() -> None:
    cookies = {cookie.name: cookie for cookie in read_cookies_txt(FILE, now=1_700_000_000.0)}
    assert list(cookies) == ["session", "httponly", "blank"]
    session = cookies["session"]
    assert (session.domain, session.host_only, session.secure, session.expires) == ("video.example", False, True, None)
    assert (cookies["httponly"].path, cookies["httponly"].host_only) == ("/watch", True)
    assert cookies["blank"].value == "b=value=="


def test_windows_line_ends_are_fine() -> None:
    assert len(read_cookies_txt(FILE.replace("\n", "\r\n"), now=0.0)) == 4


@pytest.mark.parametrize(
    "line",
    [
        "video.example TRUE / TRUE 0 a secret",
        "a\tb\tc",
        "d\tTRUE\t/\tTRUE\tsoon\tn\tsecret",
        "d\tTRUE\t/\tTRUE\t.\tn\tsecret",
        "d\tTRUE\t/\tTRUE\t-\tn\tsecret",
        "d\tTRUE\t/\tTRUE\t0\tn\tsecret\tx",
    ],
)
def test_a_line_that_is_no_cookie_is_named_and_not_shown(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_cookies_txt(f"# ok\n{line}\n", now=0.0)
    assert "line 2" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_value_that_would_inject_a_header_is_refused() -> None:
    with pytest.raises(UsageError):
        read_cookies_txt("d\tTRUE\t/\tTRUE\t0\tn\ta\x0bb\x01", now=0.0)


@pytest.mark.parametrize(
    ("cookie", "url", "expected"),
    [
        ({"domain": "a.example"}, "https://a.example/", True),
        ({"domain": "a.example"}, "https://b.a.example/", False),
        ({"domain": "a.example", "host_only": False}, "https://b.a.example/", True),
        ({"domain": "a.example", "host_only": False}, "https://ba.example/", False),
        ({"domain": "0.0.1", "host_only": False}, "https://127.0.0.1/", False),
        ({"domain": "a.example", "secure": True}, "http://a.example/", False),
        ({"domain": "a.example", "path": "/x"}, "https://a.example/x/y?z", True),
        ({"domain": "a.example", "path": "/x"}, "https://a.example/xy", False),
        ({"domain": "a.example", "path": "/x/"}, "https://a.example/x/y", True),
        ({"domain": "a.example", "path": "/x/"}, "https://a.example/x", False),
        ({"domain": "a.example", "expires": 99.0}, "https://a.example/", False),
        ({"domain": "a.example", "expires": 101.0}, "https://a.example/", True),
    ],
)
def test_a_cookie_goes_where_rfc_6265_sends_it(cookie: dict[str, object], url: str, expected: bool) -> None:
    assert Cookie(name="n", value="v", **cookie).suits(read_url(url), 100.0) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a=b", ("a", "b", "/x", None)),
        ("a=b=c; Path=/; HttpOnly", ("a", "b=c", "/", None)),
        (" a = b ;path=rel", ("a", "b", "/x", None)),
        ("a=; Max-Age=60", ("a", "", "/x", 160.0)),
        ("a=b; Max-Age=-5", ("a", "b", "/x", 0.0)),
        ("a=b; Expires=Thu, 01 Jan 1970 00:02:00 GMT", ("a", "b", "/x", 120.0)),
        ("a=b; Expires=whenever", ("a", "b", "/x", None)),
        ("novalue", None),
        ("=b", None),
        ("a b=c", None),
        ("a=b\x01", None),
    ],
)
def test_set_cookie_is_read(header: str, expected: tuple[object, ...] | None) -> None:
    cookie = read_set_cookie(header, read_url("https://a.example/x/y"), now=100.0)
    assert (cookie and (cookie.name, cookie.value, cookie.path, cookie.expires)) == expected


def test_a_cookie_is_never_shown() -> None:
    assert "secret" not in repr(Cookie(name="a", value="secret", domain="b"))
