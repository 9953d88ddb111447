"""What starts together on libcurl, and what is looked at before."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

import pycurl

from hlsdl.errors import DiskError
from hlsdl.transfer.curl_driver import Driver
from hlsdl.transfer.curl_interest import EpollInterest, Interest, LoopInterest
from hlsdl.transfer.doors import Setback
from transfer.test_curl import door_for, question, read

DRIVERS = [EpollInterest, LoopInterest] if sys.platform == "linux" else [LoopInterest]

RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright"
WRONG = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"


@contextmanager
def out_of_turn(spoken: threading.Event, speak: threading.Event) -> Iterator[str]:
    """A server in a thread of its own that answers rightly and, when told to, once without being asked."""

    def serve(connection: socket.socket, *, speaks: bool) -> None:
        with connection, suppress(OSError):
            while connection.recv(65_536):
                connection.sendall(RIGHT)
                if speaks:
                    speaks = False
                    speak.wait()
                    connection.sendall(WRONG)
                    spoken.set()

    def accept() -> None:
        with suppress(OSError):
            threading.Thread(target=serve, args=[listener.accept()[0]], kwargs={"speaks": True}, daemon=True).start()
            while True:
                connection = listener.accept()[0]
                threading.Thread(target=serve, args=[connection], kwargs={"speaks": False}, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("interest", DRIVERS)
async def test_a_connection_that_spoke_in_the_very_round_of_the_next_start_is_not_believed(
    interest: type[Interest],
) -> None:
    spoken, speak = threading.Event(), threading.Event()
    with out_of_turn(spoken, speak) as url:
        door = door_for(url, interest=interest)
        assert await read(door, question(url)) == b"right"
        speak.set()
        assert spoken.wait(10)  # the event loop stands still meanwhile: nothing has looked at the connection yet
        assert await read(door, question(url)) == b"right"
        await door.close()


@pytest.mark.parametrize("interest", DRIVERS)
async def test_what_is_cancelled_in_the_round_of_its_start_is_never_asked(interest: type[Interest]) -> None:
    """And its handle may be started again at once."""
    spoken, speak = threading.Event(), threading.Event()
    speak.set()
    with out_of_turn(spoken, speak) as url:
        driver = Driver(idle=4, per_host=4, multiplex=False, interest=interest)
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.WRITEFUNCTION, lambda _: None)
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        driver.start(curl, lambda *_: ended.set_result("first"))
        driver.cancel(curl)
        driver.start(curl, lambda *_: ended.set_result("second"))
        assert await ended == "second"
        driver.close()


async def test_where_there_are_no_descriptors_it_is_the_machine_that_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not the network: nothing there can be mended. What was opened on the way is closed again."""
    watched: list[bool] = []

    class Watched(LoopInterest):
        def close(self) -> None:
            watched.append(True)
            super().close()

    def refuse() -> None:
        raise pycurl.error("initializing curl-multi failed")

    with monkeypatch.context() as patched:
        patched.setattr(pycurl, "CurlMulti", refuse)
        with pytest.raises(DiskError, match="too many files are open"):
            Driver(idle=4, per_host=4, multiplex=False, interest=Watched)
    assert watched == [True]


async def test_a_connection_for_which_there_is_no_descriptor_is_no_failure_of_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = door_for("http://127.0.0.1:9/a")

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("hlsdl.transfer.curl_handle.socket.socket", refuse)
        with pytest.raises(Setback) as caught:  # other downloads may give theirs back
            await read(door, question("http://127.0.0.1:9/a"))
    assert isinstance(caught.value.error, DiskError)
    await door.close()
