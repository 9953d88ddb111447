"""Which sources a command line names."""

from __future__ import annotations

import io

import pytest

from hlsdl.cli.sources import read_sources
from hlsdl.errors import UsageError


def test_a_dash_stands_for_the_lines_of_stdin_in_its_place() -> None:
    stdin = io.StringIO("# films\n\n  https://a/1  \r\nhttps://a/2#part\n#https://a/3\n")
    assert read_sources(["x", "-", "y"], stdin) == ("x", "https://a/1", "https://a/2#part", "y")


def test_stdin_is_left_alone_without_a_dash() -> None:
    stdin = io.StringIO("https://a/1\n")
    assert read_sources(["x"], stdin) == ("x",)
    assert stdin.read() == "https://a/1\n"


def test_a_list_without_a_source_is_an_error() -> None:
    with pytest.raises(UsageError, match="standard input names no source"):
        read_sources(["-"], io.StringIO("# nothing\n"))


def test_an_empty_argument_is_an_error() -> None:
    with pytest.raises(UsageError, match="an empty source"):
        read_sources([""], io.StringIO())


def test_a_list_that_is_no_text_is_an_error() -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8")
    with pytest.raises(UsageError, match="not text"):
        read_sources(["-"], stdin)
