"""Checking many URLs of few origins: what the gate said of the first one holds for the others.

The gate reads every URL anew. Of thousands of segments only the path differs, and a path cannot change where a request
goes; so a URL that begins exactly like one that passed, in its normalised spelling, is taken apart by its length. Any
other spelling goes to the gate.
"""

from __future__ import annotations

import re

from hlsdl.access.gate import UrlPolicy
from hlsdl.access.urls import CheckedUrl

KNOWN = 64
"""Origins that are remembered."""

_TARGET = re.compile(r"/[!-\"$-~]*")
"""Printable ASCII without a fragment: what needs no quoting."""


class CheckedUrls:
    """The gate with a memory of the origins that it let through."""

    def __init__(self, policy: UrlPolicy) -> None:
        self._policy = policy
        self._passed: dict[str, CheckedUrl] = {}

    def known(self, url: str) -> CheckedUrl | None:
        """The URL when the gate need not be asked about it; None when it must be."""
        end = url.find("/", 8)
        known = self._passed.get(url[:end]) if end > 0 else None
        if known is None or len(url) > self._policy.longest_url or not _TARGET.fullmatch(url, end):
            return None
        return CheckedUrl(text=url, origin=known.origin, target=url[end:])

    def check(self, url: str) -> CheckedUrl:
        """As `UrlPolicy.check_url`, with the same errors."""
        known = self.known(url)
        if known is not None:
            return known
        checked = self._policy.check_url(url)
        if len(self._passed) >= KNOWN:
            self._passed.clear()
        self._passed[checked.text[: -len(checked.target)]] = checked
        return checked
