"""Background sessions over the death of their process: tasks are found again, and nothing finished is fetched twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import gettempdir

import pytest
from commands import environment
from faults import body, playlist, require_whole
from recording import Recorder

import hlsdl
from hlsdl.bundle import plain_file
from hlsdl.bundle.page_cache import page_cache_of
from hlsdl.testing import Hold, ScriptedOrigin

pytestmark = pytest.mark.anyio

SEGMENTS = 30
TRUTH = [body(number) for number in range(SEGMENTS)]

APP = """
import asyncio, sys, hlsdl
from pathlib import Path
url, storage, folder, suspended = sys.argv[1:]

async def main():
    configuration = hlsdl.SessionConfiguration.background("films")
    configuration.storage = Path(storage)
    async with hlsdl.AssetDownloadSession(configuration) as session:
        task = session.make_asset_download_task(
            hlsdl.DownloadConfiguration(asset=hlsdl.Asset(url), title="A film", destination=Path(folder)))
        task.task_description = "film-42"
        task.resume()
        while not task.loaded_time_ranges or task.loaded_time_ranges[0].duration < 36:
            await asyncio.sleep(0.01)
        if suspended == "suspended":
            task.suspend()
        print("here", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""

FILE_APP = """
import asyncio, sys, hlsdl
from hlsdl.bundle import plain_file
url, storage, folder, flush_every = sys.argv[1:]
plain_file.FLUSH_EVERY = int(flush_every)

async def main():
    configuration = hlsdl.SessionConfiguration.background("films")
    configuration.storage = storage
    async with hlsdl.AssetDownloadSession(configuration) as session:
        task = session.make_download_task(url, folder + "/")
        task.resume()
        while task.progress.completed_bytes < 3 << 20:
            await asyncio.sleep(0.01)
        print("here", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def run_until_a_third(url: str, folder: Path, suspended: str) -> None:
    """An app in a process of its own, killed with -9 when nine of the thirty segments are loaded."""
    run_until_here(APP, url, folder, suspended)


def run_until_here(program: str, url: str, folder: Path, argument: str) -> None:
    """An app in a process of its own, killed with -9 when it says that it is there."""
    app = subprocess.Popen(
        [sys.executable, "-c", program, url, str(folder / "sessions"), str(folder), argument],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert app.stdout is not None
    assert app.stdout.readline() == "here\n"
    os.kill(app.pid, signal.SIGKILL)
    app.wait()
    app.stdout.close()


def background(folder: Path, delegate: object | None = None) -> hlsdl.AssetDownloadSession:
    configuration = hlsdl.SessionConfiguration.background("films")
    configuration.storage = folder / "sessions"
    configuration.http_additional_headers = {"X-Run": "again"}
    return hlsdl.AssetDownloadSession(configuration, delegate)


@pytest.mark.parametrize("suspended", ["suspended", "running"])
async def test_a_task_is_found_again_by_its_identifier_and_finishes_what_is_missing(
    tmp_path: Path, suspended: str
) -> None:
    gate = threading.Event()
    with ScriptedOrigin() as origin:
        for number, segment in enumerate(TRUTH):
            origin.add(f"/v/{number}.ts", segment)
            if number >= 9:
                origin.always(f"/v/{number}.ts", Hold(gate))
        origin.add("/v/index.m3u8", playlist(f"{number}.ts" for number in range(SEGMENTS)))
        await asyncio.to_thread(run_until_a_third, origin.url("/v/index.m3u8"), tmp_path, suspended)
        gate.set()
        delegate = Recorder()
        async with background(tmp_path, delegate) as session:
            (task,) = await session.restore()
            assert (task.task_description, task.state) == ("film-42", suspended)
            assert task.location == tmp_path / "A film.movpkg"
            task.resume()
            bundle = await task
        # A request of the dead process may be read late: it lacks the header of this session.
        ours = [request.path for request in origin.requests if "x-run" in request.headers]
    fetched = Counter(path for path in ours if path.endswith(".ts"))
    assert set(fetched) == {f"/v/{number}.ts" for number in range(9, SEGMENTS)}
    assert set(fetched.values()) == {1}
    require_whole(bundle.path, TRUTH)
    assert delegate.names()[-3:] == ["did_complete", "did_finish_events", "did_become_invalid"]


@pytest.mark.parametrize(
    ("flush_every", "is_power_cut"),
    [
        pytest.param(
            1 << 30,
            False,
            marks=pytest.mark.skipif(page_cache_of(gettempdir()) is None, reason="page caches have no names here"),
        ),
        (1 << 30, True),
        (1 << 20, True),
    ],
    ids=["killed", "power cut, nothing flushed", "power cut, flushed on the way"],
)
async def test_of_a_file_a_power_cut_leaves_what_was_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush_every: int, is_power_cut: bool
) -> None:
    """A file keeps its size over a power cut, but what had not reached the device reads as zeros."""
    gate, file = threading.Event(), bytes(range(1, 256)) * (5 << 12)
    with ScriptedOrigin() as origin:
        origin.add("/song", file, etag='"v1"')
        origin.script("/song", Hold(gate, after=(3 << 20) + 1000))
        await asyncio.to_thread(run_until_here, FILE_APP, origin.url("/song"), tmp_path, str(flush_every))
        gate.set()
        part, flushed = tmp_path / "song.part", flushed_of(tmp_path)
        size = part.stat().st_size
        assert size >= 3 << 20
        assert (flushed == 0) is (flush_every > size)
        if is_power_cut:
            monkeypatch.setattr(plain_file, "page_cache_of", lambda where: "the next")
            with part.open("r+b") as cut:
                cut.seek(flushed)
                cut.write(bytes(size - flushed))
        async with background(tmp_path) as session:
            (task,) = await session.restore()
            assert (await task).read_bytes() == file
        (asked,) = [request.headers.get("range") for request in origin.requests if "x-run" in request.headers]
    believed = flushed if is_power_cut else size
    assert asked == (f"bytes={believed}-" if believed else None)


def flushed_of(folder: Path) -> int:
    """Bytes of the file that reached the device, as the dead process has written it down."""
    with closing(sqlite3.connect(folder / "sessions" / "films" / "tasks.sqlite")) as database:
        ((configuration,),) = database.execute("SELECT configuration FROM tasks")
    return int(json.loads(configuration)["flushed"])


async def test_an_end_that_nobody_was_told_is_told_after_the_restart_and_only_once(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        for number, segment in enumerate(TRUTH):
            origin.add(f"/v/{number}.ts", segment)
        origin.add("/v/index.m3u8", playlist(f"{number}.ts" for number in range(SEGMENTS)))

        class Dies(Recorder):
            async def did_finish_downloading_to(self, task: object, path: Path) -> None:
                await asyncio.Event().wait()  # the app dies while it is being told

        session = background(tmp_path, Dies())
        task = session.make_asset_download_task(
            hlsdl.DownloadConfiguration(asset=hlsdl.Asset(origin.url("/v/index.m3u8")), destination=tmp_path)
        )
        task.resume()
        async with asyncio.timeout(20):
            while task.state != "completed":
                await asyncio.sleep(0.01)
        session._stored.close()
    delegate = Recorder()
    async with background(tmp_path, delegate) as session:
        assert await session.restore() == []
    assert delegate.names() == ["did_finish_downloading_to", "did_complete", "did_finish_events", "did_become_invalid"]
    again = Recorder()
    async with background(tmp_path, again) as session:
        await session.restore()
    assert again.names() == ["did_finish_events", "did_become_invalid"]


async def test_two_sessions_cannot_have_one_identifier(tmp_path: Path) -> None:
    async with background(tmp_path):
        with pytest.raises(hlsdl.LockedError, match="`films`"):
            background(tmp_path)
    async with background(tmp_path):
        pass


@pytest.mark.parametrize("identifier", ["", "a/b", "..", "a" * 101, ".hidden", "a\n"])
def test_an_identifier_is_a_word(identifier: str) -> None:
    with pytest.raises(hlsdl.UsageError):
        hlsdl.SessionConfiguration.background(identifier)
    assert hlsdl.SessionConfiguration.background("a" * 100).identifier == "a" * 100


async def test_a_default_session_writes_no_tasks_to_disk(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.ephemeral()
    configuration.storage = tmp_path / "sessions"
    async with hlsdl.AssetDownloadSession(configuration) as session:
        session.make_download_task("https://films.test/a", tmp_path)
    assert not (tmp_path / "sessions").exists()


def test_the_stored_tasks_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    async def make() -> None:
        async with background(tmp_path) as session:
            asset = hlsdl.Asset("https://films.test/master.m3u8", headers={"Authorization": "secret"})
            session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=asset, destination=tmp_path))

    asyncio.run(make())
    for path in [tmp_path / "sessions" / "films", *(tmp_path / "sessions" / "films").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
