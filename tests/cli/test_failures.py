"""Whatever goes wrong becomes a sentence and an exit code."""

from __future__ import annotations

import asyncio
import errno

import pytest

from hlsdl.cli.failures import as_error, was_interrupted
from hlsdl.errors import HttpError, NetworkError


def broken() -> None:
    {}["key"]


def test_our_own_errors_stay_as_they_are() -> None:
    error = HttpError("the server answered 404")
    assert as_error(error) is error


def test_a_defect_says_where_and_asks_for_a_report() -> None:
    with pytest.raises(KeyError) as caught:
        broken()
    error = as_error(caught.value)
    assert error.code == 1
    assert error.message.startswith("hlsdl has a defect: `KeyError` in `test_failures.py`, line ")
    assert "report" in (error.hint or "")
    assert "key" not in error.message


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, 9), (errno.EROFS, 9), (errno.EDQUOT, 9), (errno.ENOENT, 1)]
)
def test_a_disk_that_refuses_is_told_from_a_defect(number: int, code: int) -> None:
    assert as_error(OSError(number, "text")).code == code


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EACCES, errno.ELOOP, errno.EIO])
def test_a_path_that_the_system_refuses_is_no_defect(number: int) -> None:
    error = as_error(OSError(number, "text", "films/a.txt"))
    assert error.code in (9, 10)
    assert "`films/a.txt`" in error.message
    assert as_error(OSError(number, "text", 7)).code == as_error(OSError(number, "text")).code


def test_an_interrupt_is_known_by_what_was_made_of_it() -> None:
    made = RuntimeError("a class could not be built")
    made.__cause__ = KeyboardInterrupt()
    assert was_interrupted(KeyboardInterrupt())
    assert was_interrupted(made)
    ours = HttpError("the server answers 404")
    ours.__context__ = KeyboardInterrupt()
    assert not was_interrupted(ours)
    assert not was_interrupted(OSError(errno.ENOSPC, "full"))


def test_ctrl_c_is_130() -> None:
    assert as_error(KeyboardInterrupt()).code == 130


def test_a_group_is_what_its_first_telling_member_is() -> None:
    group = ExceptionGroup("several", [KeyError("x"), NetworkError("connections are refused")])
    assert as_error(group).code == 3
    assert as_error(BaseExceptionGroup("one", [asyncio.CancelledError()])).code == 1
