"""Hosts and addresses as values: what a host spelling means, and what kind of place an address is.

Pure. A host is normalised before it is judged, so `0x7f.1`, `２１３０７０６４３３` and `::ffff:127.0.0.1` are all
what the operating system would make of them: loopback. Who may go where is decided in `gate`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


class AddressKind(StrEnum):
    """What kind of place an address is; only `GLOBAL` is the public internet."""

    GLOBAL = "public"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    """RFC 1918 and unique local IPv6 addresses."""
    SHARED = "shared"
    """Carrier-grade NAT (100.64/10) and benchmarking (198.18/15), which VPNs and tunnels use for their own."""
    LINK_LOCAL = "link-local"
    METADATA = "cloud metadata"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    RESERVED = "reserved"


_METADATA = frozenset(
    {
        IPv4Address("169.254.169.254"),
        IPv4Address("169.254.170.2"),
        IPv4Address("100.100.100.200"),
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd20:ce::254"),
    }
)

_KINDS_V4: tuple[tuple[IPv4Network, AddressKind], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", AddressKind.UNSPECIFIED),
        ("10.0.0.0/8", AddressKind.PRIVATE),
        ("100.64.0.0/10", AddressKind.SHARED),
        ("127.0.0.0/8", AddressKind.LOOPBACK),
        ("169.254.0.0/16", AddressKind.LINK_LOCAL),
        ("172.16.0.0/12", AddressKind.PRIVATE),
        ("192.0.0.0/24", AddressKind.RESERVED),
        ("192.0.2.0/24", AddressKind.RESERVED),
        ("192.88.99.0/24", AddressKind.RESERVED),
        ("192.168.0.0/16", AddressKind.PRIVATE),
        ("198.18.0.0/15", AddressKind.SHARED),
        ("198.51.100.0/24", AddressKind.RESERVED),
        ("203.0.113.0/24", AddressKind.RESERVED),
        ("224.0.0.0/4", AddressKind.MULTICAST),
        ("240.0.0.0/4", AddressKind.RESERVED),
    )
)

_KINDS_V6: tuple[tuple[IPv6Network, AddressKind], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", AddressKind.UNSPECIFIED),
        ("::1/128", AddressKind.LOOPBACK),
        ("fc00::/7", AddressKind.PRIVATE),
        ("fe80::/10", AddressKind.LINK_LOCAL),
        ("ff00::/8", AddressKind.MULTICAST),
        ("64:ff9b:1::/48", AddressKind.PRIVATE),  # translation for local use (RFC 8215)
        ("2001:2::/48", AddressKind.SHARED),  # benchmarking (RFC 5180), as 198.18/15
        ("2001:db8::/32", AddressKind.RESERVED),
        ("2001:10::/28", AddressKind.RESERVED),
        ("2001:20::/28", AddressKind.RESERVED),
        ("3fff::/20", AddressKind.RESERVED),
        ("2000::/3", AddressKind.GLOBAL),
    )
)

_LOW_32_BITS_ARE_IPV4 = tuple(
    IPv6Network(network) for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


@lru_cache(maxsize=1024)
def kind_of(address: Address) -> AddressKind:
    """The kind of place `address` is; an IPv6 address that carries an IPv4 one is what the IPv4 one is."""
    if address in _METADATA:
        return AddressKind.METADATA
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _KINDS_V4 if address in network), AddressKind.GLOBAL)
    own = next((kind for network, kind in _KINDS_V6 if address in network), None)
    if own is not None and own is not AddressKind.GLOBAL:
        return own
    carried = _carried_ipv4(address)
    if carried:
        return next((kind for kind in map(kind_of, carried) if kind is not AddressKind.GLOBAL), AddressKind.GLOBAL)
    return own or AddressKind.RESERVED


def kind_of_text(address: str) -> AddressKind:
    """The kind of an address as a resolver writes it; a zone index does not matter."""
    return kind_of(ip_address(address.partition("%")[0]))


def _carried_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses inside a mapped, compatible, translated, 6to4, Teredo or ISATAP address."""
    bits = int(address)
    low = IPv4Address(bits & 0xFFFFFFFF)
    if any(address in network for network in _LOW_32_BITS_ARE_IPV4) or (bits >> 32) & 0xFFFFFFFF in _ISATAP:
        return (low,)
    if address in _SIX_TO_FOUR:
        return (IPv4Address((bits >> 80) & 0xFFFFFFFF),)
    if address in _TEREDO:
        return IPv4Address((bits >> 64) & 0xFFFFFFFF), IPv4Address(~bits & 0xFFFFFFFF)
    return ()


def kind_of_name(host: str) -> AddressKind | None:
    """What a name stands for without asking anyone; None when only a resolver can tell."""
    if host == "localhost" or host.endswith(".localhost"):
        return AddressKind.LOOPBACK
    if host in {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}:
        return AddressKind.METADATA
    if host.endswith((".local", ".lan", ".internal", ".home.arpa", ".intranet")):
        return AddressKind.PRIVATE
    return None


@lru_cache(maxsize=1024)
def literal_address(host: str) -> Address | None:
    """The address that a normalised host is, or None when it is a name."""
    if ":" in host:
        return IPv6Address(host)
    if host and _is_number(host.rpartition(".")[2]):
        return IPv4Address(host)
    return None


@lru_cache(maxsize=1024)
def read_host(written: str) -> str:
    """Normalise a host: lower case, IDNA, one spelling for each address; ValueError when it is none.

    IPv4 may be written in any form that `inet_aton` knows (decimal, octal, hexadecimal, 1 to 4 parts), since a
    resolver would accept them all; the result is always dotted decimal. IPv6 loses its brackets. A zone index is
    refused: it only makes sense for link-local addresses.
    """
    if written.startswith("[") and written.endswith("]"):
        if "%" in written:
            raise ValueError("an IPv6 zone index")
        return IPv6Address(written[1:-1]).compressed
    if not written or "%" in written or ":" in written:
        raise ValueError("no host name")
    host = (written if written.isascii() else _to_ascii(written)).lower().removesuffix(".")
    if len(host) > 253 or not re.fullmatch(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}", host):
        raise ValueError("no valid host name")
    if _is_number(host.rpartition(".")[2]):
        return str(_read_ipv4(host))
    return host


def _to_ascii(name: str) -> str:
    import idna  # its tables are large, and hardly any stream needs them

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError("no valid international name") from error


def _is_number(part: str) -> bool:
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", part) is not None


def _read_ipv4(host: str) -> IPv4Address:
    """Read what `inet_aton` would: `127.1`, `0177.0.0.1`, `0x7f000001`, `2130706433`."""
    parts = host.split(".")
    if len(parts) > 4 or not all(_is_number(part) for part in parts):
        raise ValueError("no valid IPv4 address")
    numbers = [_read_number(part) for part in parts]
    *heads, tail = numbers
    if any(number > 255 for number in heads) or tail >= 256 ** (5 - len(numbers)):
        raise ValueError("no valid IPv4 address")
    value = tail
    for position, number in enumerate(heads):
        value |= number << (24 - 8 * position)
    return IPv4Address(value)


def _read_number(part: str) -> int:
    if len(part) > 20:
        raise ValueError("no valid IPv4 address")
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") and len(part) > 1 else int(part)
