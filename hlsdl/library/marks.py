"""Marks: how a user's machine knows again what was done on it, when somebody else may have written that down.

A mark is a keyed hash (HMAC-SHA-256) of facts. Its key stays in the user's data folder, so a mark that fits was made
here. Without the key, or a place to keep one, there are no marks; whoever asks for one goes on without.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from hlsdl.bundle.durable import flush, sync_directory, write_all
from hlsdl.errors import DiskError
from hlsdl.library.places import mark_key_file

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

Fact = str | int | None

_KEY_BYTES = 32
_WRITTEN_KEY = re.compile(rb"[0-9a-f]{%d}\n" % (2 * _KEY_BYTES))
"""In digits: what a power cut leaves of a file (nothing, zeros) is no key."""


def mark_of(*facts: Fact, root: Path | None = None) -> str | None:
    """The mark of some facts, or None where no key can be kept. `root` stands for the data folder."""
    try:
        place = mark_key_file(root)
        key = _read_key(place) or _make_key(place)
    except (OSError, DiskError) as error:
        logger.info("no mark can be made: %s", error)
        return None
    return _mark(key, facts) if key is not None else None


def is_mark_of(mark: object, *facts: Fact, root: Path | None = None) -> bool:
    """Whether `mark`, which anybody may have written, is that of these facts and was made here."""
    try:
        key = _read_key(mark_key_file(root))
    except (OSError, DiskError) as error:
        logger.info("no mark can be looked at: %s", error)
        return False
    known = isinstance(mark, str) and mark.isascii() and key is not None
    return known and hmac.compare_digest(str(mark), _mark(key or b"", facts))


def _mark(key: bytes, facts: tuple[Fact, ...]) -> str:
    return hmac.new(key, json.dumps(facts).encode(), hashlib.sha256).hexdigest()


def _read_key(place: Path) -> bytes | None:
    try:
        with place.open("rb") as file:
            written = file.read(2 * _KEY_BYTES + 2)
    except FileNotFoundError:
        return None
    return bytes.fromhex(written.decode()) if _WRITTEN_KEY.fullmatch(written) else None


def _make_key(place: Path) -> bytes | None:
    """Make the key, whole or not at all; the one of another process that was faster stays."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            write_all(file.fileno(), secrets.token_hex(_KEY_BYTES).encode() + b"\n")
            flush(file.fileno())
        try:
            os.link(temporary, place)  # which takes no other's place
        except OSError:  # something is there, or this file system has no second names
            _replace_what_is_no_key(place, temporary)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(place.parent)  # a mark of a key that a power cut takes would be worth nothing
    return _read_key(place)


def _replace_what_is_no_key(place: Path, temporary: Path) -> None:
    """Look again, one process after the other: a key that was looked at and replaced may have made a mark between."""
    with ExitStack() as stack:
        if sys.platform != "win32":  # which replaces no open file
            left = stack.enter_context(place.open("ab"))
            with suppress(OSError):  # this file system has no locks either
                fcntl.flock(left, fcntl.LOCK_EX)
        if _read_key(place) is None:
            temporary.replace(place)
