"""The error tree: every exit code is documented once, and no message carries a secret."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from hlsdl import errors
from hlsdl.errors import HlsdlError, redact
from hlsdl.sync.loop import LoopEnded
from hlsdl.tasks.file_task import FileRefused

CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 130}


def tree() -> list[type[HlsdlError]]:
    return [HlsdlError, *HlsdlError.__subclasses__()]


def test_every_error_has_its_own_code_and_kind() -> None:
    assert {one.code for one in tree()} == CODES - {0}
    assert len({one.kind for one in tree()}) == len(tree())


def test_the_docstring_draws_the_whole_tree() -> None:
    for one in tree():
        assert f"{one.__name__} " in str(errors.__doc__)
        assert f" {one.code} " in str(errors.__doc__)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@h.test/a?token=secret&x=1#f", "https://h.test/a?token=…&x=…"),
        ("https://h.test/a", "https://h.test/a"),
        ("data:text/plain;base64,MTIzNDU2Nzg5MDEyMzQ1Ng==", "data:text/plain;base64,…"),
        ("https://[::1", "<unreadable URL>"),
        ("", ""),
    ],
)
def test_redacting_keeps_names_and_drops_values(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_a_long_url_is_cut() -> None:
    assert len(redact("https://h.test/" + "a" * 9999)) == errors.LONGEST_URL_SHOWN


def test_an_error_never_holds_the_unredacted_url() -> None:
    error = HlsdlError("no", url="https://h.test/a?token=secret")
    assert "secret" not in repr(vars(error))


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_every_error_can_go_to_another_process(again: Callable[[HlsdlError], HlsdlError]) -> None:
    refusal = errors.HttpError("no", hint="ask", http_status=403, challenge="Basic")
    for error in (FileRefused(refusal), LoopEnded(), errors.PlaylistError("odd", line=7), refusal):
        read = again(error)
        assert (type(read), str(read), vars(read)) == (type(error), str(error), vars(error))
