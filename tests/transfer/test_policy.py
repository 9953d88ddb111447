"""The rules about limits, patience and where we may go, as pure decisions."""

from __future__ import annotations

import pytest

from hlsdl.errors import HlsdlError, PolicyError
from hlsdl.transfer.policy import (
    RetryPolicy,
    StatusClass,
    UrlPolicy,
    class_of_status,
    hint_for_status,
    read_retry_after,
)
from transfer.test_addresses import KINDS, AddressKind

PUBLIC = UrlPolicy.for_typed(["https://example.com/master.m3u8"])
LAN = UrlPolicy.for_typed(["http://192.168.1.9:8080/master.m3u8"])
PRIVATE_ALLOWED = UrlPolicy.for_typed(["https://example.com/"], allow_private=True)
DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


def allowed(policy: UrlPolicy, url: str) -> bool:
    try:
        policy.check_url(url)
    except PolicyError:
        return False
    return True


@pytest.mark.parametrize(
    ("written", "kind"), [(written, kind) for kind, spellings in KINDS.items() for written in spellings]
)
def test_a_public_source_leads_to_public_addresses_only(written: str, kind: AddressKind) -> None:
    """Every spelling, as a direct URL and as a redirect target (S2)."""
    url = f"http://{written}/a.ts"
    assert allowed(PUBLIC, url) is (kind is AddressKind.GLOBAL)
    here = UrlPolicy.for_typed(["http://example.com/"])
    try:
        here.check_redirect(here.check_url("http://example.com/"), url)
    except PolicyError:
        followed = False
    else:
        followed = True
    assert followed is (kind is AddressKind.GLOBAL)


@pytest.mark.parametrize(
    ("written", "kind"), [(written, kind) for kind, spellings in KINDS.items() for written in spellings]
)
def test_allow_private_adds_loopback_rfc1918_and_ula_and_nothing_else(written: str, kind: AddressKind) -> None:
    expected = kind in {AddressKind.GLOBAL, AddressKind.LOOPBACK, AddressKind.PRIVATE}
    assert allowed(PRIVATE_ALLOWED, f"https://{written}/a.ts") is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://192.168.1.9:8080/a.ts", True),
        ("http://192.168.1.9:9999/a.ts", True),
        ("https://192.168.1.9/a.ts", True),
        ("http://0xc0a80109/a.ts", True),
        ("http://192.168.1.10/a.ts", False),
        ("http://127.0.0.1/a.ts", False),
        ("http://example.com/a.ts", True),
    ],
)
def test_a_typed_lan_host_may_be_used_on_any_port_and_its_neighbours_not(url: str, expected: bool) -> None:
    assert allowed(LAN, url) is expected


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "224.0.0.1", "0.0.0.0", "[::ffff:169.254.1.1]", "240.0.0.1"]
)
def test_some_addresses_are_refused_even_when_typed(host: str) -> None:
    policy = UrlPolicy.for_typed([f"http://{host}/"], allow_private=True)
    assert not allowed(policy, f"http://{host}/")


def test_a_shared_address_needs_to_be_typed() -> None:
    assert allowed(UrlPolicy.for_typed(["http://100.64.0.7/"]), "http://100.64.0.7/a")


def test_resolved_addresses_are_filtered() -> None:
    assert PUBLIC.permitted("cdn.example", ["8.8.8.8", "10.0.0.1", "::1", "2606:4700::1"]) == (
        "8.8.8.8",
        "2606:4700::1",
    )
    with pytest.raises(PolicyError):
        PUBLIC.permitted("cdn.example", ["10.0.0.1", "127.0.0.1"])


def test_a_typed_name_may_resolve_to_a_private_address_unless_it_was_public_before() -> None:
    policy = UrlPolicy.for_typed(["http://nas.example/"])
    assert policy.permitted("nas.example", ["192.168.1.2"]) == ("192.168.1.2",)
    assert policy.permitted("nas.example", ["192.168.1.2", "8.8.8.8"]) == ("8.8.8.8",)
    with pytest.raises(PolicyError):
        policy.permitted("nas.example", ["192.168.1.2"], known_public=True)
    with pytest.raises(PolicyError):
        policy.permitted("nas.example", ["169.254.169.254"])


@pytest.mark.parametrize(
    ("typed", "insecure", "expected"),
    [("https://a.example/", False, False), ("https://a.example/", True, True), ("http://a.example/", False, True)],
)
def test_a_redirect_from_https_to_http_needs_a_typed_http_url_or_insecure(
    typed: str, insecure: bool, expected: bool
) -> None:
    policy = UrlPolicy.for_typed([typed], insecure=insecure)
    here = policy.check_url("https://cdn.example/a")
    if expected:
        assert policy.check_redirect(here, "http://cdn.example/b").text == "http://cdn.example/b"
        return
    with pytest.raises(PolicyError) as caught:
        policy.check_redirect(here, "http://cdn.example/b")
    assert "--insecure" in (caught.value.hint or "")


def test_require_https_refuses_every_http_url() -> None:
    policy = UrlPolicy.for_typed(["https://a.example/"], require_https=True, insecure=True)
    assert allowed(policy, "https://b.example/")
    assert not allowed(policy, "http://a.example/")
    with pytest.raises(PolicyError):
        policy.check_redirect(policy.check_url("https://a.example/"), "http://a.example/")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((200, 203, 206), StatusClass.SUCCESS),
        ((301, 302, 303, 307, 308), StatusClass.REDIRECT),
        ((408, 425, 429, 500, 502, 503, 504, 520, 524), StatusClass.RETRY),
        ((403, 404, 410), StatusClass.REFRESH),
        ((201, 204, 205, 300, 304, 305, 400, 401, 402, 405, 407, 416, 451, 501, 505, 511), StatusClass.PERMANENT),
    ],
)
def test_each_status_has_its_class(statuses: tuple[int, ...], expected: StatusClass) -> None:
    assert {class_of_status(status) for status in statuses} == {expected}


def test_the_usual_refusals_come_with_a_hint() -> None:
    assert all(hint_for_status(status) for status in (401, 403, 404, 407, 410))
    assert hint_for_status(418) is None


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        (None, None, None),
        ("0", None, 0.0),
        ("120", None, 120.0),
        (" 7 ", None, 7.0),
        ("1000000000", None, 1e9),
        ("9" * 400, None, float("9" * 18)),
        ("-1", None, None),
        ("1.5", None, None),
        ("soon", None, None),
        ("", None, None),
        ("Fri, 20 Nov 2026 10:01:30 GMT", DATE, 90.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", DATE, 0.0),
        ("Fri, 20 Nov 2026 10:01:30 GMT", "garbage", 30.0),
        ("Fri, 20 Nov 2026 10:01:30 GMT", None, 30.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_servers_own(
    value: str | None, date: str | None, expected: float | None
) -> None:
    now = 1_795_168_860.0  # 10:01:00
    assert read_retry_after(value, date=date, now=now) == expected


def test_delays_double_up_to_the_longest_and_are_jittered_down_to_nothing() -> None:
    policy = RetryPolicy()
    assert [policy.delay(n, 1.0) for n in (1, 2, 3, 7, 100)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert policy.delay(5, 0.0) == 0.0
    assert policy.delay(2, 0.25) == 0.25


def test_pauses_double_while_they_do_not_help() -> None:
    policy = RetryPolicy()
    assert [policy.pause(n) for n in (0, 1, 2, 7, 1000)] == [1.0, 2.0, 4.0, 120.0, 120.0]


def test_errors_of_the_gate_have_documented_codes() -> None:
    with pytest.raises(HlsdlError) as caught:
        PUBLIC.check_url("http://10.0.0.1/?token=secret")
    assert caught.value.code == 10
    assert "--allow-private" in (caught.value.hint or "")
    assert "secret" not in f"{caught.value} {caught.value.url}"
