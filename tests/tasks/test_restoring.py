"""Restoring: each stored task is attached or told as failed, whatever became of the others, and nothing is lost."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from faults import SEGMENTS, playlist, serve
from recording import Recorder

import hlsdl
from hlsdl.testing import ScriptedOrigin, Status

pytestmark = pytest.mark.anyio


def films(folder: Path) -> hlsdl.SessionConfiguration:
    configuration = hlsdl.SessionConfiguration.background("films")
    configuration.storage = folder
    return configuration


def damage(folder: Path, change: str) -> None:
    database = sqlite3.connect(folder / "films" / "tasks.sqlite")
    try:
        database.execute(f"UPDATE tasks SET {change} WHERE id = 1")
        database.commit()
    finally:
        database.close()


def wanted(source: Any, **others: Any) -> hlsdl.DownloadConfiguration:
    return hlsdl.DownloadConfiguration(hlsdl.Asset(source), **others)


async def restored(folder: Path) -> tuple[list[Any], list[hlsdl.HlsdlError | None]]:
    """What is left of the tasks, and what the delegate was told of those that ended."""
    delegate = Recorder()
    async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(folder), delegate=delegate) as session:
        left = [task.task_identifier for task in await session.restore()]
    return left, [error for (error,) in delegate.of("did_complete")]


@pytest.mark.parametrize(
    "change",
    ["configuration = '{'", "phase = 'levitating'", "phase = 'failed', error = '{'", "phase = 'failed', error = '[]'"],
)
async def test_a_row_that_cannot_be_read_is_told_as_failed_and_the_others_are_restored(
    tmp_path: Path, change: str
) -> None:
    async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
        for name in "ab":
            session.make_asset_download_task(wanted("https://films.test/master.m3u8", destination=tmp_path / name))
    damage(tmp_path, change)
    left, (error,) = await restored(tmp_path)
    assert left == [2]
    assert isinstance(error, hlsdl.IntegrityError)
    assert await restored(tmp_path) == ([2], [])


async def test_a_row_that_is_no_text_is_damage_that_is_named(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
        session.make_asset_download_task(wanted("https://films.test/master.m3u8", destination=tmp_path))
    damage(tmp_path, "title = x'ff'")
    with pytest.raises(hlsdl.IntegrityError, match="damaged"):
        await restored(tmp_path)


async def test_a_task_whose_bundle_is_gone_does_not_stop_the_others(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        bundle = await hlsdl.fetch(url, output=tmp_path / "a.movpkg")
        async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            session.make_asset_download_task(wanted(bundle))
            session.make_asset_download_task(wanted(url, destination=tmp_path / "b.movpkg"))
    shutil.rmtree(bundle.path)
    left, (error,) = await restored(tmp_path)
    assert left == [2]
    assert isinstance(error, hlsdl.UsageError)


async def test_an_end_that_was_missed_is_told_as_it_was(tmp_path: Path) -> None:
    """With the true status, Apple's code and resume data: what an app shows must not depend on when it is told."""

    class Dead(Recorder):
        def did_complete(self, task: Any, error: Any) -> None:
            database = sqlite3.connect(tmp_path / "films" / "tasks.sqlite")
            self.rows = database.execute("SELECT * FROM tasks").fetchall()
            self.columns = [one[1] for one in database.execute("PRAGMA table_info(tasks)")]
            database.close()

    delegate = Dead()
    with ScriptedOrigin() as origin:
        origin.always("/a.bin", Status(403))
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path), delegate=delegate) as session:
            task = session.make_download_task(origin.url("/a.bin"), tmp_path / "a.bin")
            task.resume()
            with pytest.raises(hlsdl.FileRefused):
                await task
    database = sqlite3.connect(tmp_path / "films" / "tasks.sqlite")  # as if the app had died while it was told
    marks = ", ".join("?" * len(delegate.columns))
    database.execute(f"INSERT INTO tasks ({', '.join(delegate.columns)}) VALUES ({marks})", delegate.rows[0])
    database.commit()
    database.close()
    left, (error,) = await restored(tmp_path)
    assert left == []
    assert isinstance(error, hlsdl.FileRefused)
    assert (error.http_status, error.url_error_code) == (403, hlsdl.URLErrorCode.NO_PERMISSIONS_TO_READ_FILE)


async def test_a_restored_task_is_prepared_before_it_goes_on(tmp_path: Path) -> None:
    """Its key provider and its own delegate are not stored: here they come in time for the first thing that is told."""

    class Keys:
        async def provide(self, request: hlsdl.KeyRequest) -> bytes:
            return bytes(16)

    def prepare(task: hlsdl.Task) -> None:
        assert isinstance(task, hlsdl.AssetDownloadTask)
        task.delegate, task.asset.key_provider = delegate, Keys()

    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        tags = '#EXT-X-KEY:METHOD=AES-128,URI="nobody-has-it"\n'
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", bytes(160))
        origin.add("/v/index.m3u8", playlist(tags=tags))
        origin.always("/v/index.m3u8", Status(503, headers={"Retry-After": "0"}))
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            session.make_asset_download_task(wanted(url, destination=tmp_path / "a")).resume()
            await asyncio.to_thread(origin.wait_for, "/v/index.m3u8")
        origin.always("/v/index.m3u8")
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            (task,) = await asyncio.create_task(session.restore(prepare))
            assert (await task).is_playable_offline
    assert delegate.names()[0] == "will_download_to"


async def test_a_restored_task_waits_until_whoever_restored_it_has_looked_at_it(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            for name in "ab":
                session.make_asset_download_task(wanted(url, destination=tmp_path / name)).resume()
        damage(tmp_path, "phase = 'canceling'")  # its end is to be told, which takes a moment
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path), delegate=Recorder()) as session:
            tasks = await session.restore()
            assert [task.phase for task in tasks] == ["waiting"]
            await tasks[0]


async def test_restoring_twice_at_once_tells_and_prepares_each_task_once(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
        for name in "abc":
            session.make_asset_download_task(wanted("https://films.test/master.m3u8", destination=tmp_path / name))
    damage(tmp_path, "phase = 'failed'")
    prepared: list[int] = []
    delegate = Recorder()
    async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path), delegate=delegate) as session:
        await asyncio.gather(*(session.restore(lambda task: prepared.append(task.task_identifier)) for _ in range(2)))
    assert (prepared, len(delegate.of("did_complete"))) == ([1, 2, 3], 1)


async def test_a_preparation_that_raises_leaves_its_task_for_the_next_time(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            for name in "ab":
                session.make_asset_download_task(wanted(url, destination=tmp_path / name)).resume()
        damage(tmp_path, "phase = 'resolving'")

        def fails(_task: hlsdl.Task) -> None:
            raise LookupError("no key store")

        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            with pytest.raises(LookupError):
                await session.restore(fails)
            assert await session.tasks() == []
            for task in await session.restore():
                assert (await task).is_playable_offline


async def test_restoring_that_is_cancelled_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            session.make_asset_download_task(wanted(url, destination=tmp_path / "a"))
        damage(tmp_path, "phase = 'failed'")
        may_go_on = threading.Event()

        def slow(_task: hlsdl.Task) -> None:
            may_go_on.wait(20)

        monkeypatch.setattr(hlsdl.AssetDownloadTask, "stored_error", slow)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            task = session.make_asset_download_task(wanted(url, destination=tmp_path / "b"))
            restoring = asyncio.create_task(session.restore())
            await asyncio.sleep(0.1)
            task.resume()
            await asyncio.sleep(0.1)
            restoring.cancel()
            may_go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await restoring
            assert (await task).is_playable_offline


async def test_a_restored_task_shows_how_far_it_was(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
        session.make_asset_download_task(wanted("https://films.test/master.m3u8", destination=tmp_path))
    damage(tmp_path, "completed_bytes = 30, total_bytes = 120")
    async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
        (task,) = await session.restore()
    assert (task.progress.completed_bytes, task.progress.total_bytes, task.progress.fraction) == (30, 120, 0.25)


async def test_a_restored_file_task_shows_what_is_held_of_its_file(tmp_path: Path) -> None:
    """Killed, it has written no sum; what is left counts as far as it is believed."""
    async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
        session.make_download_task("https://films.test/a.bin", tmp_path / "a.bin")
    (tmp_path / "a.bin.part").write_bytes(bytes(50))
    for worth, held in (("'$.flushed', 30", 0), ("'$.validator', json_object('etag', '\"v\"')", 30)):
        damage(tmp_path, f"total_bytes = 120, configuration = json_set(configuration, {worth})")
        async with hlsdl.AssetDownloadSession(films(tmp_path)) as session:
            (task,) = await session.restore()
        assert (task.count_of_bytes_received, task.progress.fraction) == (held, held / 120)


@pytest.mark.parametrize("identifier", [None, "", "../elsewhere", "/tmp/elsewhere"])
def test_an_identifier_that_was_set_by_hand_is_looked_at_too(tmp_path: Path, identifier: str | None) -> None:
    configuration = films(tmp_path / "sessions")
    configuration.identifier = identifier
    with pytest.raises(hlsdl.UsageError, match="cannot identify a session"):
        hlsdl.AssetDownloadSession(configuration)
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_could_not_begin_holds_nothing(tmp_path: Path) -> None:
    stored = tmp_path / "films" / "tasks.sqlite"
    stored.parent.mkdir()
    stored.write_bytes(b"no database" * 1000)
    with pytest.raises(hlsdl.IntegrityError) as kept:
        hlsdl.AssetDownloadSession(films(tmp_path))
    stored.unlink()
    hlsdl.AssetDownloadSession(films(tmp_path))
    assert kept.traceback  # as a program does that still shows the first error
