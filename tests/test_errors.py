"""The error tree: every exit code is documented once, and no message carries a secret."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hlsdl import errors
from hlsdl.errors import HlsdlError, redact, redact_all
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
        ("https://h.test/a?secret", "https://h.test/a?…"),
        ("https://h.test/a?x=1&secret", "https://h.test/a?x=…&…"),
        ("https://h.test/a?c2VjcmV0Cg==", "https://h.test/a?…"),
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


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("(https://a.test/b?t=secret)", "(https://a.test/b?t=…)"),
        ("https://a.test/b?t=secret, then", "https://a.test/b?t=…, then"),
        ('URI="https://a.test/b?t=secret" is bad', 'URI="https://a.test/b?t=…" is bad'),
        ("`https://a.test/b?t=a secret` and `c d`", "`https://a.test/b?t=…` and `c d`"),
        ("`https://a.test/a`b?t=secret`", "`https://a.test/a`b?t=…`"),
        ("the key `SKD://me:secret@a?t=secret`", "the key `SKD://a?t=…`"),
        ("`data:text/plain;base64,secret`", "`data:text/plain;base64,…`"),
        ("there is no flag `--data:text/plain;base64,secret`", "there is no flag `--data:text/plain;base64,…`"),
        ("`1https://a.test?t=secret`", "`1https://a.test?t=…`"),
        ("`_https:/me:secret@a.test/?t=secret`", "`_https:/a.test/?t=…`"),
        ("`https:a.test/b?t=secret`", "`https:a.test/b?t=…`"),
        ("`https//me:secret@a.test/b?t=secret`", "`https//a.test/b?t=…`"),
        ("`//me:secret@a.test/b?t=secret`", "`//…@a.test/b?t=…`"),
        ("`//secret@a.test/b`", "`//…@a.test/b`"),
        ("`/srv/me@b.test:secret@a.test/b`", "`/srv/…@a.test/b`"),
        ("`secret@a.test/b`", "`…@a.test/b`"),
        ("`a.test/b?t=a secret&u`", "`a.test/b?t=…&…`"),
        ("`localhost:80/b#secret`", "`localhost:80/b`"),
        ("`localhost/b#secret`", "`localhost/b`"),
        ("`[::1]:80/b#secret`", "`[::1]:80/b`"),
        ("`a.test#t=secret`", "`a.test`"),
        ("`a.test/b?u#t=secret`", "`a.test/b?…`"),
        ("`a.test/b?u#secret`", "`a.test/b?…`"),
        ("`a.test?u#secret`", "`a.test?…`"),
        ("`a.test/b?u=secret#secret`", "`a.test/b?u=…`"),
        ("`//a.test/b#secret`", "`//a.test/b`"),
        ("`a.test/b?u&t=secret`", "`a.test/b?…&t=…`"),
        ("`htps:/a/b?&t=secret`", "`htps:/a/b?t=…`"),
        ("`a/b?=secret`", "`a/b?=…`"),
    ],
)
def test_a_message_repeats_no_secret_of_an_address_and_is_whole_around_it(told: str, shown: str) -> None:
    assert redact_all(told) == shown
    assert redact_all(shown) == shown


@pytest.mark.parametrize(
    "told",
    [
        "nothing is there: `disk:/film #1?.movpkg`",
        "`D:/films/a?b` is no bundle",
        r"`C:\films\me@home #1` is locked",
        "there is no file `films/what?.movpkg`",
        "nothing is there: `/films/take#3=final.movpkg`, nor `take#3=final.movpkg`, nor `take.1#3.movpkg`",
        "`/home/me@work/a.b/film #1` is no folder",
        '`#EXT-X-SESSION-DATA:DATA-ID="a",VALUE="b"`',
        "write `https://` before it: is it `http:`? Or `data:`, or 12:30, or 3://4",
    ],
)
def test_what_is_no_address_is_told_as_it_is(told: str) -> None:
    assert redact_all(told) == told


def test_nothing_that_hlsdl_itself_says_looks_like_a_secret() -> None:
    """Each text of the program that has words: a hint that is shown in part would be none."""
    texts = {
        (path.name, node.value)
        for path in Path(errors.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(".*[a-z] [a-z].*", node.value)
    }
    assert len(texts) > 1000
    assert {(name, text) for name, text in texts if redact_all(text) != text} == set()


def test_an_error_never_holds_what_is_secret_in_a_url() -> None:
    url = "https://h.test/a?token=secret"
    for error in (HlsdlError(f"no `{url}`", hint=f"not {url}", url=url), errors.PlaylistError(f"no `{url}`", url=url)):
        assert "secret" not in repr((vars(error), error.args))


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_every_error_can_go_to_another_process(again: Callable[[HlsdlError], HlsdlError]) -> None:
    refusal = errors.HttpError("no", hint="ask", http_status=403, challenge="Basic")
    for error in (FileRefused(refusal), LoopEnded(), errors.PlaylistError("odd", line=7), refusal):
        read = again(error)
        assert (type(read), str(read), vars(read)) == (type(error), str(error), vars(error))
