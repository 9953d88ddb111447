"""Every error that hlsdl raises, and the exit code each one means.

    HlsdlError                 1   a defect of ours, when raised bare
    ├── UsageError             2   what was asked for makes no sense
    ├── NetworkError           3   the network failed and patience is spent; resumable
    ├── HttpError              4   the server refuses for good (401, 403, 404, 410 …)
    ├── PlaylistError          5   not a playlist, or an invalid one
    ├── SelectionError         6   nothing in the stream matches what was asked
    ├── ContentKeyError        7   a key is missing, wrong, or not ours to use
    ├── IntegrityError         8   damaged, truncated or incomplete
    ├── DiskError              9   full, read-only, quota; resumable
    ├── PolicyError           10   refused by policy: scheme, address, downgrade, redirect
    ├── LockedError           11   another process works on this bundle
    ├── LimitError            12   a hostile server or playlist is over a limit
    ├── LiveStreamError       13   a live stream where a finished one was asked for
    └── Interrupted          130   stopped by the user; resumable

Foreign exceptions are translated into these once, at the edge that knows the foreign
library (`transfer.origin` and `transfer.curl_errors` for the network, `bundle.durable` for the disk, `ffmpeg`).
The numbers are public (`docs/exit-codes.md`) and never change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from urllib.parse import urlsplit, urlunsplit

LONGEST_URL_SHOWN = 300
"""Characters of a URL that appear in a message or document."""

_HOST = r"(?:[a-z0-9-]+ (?:[.:][a-z0-9-]+)+ | localhost | \[[0-9a-f:.]+\] (?::[0-9]+)?)"
"""In text without a scheme: what has a dot or a port, or can be nothing else."""
_SECRETS = rf"""
    (?P<before> (?<![a-z])https?:/* | (?<![a-z])https?//+ | (?<![a-z0-9+.-])[a-z][a-z0-9+.-]+:// ) (?P<rest>REST)
    | (?<![a-z])(?<![a-z]-)data:[^\s,:]*,REST
    | (?P<login> (?<=//)[^\s/\\]+@ | (?<![^\s/])[^\s/\\:?#]+:[^\s/\\]+@ | (?<!\S)[^\s/\\:?#]+@(?={_HOST}/) )
    | \?[^\s?=#]*=(?:REST)?
    | (?<!\S)(?://)?{_HOST} (?: (?:/[^\s?\#]*)? \?[^\s\#]*\#REST | /[^\s?\#]*\#REST | \#[^\s=\#]+=(?:REST)? )
"""
"""A URL; and, where its scheme is missing or misspelt, what is secret in it: nothing of a path such as `films/what?`.

What repeats in it ends before it can begin again, so that a long text of a stranger costs no more than its length.
"""
_TYPED = ".+"
_IN_A_SENTENCE = r"""\S*[^\s)"',.;>\]]"""
"""To the next blank, without what closes behind it."""


def redact(url: str) -> str:
    """Return `url` without user info, query values and fragment, fit for messages, logs and events.

    Query *names* stay, since they help to recognise a resource; values are where tokens live. What has no value may be
    a token itself.
    `data:` URLs are cut to their media type, since their body may be a key.
    """
    scheme, separator, rest = url.partition(":")
    if separator and scheme.lower() == "data":
        return f"data:{rest.split(',', 1)[0][:60]},…"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<unreadable URL>"
    host = parts.netloc.rpartition("@")[2]
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    query = "&".join(f"{name}=…" if value.strip("=") else "…" for name, _, value in pairs)
    shown = urlunsplit((parts.scheme, host, parts.path, query, ""))
    return shown if len(shown) <= LONGEST_URL_SHOWN else shown[: LONGEST_URL_SHOWN - 1] + "…"


def redact_typed(text: str) -> str:
    """Return what somebody typed, as `redact` shows a URL, also where its scheme is missing or misspelt.

    The path of a file is shown as it is, unless it looks like such a URL with a secret: `a?b=c`, `a:b@c`.
    """
    return _secrets(_TYPED).sub(_shown, text)


def redact_all(text: str) -> str:
    """Return `text` with every URL in it redacted: a message may repeat what somebody typed in the wrong place.

    Between backticks stands what was typed, which may have blanks in it.
    """
    parts = text.split("`")
    parts[::2] = [_secrets(_IN_A_SENTENCE).sub(_shown, part) for part in parts[::2]]
    parts[1::2] = [redact_typed(part) for part in parts[1::2]]
    return "`".join(parts)


@cache
def _secrets(rest: str) -> re.Pattern[str]:
    """Compiled for the first error: every start would wait for it."""
    return re.compile(_SECRETS.replace("REST", rest), re.IGNORECASE | re.VERBOSE | re.DOTALL)


def _shown(found: re.Match[str]) -> str:
    if found["login"]:
        return "…@"
    if found["before"]:
        return found["before"] + redact(f"https://{found['rest']}").removeprefix("https://")
    return redact(found[0])


class HlsdlError(Exception):
    """Base of all errors of hlsdl.

    Attributes:
        message: one sentence, without a full stop; URLs in it are redacted.
        hint: what the person can do about it: the raiser's own words, redacted too, else those of the kind.
        url: the redacted URL concerned, or None.
        http_status: the HTTP status that caused it, or None.
        retryable: whether the same request may work if made again at once.
        code: the process exit code (contract §2).
        kind: a stable word for programs.
        resumable: whether running the same command again goes on where this one stopped.
    """

    code: int = 1
    kind: str = "internal"
    resumable: bool = False
    usual_hint: str | None = None
    resume_data: bytes | None = None
    """Of a failed file task: how to go on later (NSURLSessionDownloadTaskResumeData); never shown."""
    url_error_code: int | None = None
    """Of a file task that the server refused: Apple's number for it (NSURLError)."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        url: str | None = None,
        http_status: int | None = None,
        retryable: bool = False,
    ) -> None:
        self.message = redact_all(message)
        super().__init__(self.message)
        self.hint = redact_all(hint) if hint else self.usual_hint
        self.url = redact(url) if url is not None else None
        self.http_status = http_status
        self.retryable = retryable

    def __reduce__(self) -> tuple[Callable[..., HlsdlError], tuple[type[HlsdlError], tuple[object, ...]], object]:
        # By what it is and not by what it is made of: one that a pool of processes cannot read again ends the pool.
        return _read_again, (type(self), self.args), self.__dict__


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that stopped the work of a task group: the first one, out of however many groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _read_again(kind: type[HlsdlError], arguments: tuple[object, ...]) -> HlsdlError:
    """An error as it was, for pickle and copy, which give it the rest."""
    return kind.__new__(kind, *arguments)


class UsageError(HlsdlError):
    """What was asked for makes no sense: a wrong flag, a path that is no bundle."""

    code, kind = 2, "usage"
    usual_hint = "`hlsdl --help` and `hlsdl COMMAND --help` show what is possible"


class NetworkError(HlsdlError):
    """Connections failed, stalled or were cut more often than patience allows."""

    code, kind, resumable = 3, "network", True
    usual_hint = "run the same command again to go on where it stopped"


class HttpError(HlsdlError):
    """The server answered, and the answer is a permanent no; `http_status` says which.

    Attributes:
        challenge: the WWW-Authenticate field of a 401, or None.
    """

    code, kind = 4, "http-permanent"
    usual_hint = "check the address, and whether the server wants a login (--cookies, -H)"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        url: str | None = None,
        http_status: int | None = None,
        retryable: bool = False,
        challenge: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, url=url, http_status=http_status, retryable=retryable)
        self.challenge = challenge


class PlaylistError(HlsdlError):
    """Bytes that are no HLS playlist, or a playlist that breaks RFC 8216.

    Attributes:
        line: 1-based line number in the playlist, or None when it concerns the whole.
        reason: the message without place and address.
    """

    code, kind = 5, "playlist"
    usual_hint = "check that the address is an HLS playlist and not a web page; a login may need --cookies or -H"

    def __init__(
        self, reason: str, *, line: int | None = None, url: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(f"line {line}: {reason}" if line is not None else reason, url=url, hint=hint)
        self.reason = redact_all(reason)
        self.line = line


class SelectionError(HlsdlError):
    """A language, codec, ceiling or variant was asked for that the stream does not have."""

    code, kind = 6, "selection"
    usual_hint = "`hlsdl inspect` shows what the stream offers"


class ContentKeyError(HlsdlError):
    """A content key is missing, malformed, wrong, or belongs to a DRM system."""

    code, kind = 7, "key"
    usual_hint = "keys may need the login of the player: --cookies, -H, and --trust-origin for another host"


class IntegrityError(HlsdlError):
    """Bytes are damaged, truncated, or not what they must be."""

    code, kind = 8, "integrity"
    usual_hint = "`hlsdl verify` says what is damaged, `hlsdl repair` fetches it again"


class DiskError(HlsdlError):
    """The file system refused: full, read-only, over quota, an I/O error."""

    code, kind, resumable = 9, "disk", True
    usual_hint = "make room or choose another folder, then run the same command again"


class PolicyError(HlsdlError):
    """A rule about where we may go, or what may be written, says no."""

    code, kind = 10, "policy"
    usual_hint = "this guards against hostile playlists and servers; ask the one who runs this stream"


class LockedError(HlsdlError):
    """Another process holds this bundle's lock."""

    code, kind, resumable = 11, "locked", True
    usual_hint = "wait until the other process has ended"


class LimitError(HlsdlError):
    """A named limit on size, count or depth was reached; hostile or broken input."""

    code, kind = 12, "limit"
    usual_hint = "the limit guards against broken or hostile servers"


class LiveStreamError(HlsdlError):
    """The stream is live, and a finished one was asked for."""

    code, kind = 13, "live"
    usual_hint = "run it again when the stream has ended"


class Interrupted(HlsdlError):
    """The user stopped the work; what is on disk is sound."""

    code, kind, resumable = 130, "interrupted", True
    usual_hint = "run the same command again to go on where it stopped"
