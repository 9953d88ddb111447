"""Byte ranges: what to ask for, and what an answer means for the bytes already held.

Pure: decisions as values. The rules: restart beats splice; bytes are appended only when a strong validator says that
they belong to what is held; anything doubtful is discarded and asked for anew (RFC 9110 §13.1.5, §14, §15.3.7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from hlsdl.transfer.sink import Validator

if TYPE_CHECKING:
    from hlsdl.playlist.models import ByteRange

DATE_STRENGTH = 60.0
"""Seconds by which Last-Modified must be older than Date to be a strong validator."""

OF_ALL = frozenset({200, 203})
"""Statuses of an answer that brings the whole entity."""

_CONTENT_RANGE = re.compile(r"bytes\s+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_UNSATISFIED = re.compile(r"bytes\s+\*/([0-9]{1,19})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is still missing of a resource."""

    byte_range: ByteRange | None = None
    """The part of the entity that the playlist names; None: all of it."""
    held: int = 0
    """Bytes of that part already in the sink."""
    validator: Validator | None = None
    """Of the bytes held."""
    total: int | None = None
    """Length of the whole entity, when an earlier answer told it."""
    by_range: bool = True
    """False: ask for the whole entity, since an answer to a range was wrong."""

    @property
    def first(self) -> int:
        """Offset in the entity of the first missing byte."""
        return (self.byte_range.offset if self.byte_range else 0) + self.held

    @property
    def last(self) -> int | None:
        """Offset of the last byte wanted; None: the end."""
        return self.byte_range.end - 1 if self.byte_range else None

    @property
    def asks_for_range(self) -> bool:
        """Whether the request carries a Range header."""
        return self.by_range and (self.byte_range is not None or self.held > 0)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Range, and If-Range when bytes are held."""
        if not self.asks_for_range:
            return ()
        last = "" if self.last is None else str(self.last)
        asked = (("Range", f"bytes={self.first}-{last}"),)
        if self.held == 0 or self.validator is None:
            return asked
        condition = self.validator.etag or self.validator.last_modified
        return (*asked, ("If-Range", condition)) if condition else asked


@dataclass(slots=True, kw_only=True)
class Take:
    """Use the body: drop `skip` bytes, then take `length` (None: all). Nobody changes one; see `doors.Question`."""

    restart: bool
    """Forget what is held first; otherwise append."""
    skip: int = 0
    length: int | None = None
    body_length: int | None = None
    """Bytes the whole body must have; None: unknown."""
    whole: bool = True
    """Whether the resource is complete afterwards; False for a 206 that is shorter than asked."""
    total: int | None = None
    """Length of the entity."""


WHOLE = Wanted()
"""All of a resource of which nothing is held or known yet, as nearly always."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Nothing is missing: 416, and the entity is exactly as long as what is held, as far as its length is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """The answer cannot be used; forget what is held and ask again."""

    reason: str
    """Half a sentence: the server … ."""
    by_range: bool
    """Whether to use a Range header next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLargeToSlice:
    """The server ignores ranges, and the entity is too large to fetch it whole for a part."""

    total: int | None


Decision = Take | Complete | Discard | TooLargeToSlice


def read_validator(headers: Mapping[str, str]) -> Validator:
    """The validator of a response (lower-case header names), with its strength."""
    etag, modified = headers.get("etag"), headers.get("last-modified")
    if etag is not None and not _ETAG.fullmatch(etag):
        etag = None
    if etag is not None:
        return Validator(etag=etag, last_modified=modified, strong=not etag.startswith("W/"))
    age = _age(modified, headers.get("date"))
    return Validator(last_modified=modified, strong=age is not None and age >= DATE_STRENGTH)


def _age(modified: str | None, date: str | None) -> float | None:
    if modified is None or date is None:
        return None
    try:
        return (parsedate_to_datetime(date) - parsedate_to_datetime(modified)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def read_length(headers: Mapping[str, str]) -> int | None:
    """The length of the entity that the Content-Range of a 206 tells; None when it does not, or is not as it came."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    encoded = headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}
    return None if found is None or found[3] == "*" or encoded else int(found[3])


def is_whole(headers: Mapping[str, str], content_length: int | None) -> bool:
    """Whether a 206 that nobody asked for brings all there is, and says so (RFC 9110 §15.3.7 allows neither)."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None or found[3] == "*" or int(found[1]) != 0:
        return False
    return int(found[2]) + 1 == int(found[3]) and content_length in {None, int(found[3])}


def may_resume(held: int, validator: Validator | None, *, least: int) -> bool:
    """Whether `held` bytes are worth keeping, and safe to append to."""
    return held > 0 and held >= least and validator is not None and validator.strong


def read_range_answer(
    wanted: Wanted, *, status: int, headers: Mapping[str, str], content_length: int | None, slice_limit: int
) -> Decision:
    """Decide what a 200, 206 or 416 means; `headers` have lower-case names.

    A 206 to a question without a range is one that `is_whole`: `exchange` lets no other pass.
    """
    if status == 416:
        return _read_416(wanted, headers)
    if status == 206 and wanted.asks_for_range:
        return _read_206(wanted, headers, content_length)
    return _read_200(wanted, read_length(headers) if status == 206 else content_length, slice_limit)


def _read_416(wanted: Wanted, headers: Mapping[str, str]) -> Decision:
    found = _UNSATISFIED.fullmatch(headers.get("content-range", "").strip())
    length = int(found[1]) if found is not None else None
    # An earlier answer may have announced more than is held: then it is not this one that is to be believed.
    if wanted.byte_range is None and 0 < wanted.held == length and wanted.total in {None, length}:
        return Complete()
    return Discard(reason="says that the range asked for does not exist", by_range=wanted.byte_range is not None)


def _read_200(wanted: Wanted, content_length: int | None, slice_limit: int) -> Decision:
    if wanted.byte_range is None:
        return Take(restart=True, body_length=content_length, total=content_length)
    if content_length is not None and content_length < wanted.byte_range.end:
        return Discard(reason="has less of the resource than the playlist says", by_range=True)
    if max(content_length or 0, wanted.byte_range.end) > slice_limit:
        return TooLargeToSlice(total=content_length)
    return Take(
        restart=True,
        skip=wanted.byte_range.offset,
        length=wanted.byte_range.length,
        body_length=content_length,
        total=content_length,
    )


def _read_206(wanted: Wanted, headers: Mapping[str, str], content_length: int | None) -> Decision:
    if headers.get("content-type", "").lower().startswith("multipart/"):
        return Discard(reason="answers with several parts where one was asked for", by_range=False)
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None:
        return Discard(reason="answers with a part and does not say which", by_range=False)
    first, last = int(found[1]), int(found[2])
    total = wanted.total if found[3] == "*" else int(found[3])
    reason = _contradiction(wanted, first, last, total, content_length)
    if reason is None and wanted.held and not _same(wanted.validator, read_validator(headers)):
        reason = "answers with a part of another version"
    if reason is not None:
        return Discard(reason=reason, by_range=False)
    # Where nobody says how long it is, a part is not known to be the last one: more is asked for, until there is none.
    end = wanted.last if wanted.last is not None else (None if total is None else total - 1)
    whole = last == end
    if not whole and not read_validator(headers).strong:
        return Discard(reason="sends less than asked for, and nothing to recognise the rest by", by_range=False)
    return Take(restart=wanted.held == 0, body_length=last - first + 1, whole=whole, total=total)


def _contradiction(wanted: Wanted, first: int, last: int, total: int | None, content_length: int | None) -> str | None:
    if first != wanted.first:
        return "answers with another part than asked for"
    if last < first or (wanted.last is not None and last > wanted.last) or (total is not None and last >= total):
        return "answers with an impossible range"
    if content_length is not None and content_length != last - first + 1:
        return "answers with a length that does not fit the range"
    if total is not None and wanted.total is not None and total != wanted.total:
        return "changed the length of the resource between two parts"
    return None


def _same(held: Validator | None, given: Validator) -> bool:
    if held is None:
        return False
    if held.etag is not None:
        return held.etag == given.etag
    return held.last_modified is not None and held.last_modified == given.last_modified
