"""The source is asked for while the rest is loaded: once, only where no bundle can be, and every error in its turn."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hlsdl.errors import HttpError, UsageError
from hlsdl.session import ahead, front
from hlsdl.session.ahead import asked_ahead, may_be_asked_first, may_be_stored
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.sources import Source
from hlsdl.testing import Hold, ScriptedOrigin, Status
from hlsdl.transfer.options import TransferOptions

MEDIA = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"
PATIENT = TransferOptions(proxy="", timeout=5.0, retries=0)


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as running:
        running.add("/film.m3u8", MEDIA)
        running.add("/a.ts", b"G" + bytes(187))
        yield running


@pytest.fixture
def first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """As in a process that has loaded nothing: one more module is needed, which does this while it is loaded."""

    def set_up(while_loading: Callable[[], object]) -> None:
        place = tmp_path / "modules"
        place.mkdir()
        (place / "loaded_late.py").write_text("import sys\nsys.while_loading()\n")
        monkeypatch.syspath_prepend(place)
        monkeypatch.setattr(sys, "while_loading", while_loading, raising=False)
        monkeypatch.setattr(ahead, "NEEDED_SOON", (*ahead.NEEDED_SOON, "loaded_late"))
        monkeypatch.delitem(sys.modules, "loaded_late", raising=False)

    return set_up


@pytest.mark.parametrize(
    ("url", "is_loaded", "may_be_stored", "first"),
    [
        ("https://h.test/a.m3u8", False, False, True),
        ("HTTP://h.test/a.m3u8", False, False, True),
        ("https://h.test/a.m3u8", True, False, False),
        ("https://h.test/a.m3u8", False, True, False),
        ("file:///films/a.m3u8", False, False, False),
    ],
)
def test_the_source_may_be_asked_first(url: str, is_loaded: bool, may_be_stored: bool, first: bool) -> None:
    assert may_be_asked_first(url, is_loaded=is_loaded, may_be_stored=may_be_stored) is first


def test_a_bundle_may_be_stored_where_something_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert not may_be_stored(FetchOptions(directory=tmp_path))
    assert not may_be_stored(FetchOptions(directory=tmp_path / "new"))
    assert not may_be_stored(FetchOptions(directory=tmp_path / "file"))
    assert not may_be_stored(FetchOptions(output=tmp_path / "a.movpkg"))
    (tmp_path / "Other.MOVPKG").mkdir()
    assert may_be_stored(FetchOptions(directory=tmp_path))
    assert not may_be_stored(FetchOptions(output=tmp_path / "a.movpkg"))
    (tmp_path / "a.movpkg").symlink_to(tmp_path / "nowhere")
    assert may_be_stored(FetchOptions(output=tmp_path / "a.movpkg"))
    assert may_be_stored(FetchOptions(output=Path("a\0b"))), "what cannot be said here is said by those who look"


def test_little_is_loaded_before_the_source_is_asked_for() -> None:
    code = "import sys, hlsdl.session.ahead; sys.exit(' '.join(one for one in sys.modules if one.startswith(%r)))"
    heavy = ("hlsdl.playlist", "hlsdl.planning.plan", "hlsdl.bundle.manifest", *ahead.NEEDED_SOON, "m3u8", "anyio")
    done = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


FETCH = """
import asyncio, sys
from importlib import import_module
from pathlib import Path
from hlsdl.session import ahead, front
from hlsdl.session.configuration import FetchOptions
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions

url, place = sys.argv[1:]
Client(TransferOptions(), url)
for name in ahead.NEEDED_SOON:
    import_module(name)
before = set(sys.modules)
asyncio.run(front.fetch(url, FetchOptions(output=Path(place))))
sys.exit(" ".join(name for name in set(sys.modules) - before if name.startswith(("hlsdl", "m3u8"))))
"""


def test_nothing_is_left_to_be_loaded_later(origin: ScriptedOrigin, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FETCH, origin.url("/film.m3u8"), str(tmp_path / "film.movpkg")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip() == ""
    assert (tmp_path / "film.movpkg").exists()


async def test_it_is_asked_for_while_the_rest_is_loaded_and_once(
    origin: ScriptedOrigin, tmp_path: Path, first_time: Callable[[Callable[[], object]], None]
) -> None:
    first_time(lambda: origin.wait_for("/film.m3u8"))
    options = FetchOptions(transfer=PATIENT, output=tmp_path / "film.movpkg")
    await front.fetch(origin.url("/film.m3u8"), options)
    assert [request.path for request in origin.requests] == ["/film.m3u8", "/a.ts"]
    assert origin.connections == 1


async def test_its_error_comes_as_if_it_was_asked_for_later(
    origin: ScriptedOrigin, tmp_path: Path, first_time: Callable[[Callable[[], object]], None]
) -> None:
    first_time(lambda: origin.wait_for("/film.m3u8"))
    origin.always("/film.m3u8", Status(403))
    with pytest.raises(HttpError) as caught:
        await front.fetch(origin.url("/film.m3u8"), FetchOptions(transfer=PATIENT, output=tmp_path / "film.movpkg"))
    assert caught.value.http_status == 403
    assert origin.count("/film.m3u8") == 1


async def test_an_error_that_comes_before_it_wins_and_leaves_nothing_running(
    origin: ScriptedOrigin, tmp_path: Path, first_time: Callable[[Callable[[], object]], None]
) -> None:
    before = asyncio.all_tasks()
    first_time(lambda: origin.wait_for("/film.m3u8"))
    release = threading.Event()
    origin.always("/film.m3u8", Hold(release))
    options = FetchOptions(transfer=PATIENT, output=tmp_path / "film.movpkg", artwork=b"no picture")
    with pytest.raises(UsageError, match="artwork"):
        await front.fetch(origin.url("/film.m3u8"), options)
    assert asyncio.all_tasks() == before
    release.set()


async def test_options_that_no_client_can_have_are_an_error_in_their_turn(
    origin: ScriptedOrigin, tmp_path: Path, first_time: Callable[[Callable[[], object]], None]
) -> None:
    first_time(lambda: None)
    impossible = TransferOptions(proxy="", cookies_file=tmp_path / "nowhere.txt")
    options = FetchOptions(transfer=impossible, output=tmp_path / "film.movpkg", artwork=b"no picture")
    with pytest.raises(UsageError, match="artwork"):
        await front.fetch(origin.url("/film.m3u8"), options)
    with pytest.raises(UsageError, match="cookie file"):
        await front.fetch(origin.url("/film.m3u8"), FetchOptions(transfer=impossible, output=tmp_path / "film.movpkg"))
    assert origin.requests == []


async def test_cancelled_while_it_loads_it_ends_when_that_is_loaded_and_gives_the_source_up(
    origin: ScriptedOrigin, tmp_path: Path, first_time: Callable[[Callable[[], object]], None]
) -> None:
    before = asyncio.all_tasks()
    loaded, release = threading.Event(), threading.Event()
    first_time(lambda: loaded.wait(20))
    origin.always("/film.m3u8", Hold(release))
    options = FetchOptions(transfer=PATIENT, output=tmp_path / "film.movpkg")
    work = asyncio.create_task(front.fetch(origin.url("/film.m3u8"), options))
    await asyncio.to_thread(origin.wait_for, "/film.m3u8")
    work.cancel()
    await asyncio.sleep(0)
    work.cancel()
    await asyncio.sleep(0)
    assert not work.done()
    loaded.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert asyncio.all_tasks() == before
    release.set()


async def test_what_is_loaded_already_gains_nothing(origin: ScriptedOrigin, tmp_path: Path) -> None:
    await front.fetch(origin.url("/film.m3u8"), FetchOptions(transfer=PATIENT, output=tmp_path / "film.movpkg"))
    origin.clear_requests()
    options = FetchOptions(transfer=PATIENT, output=tmp_path / "other.movpkg")
    async with asked_ahead(Source(url=origin.url("/film.m3u8")), options) as client:
        assert client is None
    assert origin.requests == []
