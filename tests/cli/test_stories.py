"""The command while it runs: interrupted, watched on a terminal, locked, and serving."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.commands import LONGEST_RUN, hlsdl, running
from hlsdl.testing import Hold, ScriptedOrigin

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and pseudo-terminals are POSIX")

pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX")

FILM = "/film/master.m3u8"
HELD = "/film/pq-360/3.m4s"


@pytest.fixture
def held(origin: ScriptedOrigin) -> Iterator[threading.Event]:
    """One segment waits until this event is set."""
    event = threading.Event()
    origin.script(HELD, Hold(event))
    yield event
    event.set()


class TestInterrupts:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_one_signal_saves_and_the_same_command_goes_on(
        self, number: int, origin: ScriptedOrigin, held: threading.Event, tmp_path: Path
    ) -> None:
        with running("fetch", origin.url(FILM), home=tmp_path) as process:
            origin.wait_for(HELD)
            process.send_signal(number)
            out, err = process.communicate(timeout=LONGEST_RUN)
        held.set()
        assert (process.returncode, out) == (130, "")
        assert "stopping, and saving what is here" in err
        assert "error: interrupted; what is stored is kept\nhint: run the same command again" in err
        stored = [path for path in tmp_path.glob("*.movpkg/*/*") if path.suffix in {".m4s", ".vtt"}]
        origin.clear_requests()
        again = hlsdl("fetch", origin.url(FILM), "--json", home=tmp_path)
        assert (again.code, again.document["state"]) == (0, "complete")
        assert again.document["fetched"]["reused_segments"] == len(stored)
        assert origin.count(HELD) == 1

    def test_an_interrupt_with_json_is_a_document(
        self, origin: ScriptedOrigin, held: threading.Event, tmp_path: Path
    ) -> None:
        with running("fetch", origin.url(FILM), "--json", home=tmp_path) as process:
            origin.wait_for(HELD)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=LONGEST_RUN)
        document = json.loads(out)
        assert (document["code"], document["kind"], document["resumable"]) == (130, "interrupted", True)

    def test_sources_that_were_not_begun_are_left_alone(
        self, origin: ScriptedOrigin, held: threading.Event, tmp_path: Path
    ) -> None:
        with running("fetch", origin.url(FILM), origin.url("/odd/master.m3u8"), home=tmp_path) as process:
            origin.wait_for(HELD)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=LONGEST_RUN)
        assert process.returncode == 130
        assert origin.count("/odd/master.m3u8") == 0


def test_two_processes_do_not_write_one_bundle(origin: ScriptedOrigin, held: threading.Event, tmp_path: Path) -> None:
    with running("fetch", origin.url(FILM), home=tmp_path) as process:
        origin.wait_for(HELD)
        second = hlsdl("fetch", origin.url(FILM), "--json", home=tmp_path)
        assert (second.code, second.document["kind"], second.document["resumable"]) == (11, "locked", True)
        held.set()
        process.communicate(timeout=LONGEST_RUN)
    assert process.returncode == 0


def test_on_a_terminal_there_are_bars_and_elsewhere_there_are_none(origin: ScriptedOrigin, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with running("fetch", origin.url(FILM), home=tmp_path, stderr=theirs) as process:
        os.close(theirs)
        shown = read_all(ours)
        assert process.stdout is not None
        assert process.stdout.read() == "A film.movpkg\n"
    for part in ("A film", "360p+en", "100 %", "━"):
        assert part in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1


def read_all(descriptor: int) -> str:
    """Everything a pseudo-terminal shows until its other end is closed."""
    blocks: list[bytes] = []
    with contextlib.suppress(OSError):  # Linux reports the end of a pseudo-terminal as EIO
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        while poll.poll(LONGEST_RUN * 1000):
            block = os.read(descriptor, 65536)
            if not block:
                break
            blocks.append(block)
    os.close(descriptor)
    return b"".join(blocks).decode()


def test_play_says_where_it_serves_and_serves_until_interrupted(origin: ScriptedOrigin, tmp_path: Path) -> None:
    hlsdl("fetch", origin.url(FILM), "-q", home=tmp_path)
    with running("play", "--player", "none", "--json", "A film.movpkg", home=tmp_path) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        with urllib.request.urlopen(document["playlist"], timeout=LONGEST_RUN) as answer:
            assert answer.read().startswith(b"#EXTM3U")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONGEST_RUN)
    assert (document["schema"], process.returncode) == ("hlsdl.play/1", 130)
    assert "Traceback" not in err


def test_a_browser_that_does_not_open_is_a_warning_and_the_one_document_stays_true(
    origin: ScriptedOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hlsdl("fetch", origin.url(FILM), "-q", home=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # no other one is tried
    monkeypatch.setenv("BROWSER", f"{sys.executable} -c 'raise SystemExit(1)' %s")
    with running("play", "--json", "A film.movpkg", home=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        document = json.loads(process.stdout.readline())
        assert "warning: the browser did not open" in process.stderr.readline()
        with urllib.request.urlopen(document["page"], timeout=LONGEST_RUN) as answer:
            assert b"<video" in answer.read()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LONGEST_RUN)
    assert (out, process.returncode) == ("", 130)


def test_play_without_json_begins_with_the_playlist(origin: ScriptedOrigin, tmp_path: Path) -> None:
    hlsdl("fetch", origin.url(FILM), "-q", home=tmp_path)
    with running("play", "--player", "none", "A film.movpkg", home=tmp_path) as process:
        assert process.stdout is not None
        url = process.stdout.readline().rstrip("\n")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LONGEST_RUN)
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/index.m3u8")
