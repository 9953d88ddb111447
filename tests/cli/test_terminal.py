"""Data on stdout, everything else on stderr, and what each of them looks like."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import pytest

from cli.terminals import Failing, err, on_screen, out, piped
from hlsdl.cli.blocks import UNSAFE, Lines
from hlsdl.errors import DiskError, HttpError, NetworkError, PlaylistError

REFUSED = HttpError(
    "the server answered 403", url="https://me:pw@a.example/s.m3u8?token=s3cret", http_status=403, hint="ask for access"
)


def test_an_error_is_a_sentence_and_a_hint_on_stderr() -> None:
    terminal = piped()
    terminal.error(REFUSED)
    assert err(terminal) == (
        "error: the server answered 403 (https://a.example/s.m3u8?token=…)\nhint: ask for access\n"
    )
    assert out(terminal) == ""


def test_an_error_with_json_is_also_one_document_on_stdout() -> None:
    terminal = piped(json=True)
    terminal.error(REFUSED)
    assert json.loads(out(terminal)) == {
        "schema": "hlsdl.error/1",
        "code": 4,
        "kind": "http-permanent",
        "message": "the server answered 403",
        "hint": "ask for access",
        "url": "https://a.example/s.m3u8?token=…",
        "http_status": 403,
        "resumable": False,
    }
    assert out(terminal).count("\n") == 1


def test_a_document_cannot_drive_the_terminal_and_says_the_same() -> None:
    every = "\x1b\x9b31m\u202e\u2028ü\x7f"
    terminal = piped(json=True)
    terminal.document({"title": every})
    assert not UNSAFE.search(out(terminal).rstrip("\n"))
    assert "ü" in out(terminal)
    assert json.loads(out(terminal)) == {"title": every}


def test_among_several_sources_an_error_says_whose_it_is() -> None:
    terminal = piped(json=True)
    terminal.error(NetworkError("connections are refused"), source="https://a.example/")
    assert json.loads(out(terminal))["source"] == "https://a.example/"


def test_the_address_is_not_said_twice() -> None:
    terminal = piped()
    terminal.error(PlaylistError("`https://a.example/x` is no playlist", url="https://a.example/x"))
    assert err(terminal).count("https://a.example/x") == 1


def test_an_error_that_quotes_a_server_cannot_drive_the_terminal() -> None:
    terminal = on_screen()
    terminal.error(PlaylistError("the server says \x1b]0;pwned\x07"))
    assert "\x1b]0" not in err(terminal)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_is_left_out_on_request(environment: dict[str, str]) -> None:
    terminal = on_screen(environment=environment)
    terminal.error(REFUSED)
    assert "\x1b" not in err(terminal)


def test_colour_is_used_on_a_terminal() -> None:
    terminal = on_screen()
    terminal.error(REFUSED)
    assert err(terminal).startswith("\x1b[31merror:\x1b[0m ")


def test_quiet_leaves_only_errors() -> None:
    terminal = piped(quiet=True)
    terminal.note("a")
    terminal.warn("b")
    terminal.error(PlaylistError("c", hint="d"))
    assert err(terminal) == "error: c\nhint: d\n"


def test_with_progress_json_every_line_on_stderr_is_an_object() -> None:
    terminal = piped(progress="json")
    terminal.note("a\nb")
    terminal.warn("c")
    terminal.log("info", "d")
    terminal.error(REFUSED)
    lines = [json.loads(line) for line in err(terminal).splitlines()]
    assert [line["event"] for line in lines] == ["note", "warning", "log", "error"]
    assert lines[3]["code"] == 4


@pytest.mark.parametrize(
    ("asked", "environment", "screen", "style"),
    [
        ({}, {}, True, "bar"),
        ({}, {}, False, "lines"),
        ({}, {"TERM": "dumb"}, True, "lines"),
        ({"progress": "bar"}, {}, False, "lines"),
        ({"progress": "lines"}, {}, True, "lines"),
        ({"progress": "none"}, {}, True, "none"),
        ({"quiet": True}, {}, True, "none"),
        ({"progress": "json"}, {}, True, "json"),
        ({"progress": "json", "quiet": True}, {}, False, "json"),
        ({}, {"NO_COLOR": "1"}, True, "bar"),
    ],
)
def test_bars_are_only_drawn_on_a_terminal(
    asked: dict[str, object], environment: dict[str, str], screen: bool, style: str
) -> None:
    terminal = (on_screen if screen else piped)(environment=environment, **asked)
    assert terminal.progress_style() == style


def test_a_reader_that_left_is_no_error() -> None:
    terminal = piped()
    terminal.stdout = Failing(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    terminal.data("a")
    terminal.data("b")
    assert terminal.reader_left


def test_a_full_disk_under_stdout_is_an_error_of_the_disk() -> None:
    terminal = piped()
    terminal.stdout = Failing(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(DiskError, match="standard output cannot be written: No space left on device"):
        terminal.data("a")


def test_a_stderr_that_is_gone_does_not_stop_the_work() -> None:
    terminal = piped()
    terminal.stderr = Failing(OSError(errno.EIO, "Input/output error"))
    terminal.note("a")
    terminal.note("b")
    terminal.data("c")
    assert out(terminal) == "c\n"


def test_documents_keep_letters_and_stay_on_one_line() -> None:
    terminal = piped()
    terminal.document({"title": "Füchse\n\ud83d", "path": None})
    assert out(terminal).count("\n") == 1
    assert json.loads(out(terminal))["title"] == "Füchse\n\ud83d"


def test_tables_are_plain_in_a_pipe_and_drawn_on_a_terminal() -> None:
    pipe, screen = piped(), on_screen(environment={"NO_COLOR": "1"})
    for terminal in (pipe, screen):
        terminal.show([Lines(["one"]), Lines(["two"])])
    assert out(pipe) == "one\n\ntwo\n"
    assert "one" in out(screen)
    assert "\x1b[3" not in out(screen)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_gone_does_not_change_the_exit_code(name: str) -> None:
    """Python flushes once more at its end, and ends with 120 when that fails."""
    script = (
        "import os, sys\n"
        "from hlsdl.cli.terminal import let_go_of_streams\n"
        f"stream = sys.{name}\n"
        "reader, writer = os.pipe()\n"
        "os.dup2(writer, stream.fileno())\n"
        "os.close(reader)\n"
        "stream.reconfigure(line_buffering=False, write_through=False)\n"
        "stream.write('kept back')\n"
        "let_go_of_streams()\n"
        "sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 7
