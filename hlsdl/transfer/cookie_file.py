"""The cookie file that a user names; what stands in it is `access.cookies`' business."""

from __future__ import annotations

from pathlib import Path

from hlsdl.access.cookies import GIVEN_AS_TEXT, HOW_TO_GIVE, are_cookies
from hlsdl.errors import UsageError

MOST_COOKIE_BYTES = 16 * 1024 * 1024


def read_cookie_file(file: Path) -> str:
    """The text of a cookie file; UsageError when it cannot be read, or has more than `MOST_COOKIE_BYTES`."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_COOKIE_BYTES + 1)  # a pipe does not say how much is in it
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if are_cookies(str(file)):
            raise UsageError(GIVEN_AS_TEXT, hint=HOW_TO_GIVE) from None
        reason = getattr(error, "strerror", None) or "no such path can be"
        raise UsageError(f"the cookie file `{file}` cannot be read: {reason}") from error
    if len(data) > MOST_COOKIE_BYTES:
        raise UsageError(f"the cookie file `{file}` is too large")
    return data.decode(errors="replace")
