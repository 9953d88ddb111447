"""Where we may go: the gate that every URL and every redirect passes."""

from __future__ import annotations

import pytest

from access.test_addresses import KINDS, AddressKind
from hlsdl.access.gate import UrlPolicy
from hlsdl.errors import HlsdlError, PolicyError

PUBLIC = UrlPolicy.for_typed(["https://example.com/master.m3u8"])
LAN = UrlPolicy.for_typed(["http://192.168.1.9:8080/master.m3u8"])
PRIVATE_ALLOWED = UrlPolicy.for_typed(["https://example.com/"], allow_private=True)


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


def test_errors_of_the_gate_have_documented_codes() -> None:
    with pytest.raises(HlsdlError) as caught:
        PUBLIC.check_url("http://10.0.0.1/?token=secret")
    assert caught.value.code == 10
    assert "--allow-private" in (caught.value.hint or "")
    assert "secret" not in f"{caught.value} {caught.value.url}"
