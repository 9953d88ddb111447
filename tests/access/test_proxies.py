"""A proxy is used when the user or the environment says so, and not otherwise."""

from __future__ import annotations

import pytest

from hlsdl.access.proxies import ProxyRules, read_proxy
from hlsdl.access.urls import read_url
from hlsdl.errors import UsageError

ENVIRONMENT = {"http_proxy": "http://plain:3128", "HTTPS_PROXY": "http://tls:3129", "ALL_PROXY": "socks5h://all"}


def used(url: str, explicit: str | None = None, **environment: str) -> str | None:
    proxy = ProxyRules(explicit=explicit, environment=environment).proxy_for(read_url(url).origin)
    return proxy.url if proxy else None


def test_without_a_word_there_is_none() -> None:
    assert used("http://a.example/") is None


def test_the_environment_is_asked_by_scheme() -> None:
    assert used("http://a.example/", **ENVIRONMENT) == "http://plain:3128"
    assert used("https://a.example/", **ENVIRONMENT) == "http://tls:3129"
    assert used("http://a.example/", ALL_PROXY="socks5h://all") == "socks5h://all:1080"


def test_the_users_word_wins_and_an_empty_one_means_none() -> None:
    assert used("http://a.example/", explicit="mine:8080", **ENVIRONMENT) == "http://mine:8080"
    assert used("http://a.example/", explicit="", **ENVIRONMENT) is None


def test_a_cgi_client_cannot_choose_the_proxy() -> None:
    assert used("http://a.example/", HTTP_PROXY="http://evil", REQUEST_METHOD="GET") is None


@pytest.mark.parametrize(
    ("exempt", "expected"),
    [
        ("*", True), ("a.example", True), (".a.example", True), ("example", True), ("other, a.example", True),
        ("A.Example", True), ("a.example:80", True), ("a.example:81", False), ("b.example", False), ("xa.example", False),
        ("", False), ("*.example", True),
    ],
)  # fmt: skip
def test_no_proxy_exempts_names(exempt: str, expected: bool) -> None:
    assert (used("http://a.example/", no_proxy=exempt, **ENVIRONMENT) is None) is expected


def test_no_proxy_exempts_networks() -> None:
    assert used("http://10.1.2.3/", NO_PROXY="10.0.0.0/8", **ENVIRONMENT) is None
    assert used("http://[::1]/", NO_PROXY="[::1]", **ENVIRONMENT) is None
    assert used("http://11.1.2.3/", NO_PROXY="10.0.0.0/8", **ENVIRONMENT) is not None


def test_a_proxy_url_is_read_with_its_sign_in_and_never_shows_it() -> None:
    proxy = read_proxy("http://user:s%40cret@[::1]:3128")
    assert (proxy.user, proxy.password, proxy.url) == ("user", "s@cret", "http://[::1]:3128")
    assert "cret" not in repr(proxy)


@pytest.mark.parametrize(
    "written",
    ["ftp://a", "http://", "http://a:99999", "http://[bad", "http://u:secret@:1", "http://u:secret\udcff@a:1"],
)
def test_what_is_no_proxy_is_a_usage_error_without_secrets(written: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_proxy(written)
    assert "secret" not in f"{caught.value}{caught.value.hint}"
