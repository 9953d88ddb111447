"""One reading of a URL: what is judged is what is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlsdl.access.urls import is_file_url, join_location, read_url
from hlsdl.errors import LimitError, PolicyError


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("http://Example.com", "http://example.com/"),
        ("HTTPS://example.com:443/a", "https://example.com/a"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("http://example.com:/a", "http://example.com/a"),
        ("http://example.com?x=1", "http://example.com/?x=1"),
        ("http://example.com/a b/ü?q=ö#part", "http://example.com/a%20b/%C3%BC?q=%C3%B6"),
        ("http://example.com/%7Ea/%2e%2E/b|c'd\"e{f}?x=[1]^", "http://example.com/%7Ea/%2e%2E/b|c'd\"e{f}?x=[1]^"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("  http://example.com/a  ", "http://example.com/a"),
        ("http://example.com/a\udcff", "http://example.com/a%ED%B3%BF"),
    ],
)
def test_a_url_is_normalised_and_its_path_left_as_spelled(written: str, text: str) -> None:
    url = read_url(written)
    assert url.text == text
    assert url.text.isascii()
    assert read_url(url.text) == url


@pytest.mark.parametrize(
    "written",
    [
        "file:///etc/passwd", "FILE:///etc/passwd", "ftp://example.com/a", "data:text/plain,x", "gopher://a/1", "javascript:1",
        "concat:http://a|http://b", "subfile,,start,0,end,0,,:/etc/passwd", "//example.com/a", "/a", "", "a.ts", "http:",
        "http:/example.com", "http:///a", "http://", "http://?x", "http:\\\\example.com\\a", "http://example.com\\@evil/",
        "http://user@example.com/", "http://user:secret@example.com/", "http://a@b@c/", "http://example.com:0/",
        "http://example.com:65536/", "http://example.com:99999999/", "http://example.com:80a/", "http://example.com:-1/",
        "http://[bad", "http://[::1]evil/", "http://exa mple.com/", "http://%65xample.com/", "http://example.com\n/",
        "http://example.com/\r\nX: y", "http://example.com/a\x00b", "http://example.com/\x7f", "http://example.com/\u2028",
        "http://ex\tample.com/", "ht\ntp://example.com", "view-source:http://a/", "unix:/run/x", "httpx://a/",
    ],
)  # fmt: skip
def test_a_url_that_must_not_be_asked_for_is_refused(written: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_url(written)
    assert "secret" not in f"{caught.value} {caught.value.url}"


def test_a_url_may_be_as_long_as_the_limit_and_no_longer() -> None:
    longest = "http://example.com/" + "a" * (8192 - 19)
    assert read_url(longest).text == longest
    with pytest.raises(LimitError):
        read_url(longest + "a")


def test_the_authority_leaves_out_the_schemes_own_port() -> None:
    assert read_url("https://a:443/").authority == "a"
    assert read_url("https://a:80/").authority == "a:80"
    assert read_url("http://[::1]:80/").authority == "[::1]"


def test_a_url_shows_no_secrets() -> None:
    url = read_url("https://example.com/a?token=secret")
    assert "secret" not in repr(url)


@pytest.mark.parametrize(
    ("location", "resolved"),
    [
        ("/b", "http://example.com/b"),
        ("c?x", "http://example.com/a/c?x"),
        ("//other/d", "http://other/d"),
        ("https://x/ü".encode().decode("latin-1"), "https://x/ü"),
        ("https://x/\xfc", "https://x/ü"),
        (" /e ", "http://example.com/e"),
    ],
)
def test_a_location_is_resolved_against_where_it_came_from(location: str, resolved: str) -> None:
    assert join_location(read_url("http://example.com/a/b"), location) == resolved


def test_a_malformed_location_is_a_policy_error_not_a_crash() -> None:
    with pytest.raises(PolicyError):
        join_location(read_url("http://example.com/"), "http://[bad")


PIECES = st.sampled_from(
    [
        "http://",
        "https:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "[",
        "]",
        "::1",
        "127.0.0.1",
        "0x7f",
        ".",
        "a",
        "%",
        "?",
        "#",
        " ",
        "ü",
        "\n",
        "\0",
    ]
)


@pytest.mark.parametrize(
    ("url", "is_file"),
    [
        ("file:///a", True),
        ("FILE:///a", True),
        ("File:a", True),
        ("file", False),
        ("https://file:1/", False),
        ("", False),
    ],
)
def test_a_file_is_told_by_its_scheme_however_that_is_spelt(url: str, is_file: bool) -> None:
    assert is_file_url(url) is is_file


@settings(max_examples=1500, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=40).map("http://{}".format)))
def test_any_text_is_read_or_refused_and_what_is_read_stays_what_it_is(text: str) -> None:
    try:
        url = read_url(text)
    except (PolicyError, LimitError):
        return
    assert read_url(url.text) == url
    assert url.text.isascii()
    assert not set(url.text) & set(" \r\n\0\t")
    assert "@" not in url.authority
