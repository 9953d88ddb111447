"""What the memory of the gate says is what the gate says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.access.gate import UrlPolicy
from hlsdl.errors import HlsdlError
from hlsdl.transfer.checking import KNOWN, CheckedUrls

SOURCE = "http://films.example:8080/a/master.m3u8?x=1"
POLICY = UrlPolicy.for_typed([SOURCE], require_https=False)

TAILS = st.one_of(
    st.text(max_size=40), st.text(alphabet="/\\?#@:%[]. \t~\x7f\u00e9", max_size=12), st.just("/" + "a" * 9000)
)
HEADS = st.sampled_from(
    [
        "http://films.example:8080", "HTTP://films.example:8080", "http://Films.example:8080", "http://films.example",
        "http://films.example:8080@10.0.0.1", "http://10.0.0.1", "https://films.example:8080", "http://[::1]", "http:",
    ]
)  # fmt: skip


def verdict(check: object, url: str) -> object:
    try:
        return check(url)  # type: ignore[operator]
    except HlsdlError as error:
        return (type(error), error.message)


@given(HEADS, TAILS)
def test_a_remembered_origin_changes_no_verdict(head: str, tail: str) -> None:
    urls = CheckedUrls(POLICY)
    urls.check(SOURCE)
    for _ in range(2):
        assert verdict(urls.check, head + tail) == verdict(POLICY.check_url, head + tail)


@pytest.mark.parametrize("target", ["/b.ts", "/b%2fc/../d.ts?e=[1]|~", "/", "//x", "/@10.0.0.1/"])
def test_a_second_url_of_an_origin_is_the_same_as_a_first_one(target: str) -> None:
    urls = CheckedUrls(POLICY)
    urls.check(SOURCE)
    assert urls.check("http://films.example:8080" + target) == POLICY.check_url("http://films.example:8080" + target)


def test_the_memory_is_bounded() -> None:
    urls = CheckedUrls(UrlPolicy())
    for number in range(3 * KNOWN):
        urls.check(f"http://host{number}.example/a")
    assert len(urls._passed) <= KNOWN
