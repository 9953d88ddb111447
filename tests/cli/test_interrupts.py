"""Ctrl-C, SIGTERM and SIGHUP: the first one saves, the second one leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from recording import serve_held

from hlsdl.cli.interrupts import Interruption
from hlsdl.errors import Interrupted
from hlsdl.testing import ScriptedOrigin

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent to this process")


@pytest.fixture(autouse=True)
def a_terminal_that_may_close() -> Iterator[None]:
    """Under `nohup`, SIGHUP is ignored from the beginning, and so would it be in these tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_cancels_the_work_and_lets_it_save(number: int) -> None:
    told: list[str] = []
    saved: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            saved.append("saved")

    with Interruption(told=lambda: told.append("told")) as interruption, pytest.raises(Interrupted):
        interruption.run(work())
    assert (told, saved) == (["told"], ["saved"])


def test_the_second_signal_ends_at_once() -> None:
    ended: list[str] = []
    done = asyncio.Event()

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            os.kill(os.getpid(), signal.SIGINT)
            await done.wait()
            raise

    def end() -> None:
        ended.append("ended")
        done.set()

    with Interruption(told=lambda: None, end=end) as interruption, pytest.raises(Interrupted):
        interruption.run(work())
    assert ended == ["ended"]


def test_a_terminal_that_closes_says_so_twice_and_may() -> None:
    ended: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGHUP)

    with Interruption(told=lambda: None, end=lambda: ended.append("ended")) as interruption:
        with pytest.raises(Interrupted):
            interruption.run(work())
        assert interruption.count == 1
    assert ended == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_from_the_beginning_means_nothing(number: signal.Signals) -> None:
    """As `nohup` has it for a closed terminal, and a shell for the Ctrl-C that is not meant for its background."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interruption(told=lambda: None):
            assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


IGNORING = """
import os, signal, sys
signal.signal(signal.{signal}, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "hlsdl", *sys.argv[1:]])
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_process_that_was_started_without_a_signal_works_on(name: str, tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        command = [sys.executable, "-c", IGNORING.format(signal=name), "fetch", url, "-P", str(tmp_path), "-q"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            origin.wait_for("/v/2.ts")
            process.send_signal(getattr(signal, name))
            gate.set()
            _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "")


def test_work_outside_of_a_task_gets_a_keyboard_interrupt() -> None:
    with Interruption(told=lambda: None) as interruption, pytest.raises(KeyboardInterrupt), interruption.working():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_before_the_work_waits_for_it() -> None:
    """Whoever reads the command line is not disturbed: classes are made there, and half of one is another error."""
    with Interruption(told=lambda: None) as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted), interruption.working():
            pytest.fail("the work has begun")


def test_a_signal_after_the_work_changes_nothing() -> None:
    async def work() -> str:
        return "value"

    with Interruption(told=lambda: None) as interruption:
        with interruption.working():
            assert interruption.run(work()) == "value"
            os.kill(os.getpid(), signal.SIGINT)
        assert interruption.count == 1


def test_a_second_signal_ends_whenever_it_comes() -> None:
    ended: list[str] = []
    with Interruption(told=lambda: None, end=lambda: ended.append("ended")):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert ended == ["ended"]


def test_the_handlers_that_were_there_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption(told=lambda: None):
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_work_that_ends_by_itself_gives_its_value() -> None:
    async def work() -> str:
        return "value"

    with Interruption(told=lambda: None) as interruption:
        assert interruption.run(work()) == "value"
        assert interruption.count == 0


STUBBORN = """
import asyncio
from hlsdl.cli.interrupts import Interruption

async def work():
    print("begun", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("saving", flush=True)
        await asyncio.Event().wait()

with Interruption(told=lambda: None) as interruption:
    interruption.run(work())
"""


def test_a_process_whose_saving_does_not_end_is_ended_by_the_second_signal() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for word in ("begun\n", "saving\n"):
            assert process.stdout.readline() == word
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


LOADING = """
import os, signal, sys
from hlsdl.__main__ import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "hlsdl.cli.app":
            for _ in range({times}):
                os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Finder())
main()
"""


def interrupted_while_loading(signal: str, *line: str, times: int = 1) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LOADING.format(signal=signal, times=times), *line]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_the_program_is_loaded_is_told_like_any_other(signal: str) -> None:
    done = interrupted_while_loading(signal, "fetch", "http://127.0.0.1:1/a.m3u8")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


def test_an_interrupt_while_the_program_is_loaded_is_one_document_too() -> None:
    done = interrupted_while_loading("SIGINT", "fetch", "--json", "http://127.0.0.1:1/a.m3u8")
    document = json.loads(done.stdout)
    assert (done.returncode, document["code"], document["kind"]) == (130, 130, "interrupted")


def test_a_second_signal_while_the_program_is_loaded_ends_it() -> None:
    done = interrupted_while_loading("SIGINT", "--version", times=2)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


NEVER = """
import sys
from hlsdl.cli.interrupts import Interruption

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "asyncio":
            raise KeyboardInterrupt

async def work():
    pass

sys.meta_path.insert(0, Finder())
try:
    Interruption(told=lambda: None).run(work())
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_an_interrupt_before_the_event_loop_leaves_nothing_half_begun() -> None:
    """Python would complain of a coroutine that nobody awaited."""
    done = subprocess.run([sys.executable, "-c", NEVER], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (7, "")


def test_an_interrupt_that_a_finaliser_swallows_comes_all_the_same() -> None:
    class Finalised:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            finalised.append(sum(range(3)))  # the handler runs in here, and nobody gets what it raises

    def work() -> None:
        Finalised()
        for _ in range(1000):
            time.sleep(0.01)

    finalised: list[int] = []
    with Interruption(told=lambda: None) as interruption, pytest.raises(KeyboardInterrupt), interruption.working():
        work()
    assert (finalised, interruption.count) == ([], 1)
