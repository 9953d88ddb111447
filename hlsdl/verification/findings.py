"""What a verification found: findings with stable codes, and the report they make up.

Plain values; `structure` and `media` produce them, the doors show them, `session` repairs by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """The bundle is not whole or not closed; `verify` fails."""
    WARNING = "warning"
    """Odd, but what was asked for is there and plays as far as structure can tell."""


class Code(StrEnum):
    """Every kind of finding. The values are public and never renamed."""

    MISSING = "missing"
    """A listed file is not there."""
    NOT_REGULAR = "not-regular"
    """A link, folder, pipe or device stands where a file must be."""
    UNREADABLE = "unreadable"
    """The file is there and the disk or its mode refuses to give its bytes."""
    SIZE_MISMATCH = "size-mismatch"
    """The file has another length than was stored."""
    HASH_MISMATCH = "hash-mismatch"
    """The bytes are not those that were stored."""
    MALFORMED = "malformed"
    """The bytes are those of the origin, but cut short, empty, or not media at all."""
    ODD_CONTAINER = "odd-container"
    """A container that we do not know, or one with oddities that players step over."""
    FOREIGN = "foreign"
    """A file that is not part of the bundle."""
    LEFTOVER = "leftover"
    """A temporary of an interrupted run."""
    EXPOSED = "exposed"
    """Other users of this machine can read a key."""
    BAD_KEY = "bad-key"
    """A stored key does not have the length of one."""
    OPEN_URI = "open-uri"
    """A local playlist would make a player leave the bundle."""
    UNLISTED = "unlisted"
    """A local playlist names a file that the journal or the manifest does not list."""
    UNUSED = "unused"
    """A stored segment that no local playlist names."""
    BAD_PLAYLIST = "bad-playlist"
    """A local or stored playlist cannot be parsed."""
    NOT_SEALED = "not-sealed"
    """A local media playlist lacks ENDLIST or PLAYLIST-TYPE:VOD."""
    ORDER_MISMATCH = "order-mismatch"
    """A local playlist has other segments, or another order of them, than its source."""
    COUNT_MISMATCH = "count-mismatch"
    """What the manifest claims about a stream is not what is stored."""
    ABSENT_SEGMENT = "absent-segment"
    """The origin itself had lost the segment; the local playlist declares it as a gap."""
    JOURNAL_DAMAGED = "journal-damaged"
    """The journal, or its sealed beginning, is not as it was written."""
    INCOMPLETE = "incomplete"
    """The download has not finished; what is here was checked."""
    PROTECTED = "protected"
    """The stream needs a key system that is not ours: it cannot be played or decoded here."""
    UNDECODABLE = "undecodable"
    """ffmpeg gets nothing out of a stream, or far less than its playlist says (deep)."""
    DECODE_ERRORS = "decode-errors"
    """ffmpeg decodes the stream and complains (deep)."""
    DURATION_MISMATCH = "duration-mismatch"
    """The decoded duration is not that of the playlist (deep)."""


DAMAGED_CODES = frozenset(
    {
        Code.MISSING,
        Code.NOT_REGULAR,
        Code.UNREADABLE,
        Code.SIZE_MISMATCH,
        Code.HASH_MISMATCH,
        Code.MALFORMED,
        Code.BAD_KEY,
    }
)
"""Findings about one stored file that fetching or deriving it again can cure."""


UNREADABLE_CODES = frozenset({Code.MISSING, Code.NOT_REGULAR, Code.UNREADABLE, Code.SIZE_MISMATCH})
"""Findings about one stored file that leave nothing to look at inside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    code: Code
    severity: Severity
    path: str
    """The file concerned, relative to the bundle, with `/`; empty when it concerns the whole."""
    message: str
    """One sentence, without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one verification."""

    files: int
    """Listed files that were looked at."""
    bytes: int
    """Bytes that were read and hashed."""
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is no error (warnings may be)."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def damaged(self) -> tuple[str, ...]:
        """Paths of the files to fetch or derive again, in order and once each."""
        return tuple(dict.fromkeys(f.path for f in self.findings if f.code in DAMAGED_CODES and f.path))

    def to_document(self) -> dict[str, object]:
        """The `hlsdl.verify/1` document."""
        return {
            "schema": "hlsdl.verify/1",
            "ok": self.ok,
            "files": self.files,
            "bytes": self.bytes,
            "findings": [
                {
                    "code": str(finding.code),
                    "severity": str(finding.severity),
                    "path": finding.path,
                    "message": finding.message,
                }
                for finding in self.findings
            ],
        }


def error(code: Code, path: str, message: str) -> Finding:
    """A finding that makes the bundle fail."""
    return Finding(code=code, severity=Severity.ERROR, path=path, message=message)


def warning(code: Code, path: str, message: str) -> Finding:
    """A finding that does not."""
    return Finding(code=code, severity=Severity.WARNING, path=path, message=message)
