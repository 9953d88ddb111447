"""From a refusal to a challenge, and from a credential to the header that answers it (RFC 9110 §11)."""

from __future__ import annotations

import base64
import re

from hlsdl.access.urls import SourceOrigin, read_url
from hlsdl.errors import HlsdlError, HttpError, UsageError
from hlsdl.tasks.delivery import AuthenticationChallenge, Credential

MOST_CHALLENGES = 5
"""Answers that a task tries before it gives up."""

_SCHEME = re.compile(r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)")
_REALM = re.compile(r'realm\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', re.IGNORECASE)


def challenge_of(error: HttpError, source_url: str, failures: int) -> AuthenticationChallenge | None:
    """The challenge in a refusal, or None when it is none that an app can answer.

    Only the source's own origin is answered: a credential goes nowhere else.
    """
    if error.http_status != 401 or error.url is None:
        return None
    asked = _origin(error.url)
    if asked is None or asked != _origin(source_url):
        return None
    text = error.challenge or ""
    scheme, realm = _SCHEME.match(text), _REALM.search(text)
    return AuthenticationChallenge(
        host=asked.host,
        http_status=error.http_status,
        scheme=scheme[1].lower() if scheme else None,
        realm=(realm[1] or realm[2]) if realm else None,
        previous_failure_count=failures,
    )


def _origin(url: str) -> SourceOrigin | None:
    """Of a URL in whatever spelling; None for what is none."""
    try:
        return read_url(url.partition("?")[0]).origin
    except HlsdlError:
        return None


def authorization(credential: Credential | None) -> tuple[tuple[str, str], ...]:
    """The header field of a credential: Bearer for a token (RFC 6750), Basic otherwise (RFC 7617).

    Raises:
        UsageError: it has neither a token nor a user.
    """
    if credential is None:
        return ()
    if credential.token is not None:
        return (("Authorization", f"Bearer {credential.token}"),)
    if credential.user is None:
        raise UsageError("a credential needs a user or a token")
    pair = f"{credential.user}:{credential.password or ''}".encode()
    return (("Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"),)
