"""Every exception that can reach the door, as an `HlsdlError`: a sentence, a hint and a code, never a traceback."""

from __future__ import annotations

import errno
import os
import re
import traceback
from pathlib import Path

from hlsdl.errors import DiskError, HlsdlError, Interrupted, UsageError

FULL_OR_READ_ONLY = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO})
REPORT_HINT = "please report it to the project, with what `HLSDL_DEBUG=1` and `-v -v` add to this message"


def as_error(error: BaseException) -> HlsdlError:
    """Return the `HlsdlError` that says what `error` means to the user."""
    if isinstance(error, HlsdlError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return interrupted()
    if isinstance(error, BaseExceptionGroup):
        parts = [as_error(part) for part in error.exceptions]
        return next((part for part in parts if part.code != HlsdlError.code), parts[0])
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes | Path):
        from hlsdl.bundle.durable import disk_error  # is loaded with everything else that opens files

        return disk_error(error, os.fsdecode(error.filename))
    if isinstance(error, OSError) and error.errno in FULL_OR_READ_ONLY:
        return DiskError(f"the disk refused: {error.strerror}")
    return HlsdlError(f"hlsdl has a defect: `{type(error).__name__}` {_place(error)}", hint=REPORT_HINT)


def interrupted() -> Interrupted:
    """Return the interrupt of something that leaves nothing to go on with, so that it must not say so."""
    error = Interrupted("interrupted")
    error.hint = None
    return error


def was_interrupted(error: BaseException) -> bool:
    """Whether this is a `KeyboardInterrupt`, or what somebody made of one who was building something just then."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen and not isinstance(cause, HlsdlError):
        if isinstance(cause, KeyboardInterrupt):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def usage_error(error: Exception, *, command: str) -> UsageError:
    """Return what Typer says about a command line, in our words. `command` is how far the line was understood."""
    hint = f"`{command} --help` shows how it is used"
    option = getattr(error, "option_name", None)
    near = getattr(error, "possibilities", None)
    if option is not None and near is not None:
        return UsageError(f"there is no flag `{option}`", hint=f"did you mean `{min(near)}`?" if near else hint)
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    text = " ".join(text.split()).rstrip(".").replace("Value error, ", "")
    text = re.sub(r"^Got unexpected extra argument\(s\) \((.*)\)$", r"too many arguments: '\1'", text)
    if text.startswith("No such command") and "://" in text:
        hint = "`hlsdl fetch URL` stores what is there"
    text, _, question = text.partition(". Did you mean ")
    if question:
        hint = f"did you mean {question.replace(chr(39), '`')}"
    return UsageError(_lower_first(text.replace("'", "`")), hint=hint)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{Path(__file__).parent.parent.name}/" in Path(frame.filename).as_posix()]
    last = (ours or list(frames))[-1:]
    return f"in `{Path(last[0].filename).name}`, line {last[0].lineno}" if last else "before it began"
