"""The journal's lines: text to facts and back (docs/bundle-format.md §3).

Pure: bytes in, values out. Replay believes a line only when its CRC, its types and its path are right, and goes on
after any damage. Reading and appending the file is left to `ledger`, judging the result to `recovery`.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from itertools import islice
from json.encoder import encode_basestring_ascii as _quoted
from types import MappingProxyType
from typing import Any
from zlib import crc32

from hlsdl.bundle.layout import USUAL_MEDIA, is_object_path
from hlsdl.drafts import draft_of

VERSION = 1
LONGEST_LINE = 64 * 1024
LARGEST_NUMBER = 2**63 - 1
LONGEST_VALIDATOR = 1024
"""Characters of an ETag or Last-Modified that are kept; a longer one is not a validator worth having."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_TEXT = r'(?:null|"([ !#-\[\]-~]*(?:\\"[ !#-\[\]-~]*)*)")'
"""A validator as JSON: printable ASCII, in which nothing but the quotation mark is escaped."""
_SEG = re.compile(
    rf'([0-9a-f]{{8}}) \{{"t":"seg","path":"(?:({USUAL_MEDIA})|([0-9A-Za-z_./-]+))","size":([0-9]{{1,19}})'
    rf',"sha256":"([0-9a-f]{{64}})","etag":{_TEXT},"modified":{_TEXT},"verified":(true|false)\}}(?=\n|\Z)'
)
_PIECE = 256 * 1024
"""Bytes of the journal, and the rest of a line, that are looked at as text at a time."""
_HEADER = 9
"""Bytes of the CRC and the space after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored object."""

    path: str
    """Relative, with `/`."""
    size: int
    """Bytes."""
    sha256: str
    """64 lower-case hexadecimal digits, over the bytes as stored."""
    etag: str | None = None
    last_modified: str | None = None
    complete_length: int | None = None
    """Bytes of the whole resource that this is a byte range of, where there was no ETag to recognise it by."""
    length_verified: bool = True
    """Whether the transfer had a length that the bytes were checked against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Who began to change the bundle, and where: what recovery compares."""

    boot: str | None
    """The page cache it is written through (`page_cache_of`), or None where the system does not tell."""
    device: int
    inode: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalState:
    """What a journal says in the end."""

    entries: dict[str, Entry] = field(default_factory=dict)
    unsynced: frozenset[str] = frozenset()
    """Paths of entries that no checkpoint covers."""
    opening: Opening | None = None
    """The last one."""
    is_clean: bool = False
    """The last valid line is `close`."""
    damaged: int = 0
    """Lines that could not be believed."""
    is_torn: bool = False
    """The file does not end with a line end."""
    expected: dict[str, str] = field(default_factory=dict)
    """Path -> the SHA-256 that an object must have when it comes again, until the bundle is sealed."""
    wanted: frozenset[str] = frozenset()
    """Paths of entries whose files are damaged: they stay until their like has come."""
    replaced: dict[str, Entry] = field(default_factory=dict)
    """Path -> the entry of a damaged object, whose like has come and is not checkpointed."""
    sha256: str = field(default="", compare=False)
    """Of the text that says all this."""


def encode_line(record: Mapping[str, object]) -> bytes:
    """Return one journal line for `record`, line end included."""
    body = _to_json(record).encode()
    return b"%08x %b\n" % (crc32(body), body)


def decode_line(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line without its line end, or None when it cannot be believed."""
    if len(line) > LONGEST_LINE or line[_HEADER - 1 : _HEADER] != b" ":
        return None
    body = line[_HEADER:]
    if line[: _HEADER - 1] != b"%08x" % crc32(body):
        return None
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):  # a matching CRC proves nothing about who wrote it
        return None
    return record if isinstance(record, dict) else None


def opening_line(opening: Opening) -> bytes:
    """The `open` line."""
    place = {"boot": opening.boot, "device": opening.device, "inode": opening.inode, "pid": opening.pid}
    return encode_line({"t": "open", "v": VERSION, **place})


def entry_line(entry: Entry) -> bytes:
    """The `seg` line: this object is whole."""
    # There is one for each object, so it is put together by hand: a fifth of the time that `encode_line` takes.
    etag = "null" if entry.etag is None else _quoted(entry.etag)
    modified = "null" if entry.last_modified is None else _quoted(entry.last_modified)
    verified = "true" if entry.length_verified else "false"
    length = "" if entry.complete_length is None else f',"complete_length":{entry.complete_length}'
    body = (
        f'{{"t":"seg","path":{_quoted(entry.path)},"size":{entry.size},"sha256":"{entry.sha256}"'
        f',"etag":{etag},"modified":{modified},"verified":{verified}{length}}}'
    ).encode("ascii")
    return b"%08x %b\n" % (crc32(body), body)


def drop_line(path: str, was: str | None = None) -> bytes:
    """The `drop` line: this object is gone; `was` is the SHA-256 that it must have when it comes again."""
    return encode_line({"t": "drop", "path": path} | ({} if was is None else {"was": was}))


def want_line(path: str, sha256: str | None = None) -> bytes:
    """The `want` line: this object is damaged, and stays until another has come, which must have this SHA-256."""
    return encode_line({"t": "want", "path": path} | ({} if sha256 is None else {"sha256": sha256}))


def checkpoint_line(upto: int) -> bytes:
    """The `ckpt` line: everything that the first `upto` bytes speak of is on the device."""
    return encode_line({"t": "ckpt", "upto": upto})


def pause_line(reason: str) -> bytes:
    """The `pause` line."""
    return encode_line({"t": "pause", "reason": reason[:1000]})


def close_line() -> bytes:
    """The `close` line: a clean end."""
    return encode_line({"t": "close"})


def compact_journal(
    entries: Mapping[str, Entry], opening: Opening, wanted: Mapping[str, str | None] = MappingProxyType({})
) -> bytes:
    """Return a whole journal that says `entries`, all of them checkpointed, and ends cleanly.

    `wanted`: of those that are damaged, the SHA-256 that must come in their place, if it is known.
    """
    # Written on and on into one buffer: lists of lines and sums of bytes would be the largest thing of a long job.
    text = BytesIO()
    text.write(opening_line(opening))
    text.writelines(map(entry_line, map(entries.__getitem__, sorted(entries))))
    text.writelines(want_line(path, must_have) for path, must_have in sorted(wanted.items()))
    text.write(checkpoint_line(text.tell()) + close_line())
    return text.getvalue()


def replay(data: bytes, known: JournalState | None = None) -> JournalState:
    """Return what a journal says; damaged lines are counted and skipped. Linear in the length of `data`.

    `known` is what an earlier look gave: it is returned when the text is still the same.
    """
    digest = sha256(data).hexdigest()
    return known if known is not None and known.sha256 == digest else _replayed(data, digest)


def _replayed(data: bytes, digest: str) -> JournalState:
    entries: dict[str, Entry] = {}
    # Where the line of each of the latest entries ends, its path, and how many of them a checkpoint covers. Two lists,
    # since a tuple for each would be one more object for the garbage collector to look at.
    ends: list[int] = []
    paths: list[str] = []
    covered = 0
    opening: Opening | None = None
    is_clean = False
    damaged = 0
    damage = _Damage(entries)
    for end, said in _said(data):
        if isinstance(said, Entry):
            is_clean = False
            if said.path in damage.wanted:
                damage.replaced_by(said)
            entries[said.path] = said
            ends.append(end)
            paths.append(said.path)
            continue
        if said is None:
            damaged += 1
            continue
        kind = said.get("t")
        is_clean = kind == "close"
        if kind == "seg":  # what was stored cannot be read
            damaged += 1
        elif kind in ("drop", "want"):
            damage.note(said)
        elif kind == "ckpt":
            covered = bisect_right(ends, _number(said.get("upto")) or 0, covered)
            if covered > len(ends) // 2:  # forgotten when they are most of it: each is moved about once
                del ends[:covered], paths[:covered]
                covered = 0
        elif kind == "open":
            opening = _read_opening(said) or opening
    unsynced = frozenset(path for path in islice(paths, covered, None) if path in entries)
    return JournalState(
        entries=entries,
        unsynced=unsynced,
        opening=opening,
        is_clean=is_clean,
        damaged=damaged,
        is_torn=bool(data) and not data.endswith(b"\n"),
        expected=damage.expected,
        wanted=frozenset(damage.wanted),
        replaced={path: one for path, one in damage.replaced.items() if path in unsynced},
        sha256=digest,
    )


class _Damage:
    """What `drop` and `want` lines say, in turn, of the entries so far."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries
        self.expected: dict[str, str] = {}
        self.wanted: set[str] = set()
        self.replaced: dict[str, Entry] = {}

    def note(self, said: Mapping[str, Any]) -> None:
        """A `drop` or `want` line."""
        path, is_gone = str(said.get("path")), said.get("t") == "drop"
        must_have = said.get("was" if is_gone else "sha256")
        if is_gone:
            self._entries.pop(path, None)
        if isinstance(must_have, str) and _SHA256.fullmatch(must_have):
            self.expected[path] = must_have
        elif not is_gone:
            self.expected.pop(path, None)
        (self.wanted.add if path in self._entries else self.wanted.discard)(path)

    def replaced_by(self, entry: Entry) -> None:
        """Something has come for what is wanted."""
        self.wanted.discard(entry.path)
        self.replaced[entry.path] = self._entries[entry.path]


def changes(data: bytes) -> Iterator[tuple[str, Entry | None]]:
    """What whole lines of a journal say in turn: (path, its entry), or (path, None) when it is gone."""
    for _, said in _said(data):
        if isinstance(said, Entry):
            yield said.path, said
        elif said is not None and said.get("t") == "drop":
            yield str(said.get("path")), None


def _said(data: bytes) -> Iterator[tuple[int, Entry | dict[str, Any] | None]]:
    """Each line that is not empty: (where it ends, what it says).

    That is the entry of a `seg` line, the record of any other (and of a `seg` line without a readable entry), or None
    for a line that cannot be believed.
    """
    for start, text in _pieces(data):
        at, size = 0, len(text)
        while at < size:
            found = _SEG.match(text, at)
            stop = text.find("\n", at) if found is None else found.end()
            if stop < 0:
                stop = size
            begins, ends = start + at, start + stop
            at = stop + 1
            after = ends if stop == size else ends + 1
            if found is not None and (entry := _usual_entry(found, data[begins + _HEADER : ends])) is not None:
                yield after, entry
            elif begins < ends:
                record = decode_line(data[begins:ends])
                entry = _read_entry(record) if record is not None and record.get("t") == "seg" else None
                yield after, entry or record


def _pieces(data: bytes) -> Iterator[tuple[int, str]]:
    """Whole lines: (where they begin, the text in which each character stands for one byte).

    The groups of a match in text are texts already: a sixth of the time, and a piece at a time it takes no memory.
    """
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + _PIECE) + 1 or len(data)
        yield start, data[start:end].decode("latin-1")
        start = end


_Draft = draft_of(Entry)


def new_entry(
    path: str,
    size: int,
    digest: str,
    *,
    etag: str | None,
    last_modified: str | None,
    complete_length: int | None,
    length_verified: bool,
) -> Entry:
    """`Entry(...)`, in a quarter of the time."""
    draft = _Draft()
    draft.path = path
    draft.size = size
    draft.sha256 = digest
    draft.etag = etag
    draft.last_modified = last_modified
    draft.complete_length = complete_length
    draft.length_verified = length_verified
    draft.__class__ = Entry
    entry: Entry = draft
    return entry


def _usual_entry(found: re.Match[str], body: bytes) -> Entry | None:
    """The entry of a `seg` line as `entry_line` writes it, in a quarter of the time; None: look more closely.

    `body` is what stands behind the CRC, as bytes.
    """
    crc, usual, other, size, digest, etag, modified, verified = found.groups()
    number = int(size)
    if int(crc, 16) != crc32(body) or len(body) > LONGEST_LINE - _HEADER or number > LARGEST_NUMBER:
        return None
    if usual is None and not is_object_path(other):
        return None
    etag = None if etag is None else etag.replace('\\"', '"')
    modified = None if modified is None else modified.replace('\\"', '"')
    return new_entry(
        usual or other,
        number,
        digest,
        etag=etag,
        last_modified=modified,
        complete_length=None,
        length_verified=verified == "true",
    )


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= LARGEST_NUMBER else None


def _read_entry(record: dict[str, Any]) -> Entry | None:
    path, size, digest = record.get("path"), _number(record.get("size")), record.get("sha256")
    etag, modified = record.get("etag"), record.get("modified")
    if size is None or not (isinstance(path, str) and is_object_path(path)):
        return None
    if not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        return None
    if not all(value is None or isinstance(value, str) for value in (etag, modified)):
        return None
    return Entry(
        path=path,
        size=size,
        sha256=digest,
        etag=etag,
        last_modified=modified,
        complete_length=_number(record.get("complete_length")),
        length_verified=record.get("verified") is True,
    )


def _read_opening(record: dict[str, Any]) -> Opening | None:
    boot, pid = record.get("boot"), record.get("pid")
    device, inode = record.get("device"), record.get("inode")
    if not ((boot is None or isinstance(boot, str)) and type(device) is int and type(inode) is int):
        return None
    return Opening(boot=boot, device=device, inode=inode, pid=pid if type(pid) is int else 0)
