"""Hosts have one meaning each, however they are spelled, and addresses one kind."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from hlsdl.access.addresses import AddressKind, kind_of, kind_of_name, literal_address, read_host

LOOPBACK_SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F000001", "0x7f.0.0.1", "0x7f.1", "0177.0.0.1",
    "017700000001", "0x7f.0.1", "127.0.0.1.", "00177.0.0.01", "127.000.000.001", "0x7f.0x0.0x0.0x1", "127.0x0.1",
    "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "①②⑦.0.0.1", "127.255.255.254", "127.0.0.0",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
    "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[2002:7f00:0001::1]", "[2001:0:7f00:1::]", "[2001:0:808:808:0:0:80ff:fffe]",
    "[2607:f8b0::5efe:127.0.0.1]", "[2607:f8b0::200:5efe:7f00:1]",
]  # fmt: skip

KINDS = {
    AddressKind.LOOPBACK: LOOPBACK_SPELLINGS,
    AddressKind.PRIVATE: [
        "10.0.0.1", "10.255.255.255", "0xa000001", "167772161", "012.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1",
        "192.168.1", "0xc0a80001", "3232235521", "0300.0250.0.1", "[fc00::1]", "[fd12:3456::1]", "[fdff:ffff::]",
        "[::ffff:10.0.0.1]", "[::ffff:c0a8:1]", "[64:ff9b::10.0.0.1]", "[2002:a00:1::]",
        "[64:ff9b:1::7f00:1]", "[64:ff9b:1:7f00:0:100:808:808]", "[64:ff9b:1::808:808]", "[2002:c0a8:101::]",
    ],
    AddressKind.SHARED: [
        "[2001:2::1]", "[2001:2:0:ffff::1]", "100.64.0.1", "100.127.255.255", "0x64400001", "198.18.0.1", "198.19.255.255", "[::ffff:100.64.0.1]",
        "[64:ff9b::100.64.0.1]",
    ],
    AddressKind.LINK_LOCAL: [
        "169.254.0.1", "169.254.255.255", "0xa9fe0001", "[fe80::1]", "[febf::1]", "[::ffff:169.254.1.1]",
        "[2002:a9fe:101::]",
    ],
    AddressKind.METADATA: [
        "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0xa9.254.0251.0376",
        "169.254.170.2", "100.100.100.200", "192.0.0.192", "[fd00:ec2::254]", "[fd00:0ec2:0:0::254]", "[fd20:ce::254]",
        "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]",
    ],
    AddressKind.MULTICAST: ["224.0.0.1", "239.255.255.255", "0xe0000001", "[ff02::1]", "[ff0e::1]", "[::ffff:224.0.0.1]"],
    AddressKind.UNSPECIFIED: ["0.0.0.0", "0", "0x0", "0.0.0.1", "00", "0x", "[::]", "[0::0]", "[::ffff:0.0.0.0]", "[::0.0.0.2]"],
    AddressKind.RESERVED: [
        "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "240.0.0.1", "255.255.255.255",
        "4294967295", "0xffffffff", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[4000::1]", "[2001:10::1]", "[fec0::1]",
    ],
    AddressKind.GLOBAL: [
        "8.8.8.8", "134744072", "0x08080808", "1.1", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.63.255.255",
        "100.128.0.0", "198.17.255.255", "126.255.255.255", "128.0.0.1", "223.255.255.255", "[2606:4700::1111]",
        "[2a00:1450::1]", "[::ffff:8.8.8.8]", "[64:ff9b::8.8.8.8]", "[2002:808:808::]", "[2001:0:808:808:0:0:f7f7:f7f7]",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "kind"), [(written, kind) for kind, spellings in KINDS.items() for written in spellings]
)
def test_every_spelling_of_an_address_has_its_kind(written: str, kind: AddressKind) -> None:
    address = literal_address(read_host(written))
    assert address is not None
    assert kind_of(address) is kind


def test_the_table_holds_more_than_a_hundred_spellings() -> None:
    assert sum(map(len, KINDS.values())) > 100


@pytest.mark.parametrize(
    "written",
    [
        "", "[::1", "::1", "[::1]x", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[v1.x]", "[]", "127.0.0.0.1", "256.0.0.1",
        "0x100000000", "4294967296", "127.0.0.256", "127.0.65536", "1.2.3.08", "%31%32%37.0.0.1", "a b.com",
        "exa\tmple.com", "a/b", "-" * 64 + ".com", "a..b", ".", "..", ".com", "a" * 254, "exa<mple.com", "host,other",
        "xn--\u2024.com\u0000", "1" * 30, "foo.1.2.0x", "example.com..", "１２７.0.0.999",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is for people, the type is the promise
        read_host(written)


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("EXAMPLE.com", "example.com"), ("example.com.", "example.com"), ("bücher.example", "xn--bcher-kva.example"),
        ("a_b.example", "a_b.example"), ("[2001:DB8:0::1]", "2001:db8::1"), ("127.1", "127.0.0.1"), ("1e100.net", "1e100.net"),
        ("0x.example", "0x.example"), ("ＥＸＡＭＰＬＥ.com", "example.com"),
    ],
)  # fmt: skip
def test_a_host_has_one_spelling_afterwards(written: str, host: str) -> None:
    assert read_host(written) == host


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("localhost", AddressKind.LOOPBACK), ("a.localhost", AddressKind.LOOPBACK), ("nas.local", AddressKind.PRIVATE),
        ("metadata.google.internal", AddressKind.METADATA), ("box.lan", AddressKind.PRIVATE), ("example.com", None),
        ("notlocalhost", None), ("localhost.example.com", None),
    ],
)  # fmt: skip
def test_well_known_names_are_judged_without_a_resolver(host: str, kind: AddressKind | None) -> None:
    assert kind_of_name(host) is kind


def test_an_address_that_a_resolver_gives_with_a_zone_is_link_local() -> None:
    from hlsdl.access.addresses import kind_of_text

    assert kind_of_text("fe80::1%eth0") is AddressKind.LINK_LOCAL
    assert kind_of(ip_address("::ffff:1.1.1.1")) is AddressKind.GLOBAL
