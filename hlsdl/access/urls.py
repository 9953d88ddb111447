"""One reading of a URL, shared by every check and by the connection that follows.

Pure. Security holes between two URL parsers cannot open when there is one: what is judged here, scheme, host, port
and request target, is exactly what is put on the wire.
"""

from __future__ import annotations

import contextlib
import re
from typing import NamedTuple
from urllib.parse import quote, urljoin

from hlsdl.access.addresses import read_host
from hlsdl.errors import LimitError, PolicyError

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"//([^/?#\\]*)([^#]*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def is_file_url(url: str) -> bool:
    """Whether it names a file on a machine, and nothing that is asked for over the network."""
    return url[:5].lower() == "file:"


class SourceOrigin(NamedTuple):
    """Scheme, host and port: what RFC 6454 calls an origin."""

    scheme: str
    host: str
    """A name in lower-case ASCII, dotted IPv4, or IPv6 without brackets."""
    port: int


class CheckedUrl:
    """A URL that was read and found well formed; `gate` says whether we may go there.

    A value that nobody changes. (No frozen dataclass: one is made for each of thousands of segments a second.)
    """

    __slots__ = ("host", "origin", "port", "scheme", "target", "text")

    def __init__(self, *, text: str, origin: SourceOrigin, target: str) -> None:
        self.text = text
        """Normalised host, no fragment, spaces and non-ASCII percent-encoded, everything else as written."""
        self.origin = origin
        """Where credentials belong to."""
        self.scheme, self.host, self.port = origin
        self.target = target
        """Path and query: the request target of HTTP/1.1."""

    def __repr__(self) -> str:
        return f"CheckedUrl({self.origin})"  # the rest may hold secrets

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CheckedUrl):
            return NotImplemented
        return (self.text, self.origin, self.target) == (other.text, other.origin, other.target)

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def authority(self) -> str:
        """The Host header: the port only when it is not the scheme's own."""
        return _authority_of(self.origin)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


def _authority_of(origin: SourceOrigin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == DEFAULT_PORTS[origin.scheme] else f"{host}:{origin.port}"


def read_url(url: str, *, longest: int = 8192) -> CheckedUrl:
    """Read an absolute http(s) URL.

    Raises PolicyError for another scheme, control characters, user info or a malformed host or port, and
    LimitError when it is longer than `longest` characters. None of the messages holds the URL's secrets.
    """
    if len(url) > longest:
        raise LimitError(f"a URL has {len(url)} characters, more than the {longest} allowed")
    if _CONTROL.search(url):
        raise PolicyError("a URL contains control characters")
    found = _URL.fullmatch(url.strip(" "))
    scheme = found[1].lower() if found else ""
    if found is None or scheme not in DEFAULT_PORTS:
        shown = f"`{scheme}:`" if scheme else "no scheme"
        raise PolicyError(f"a URL has {shown}, and only `http:` and `https:` are allowed", url=url)
    parts = _AUTHORITY.match(found[2])
    if parts is None or found[2][parts.end(1) :].startswith("\\"):
        raise PolicyError("a URL has no readable host", url=url)
    if "@" in parts[1]:
        raise PolicyError(
            "a URL contains user info", url=url, hint="give credentials with -H 'Authorization: …' instead"
        )
    host, port = _read_authority(parts[1], scheme, url)
    target = quote(parts[2], safe=_SAFE, errors="surrogatepass")
    if not target.startswith("/"):
        target = "/" + target
    origin = SourceOrigin(scheme, host, port)
    return CheckedUrl(text=f"{scheme}://{_authority_of(origin)}{target}", origin=origin, target=target)


def is_address(url: str) -> bool:
    """Whether it is a URL that can be asked for over the network, as far as its spelling says."""
    try:
        read_url(url)
    except (PolicyError, LimitError):
        return False
    return True


def is_text(written: str) -> bool:
    """Whether this can be sent or stored: bytes of a command line that are no UTF-8 are halves of pairs (PEP 383)."""
    return not any("\ud800" <= sign <= "\udfff" for sign in written)


_SAFE = "".join(map(chr, range(0x21, 0x7F)))
"""Everything printable stays as written: signed URLs depend on their exact spelling."""


def _read_authority(authority: str, scheme: str, url: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?", authority)
    try:
        if found is None:
            raise ValueError("no readable host and port")
        host = read_host(found[1])
        port = int(found[2]) if found[2] else DEFAULT_PORTS[scheme]
        if not 0 < port < 65_536:
            raise ValueError("no valid port")
    except ValueError as error:
        raise PolicyError(f"the host of a URL is malformed: {error}", url=url) from error
    return host, port


def join_location(base: CheckedUrl, location: str) -> str:
    """Resolve a Location header (RFC 9110 §10.2.2), which is UTF-8 more often than the Latin-1 it was read as."""
    with contextlib.suppress(UnicodeEncodeError, UnicodeDecodeError):  # then it really was Latin-1, or text already
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(base.text, location.strip(" \t"))
    except ValueError as error:
        raise PolicyError("the server redirects to a malformed URL", url=base.text) from error
