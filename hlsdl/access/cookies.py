"""Cookies as values: reading a Netscape `cookies.txt`, and deciding what a URL gets (RFC 6265).

Pure: the time is an argument. Whether any cookie may go to an origin at all is decided in `credentials`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address

from hlsdl.access.urls import CheckedUrl
from hlsdl.errors import UsageError

GIVEN_AS_TEXT = "cookies were given where the path of a file of cookies is meant"
HOW_TO_GIVE = "write them into a Netscape `cookies.txt`, or give them as a header: `Cookie: NAME=VALUE`"

_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f;]")
_PATH = re.compile(r"/|[~.][^=]*/")
"""As no cookies begin; `.ASPXAUTH=…` is one."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """One cookie; its value is never shown."""

    name: str
    value: str = field(repr=False)
    domain: str
    """Lower case, without a leading dot."""
    host_only: bool = True
    path: str = "/"
    secure: bool = False
    expires: float | None = None
    """Seconds since the epoch; None: it lives as long as the job."""

    def suits(self, url: CheckedUrl, now: float) -> bool:
        """Whether RFC 6265 §5.4 sends this cookie with a request for `url`."""
        if self.expires is not None and self.expires <= now:
            return False
        if self.secure and url.scheme != "https":
            return False
        return self._domain_matches(url.host) and self._path_matches(url.path)

    def _domain_matches(self, host: str) -> bool:
        if host == self.domain:
            return True
        return not self.host_only and host.endswith("." + self.domain) and not _is_address(host)

    def _path_matches(self, path: str) -> bool:
        if path == self.path:
            return True
        return path.startswith(self.path) and (self.path.endswith("/") or path[len(self.path)] == "/")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def are_cookies(written: str) -> bool:
    """Whether what should be the path of a file looks like cookies (`NAME=VALUE`), which no message repeats."""
    return "=" in written and _PATH.match(written) is None


def read_cookies_txt(text: str, *, now: float) -> tuple[Cookie, ...]:
    """Read a Netscape cookie file as browsers' extensions, curl and yt-dlp write it.

    Seven fields separated by tabs: domain, whether subdomains match, path, secure, expiry, name, value.
    `#HttpOnly_` before the domain is part of the format; other lines with `#` are comments. Expiry 0 is a session
    cookie and is kept; cookies that expired before `now` are left out. UsageError names the line it cannot read, and
    never shows its content.
    """
    cookies = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.removeprefix("#HttpOnly_")  # noqa: PLW2901 - the mark is not part of the record
        if not line.strip() or line.startswith(("#", "$")):
            continue
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) != 7 or not re.fullmatch(r"(?:-?[0-9]{1,18}(?:\.[0-9]*)?)?", fields[4]):
            raise UsageError(
                f"line {number} of the cookie file is not in the Netscape format",
                hint="export it as `cookies.txt` (Netscape format: seven fields separated by tabs)",
            )
        domain, subdomains, path, secure, expiry, name, value = fields
        if _UNSENDABLE.search(value) or not _NAME.fullmatch(name):
            raise UsageError(f"line {number} of the cookie file holds a cookie that cannot be sent")
        expires = float(expiry or 0) or None
        cookie = Cookie(
            name=name,
            value=value,
            domain=domain.lower().lstrip("."),
            host_only=subdomains.upper() != "TRUE" and not domain.startswith("."),
            path=path or "/",
            secure=secure.upper() == "TRUE",
            expires=expires,
        )
        if expires is None or expires > now:
            cookies.append(cookie)
    return tuple(cookies)


def read_set_cookie(header: str, url: CheckedUrl, *, now: float) -> Cookie | None:
    """Read a Set-Cookie header (RFC 6265 §5.2) of a response from `url`; None when it is not usable.

    The Domain attribute is ignored: what a host sets goes back to that host only. A cookie that is set to expire comes
    back with `expires` in the past, so that the caller can delete it.
    """
    pair, *attributes = header.split(";")
    name, separator, value = pair.partition("=")
    name, value = name.strip(), value.strip()
    if not separator or not name or not _NAME.fullmatch(name) or _UNSENDABLE.search(value):
        return None
    told = {}
    for attribute in attributes:
        key, _, content = attribute.partition("=")
        told[key.strip().lower()] = content.strip()
    path = told.get("path", "")
    return Cookie(
        name=name,
        value=value,
        domain=url.host,
        path=path if path.startswith("/") else url.path.rpartition("/")[0] or "/",
        secure="secure" in told,
        expires=_expiry(told, now),
    )


def _expiry(told: dict[str, str], now: float) -> float | None:
    age = told.get("max-age", "")
    if re.fullmatch(r"-?[0-9]{1,12}", age):
        return now + int(age) if int(age) > 0 else 0.0
    if "expires" in told:
        from email.utils import parsedate_to_datetime  # few servers set cookies, and fewer with a date

        try:
            return parsedate_to_datetime(told["expires"]).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return None
