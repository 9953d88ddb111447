"""The work under way: it ends whatever happens, and its end is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from faults import SEGMENTS, TRUTH, asked, body, playlist, require_whole, serve
from recording import Recorder, in_the_background, serve_held, until

import hlsdl
from hlsdl.library.tasks import TaskStore
from hlsdl.tasks import runners
from hlsdl.testing import HangUp, ScriptedOrigin

pytestmark = pytest.mark.anyio


def wanted(url: str, place: Path) -> hlsdl.DownloadConfiguration:
    return hlsdl.DownloadConfiguration(hlsdl.Asset(url), destination=place)


async def test_a_task_that_is_stopped_before_its_first_step_runs_again(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path / "a.movpkg"))
            task.resume()
            await asyncio.sleep(0)  # it has a place now, and has not done anything
            await session.flush()
            assert (await task).is_playable_offline


async def test_a_task_that_was_cancelled_is_told_to_have_ended_though_the_session_ends_at_once(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
            task.resume()
            await asyncio.to_thread(origin.wait_for, "/v/2.ts")
            task.cancel()
        gate.set()
        with pytest.raises(hlsdl.TaskCancelled):
            await task
    assert delegate.names()[-2:] == ["did_complete", "did_become_invalid"]
    assert task.phase == "cancelled"


async def test_a_task_whose_row_cannot_be_written_still_comes_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk where the tasks are kept fails no download that goes elsewhere, and leaves nobody waiting."""
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
            task.resume()
            await asyncio.to_thread(origin.wait_for, "/v/2.ts")

            def full(*_: Any) -> None:
                raise hlsdl.DiskError("the disk is full")

            with monkeypatch.context() as patched:
                patched.setattr(TaskStore, "save", full)
                patched.setattr(TaskStore, "remove", full)
                gate.set()
                assert (await task).is_playable_offline
                other = session.make_asset_download_task(wanted(url, tmp_path / "b.movpkg"))
                with pytest.raises(hlsdl.DiskError):
                    other.resume()
                with pytest.raises(hlsdl.DiskError):
                    other.cancel()
                with pytest.raises(hlsdl.TaskCancelled):
                    await other


async def test_after_its_session_a_task_says_that_it_is_over(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        task = session.make_asset_download_task(wanted("https://films.test/master.m3u8", tmp_path))
    for change in (task.resume, task.cancel, lambda: setattr(task, "task_description", "x")):
        with pytest.raises(hlsdl.SessionInvalidated):
            change()
    assert (task.state, task.task_description) == ("suspended", None)
    async with asyncio.timeout(20):
        assert [event async for event in task.events()] == []


async def test_a_loop_that_is_ended_under_a_session_starts_no_other_task(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration(maximum_concurrent_tasks=1)
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(configuration) as session:
            first = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
            first.resume()
            await asyncio.to_thread(origin.wait_for, "/v/2.ts")
            second = session.make_asset_download_task(wanted(url, tmp_path / "b.movpkg"))
            second.resume()
            before = asyncio.all_tasks()
            (running,) = (one for one in before if one.get_name() == f"hlsdl task {first.task_identifier}")
            running.cancel()  # as `asyncio.run` does with everything when the main coroutine has ended
            await asyncio.wait([running])
            await asyncio.sleep(0)
            assert asyncio.all_tasks() - before == set()
            gate.set()
            assert (await first).is_playable_offline  # the loop lives on, and so does the task
            assert (await second).is_playable_offline
    assert asked(origin)


async def test_what_has_ended_and_been_told_is_forgotten(tmp_path: Path) -> None:
    """Rows hold headers, which may be secrets; and a session may see thousands of tasks."""
    with ScriptedOrigin() as origin:
        asset = hlsdl.Asset(serve(origin), headers={"Authorization": "Bearer 1234"})
        async with hlsdl.AssetDownloadSession(in_the_background(tmp_path)) as session:
            task = session.make_asset_download_task(
                hlsdl.DownloadConfiguration(asset, destination=tmp_path / "a.movpkg")
            )
            task.resume()
            await task
            task.task_description = "seen"
            assert task.task_description == "seen"
    with TaskStore.open(tmp_path / "films" / "tasks.sqlite") as store:
        assert store.all("films") == ()
        assert store.add(session="films", kind="asset", phase="suspended", source_url="", configuration="").id > 1


async def test_films_of_one_name_that_begin_at_one_moment_each_have_a_bundle(tmp_path: Path) -> None:
    count = 6
    with ScriptedOrigin() as origin:
        for number in range(count):
            origin.add(f"/{number}/index.m3u8", playlist(["0.ts"]))
            origin.add(f"/{number}/0.ts", body(number))
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            tasks = [
                session.make_asset_download_task(
                    hlsdl.DownloadConfiguration(
                        hlsdl.Asset(origin.url(f"/{number}/index.m3u8")), title="Episode 1", destination=tmp_path
                    )
                )
                for number in range(count)
            ]
            for task in tasks:
                task.resume()
            bundles = await asyncio.gather(*tasks)
    names = {f"Episode 1{f' {number}' if number > 1 else ''}.movpkg" for number in range(1, count + 1)}
    assert {one.path.name for one in bundles} == {one.name for one in tmp_path.iterdir()} == names
    for number, bundle in enumerate(bundles):
        require_whole(bundle.path, [body(number)])


async def test_one_film_that_is_fetched_twice_at_one_moment_is_fetched_once(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            configuration = hlsdl.DownloadConfiguration(hlsdl.Asset(url), title="Episode 1", destination=tmp_path)
            tasks = [session.make_asset_download_task(configuration) for _ in range(2)]
            for task in tasks:
                task.resume()
            while not any(task.error for task in tasks):
                await asyncio.sleep(0.01)
            gate.set()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(type(one) for one in ends if isinstance(one, hlsdl.HlsdlError)) == [hlsdl.LockedError]
    assert [one.name for one in tmp_path.iterdir()] == ["Episode 1.movpkg"]


def that_waits() -> hlsdl.SessionConfiguration:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.waits_for_connectivity = True
    configuration.transfer = hlsdl.TransferOptions(retries=0, connections=1)
    return configuration


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long tasks wait for the network before each of their next tries; the first pause is a fiftieth of a second."""
    found: list[float] = []
    wait = runners.Runners._wait_for_network

    def noted(self: runners.Runners, task: Any, **how: Any) -> None:
        wait(self, task, **how)
        found.append(self._pauses[task.task_identifier])

    monkeypatch.setattr(runners, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(runners.Runners, "_wait_for_network", noted)
    return found


async def test_without_a_network_a_task_tries_again_after_longer_and_longer_pauses(
    tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "LONGEST_PAUSE", 0.1)
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/index.m3u8", HangUp())
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(that_waits()) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
            task.resume()
            await until(lambda: len(pauses) >= 5)
    assert pauses[:5] == [0.02, 0.04, 0.08, 0.1, 0.1]


async def test_a_task_that_came_further_does_not_wait_longer_than_at_first(tmp_path: Path, pauses: list[float]) -> None:
    """One segment, and then the network is gone again: doubled each time, that would take days."""
    with ScriptedOrigin() as origin:
        url = serve(origin)
        for number in range(SEGMENTS):
            origin.script(f"/v/{number}.ts", HangUp(), HangUp())  # one might be the end of an idle connection
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(that_waits()) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
            task.resume()
            bundle = await task
    require_whole(bundle.path, TRUTH)
    assert pauses == [0.02] * SEGMENTS


async def test_what_is_under_way_keeps_its_place_when_the_session_is_flushed(tmp_path: Path) -> None:
    """Though somebody more urgent waits."""
    configuration = hlsdl.SessionConfiguration(maximum_concurrent_tasks=1)
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(configuration) as session:
            first = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
            first.resume()
            await asyncio.to_thread(origin.wait_for, "/v/2.ts")
            urgent = session.make_asset_download_task(wanted(url, tmp_path / "b.movpkg"))
            urgent.priority = 1.0
            urgent.resume()
            await session.flush()
            await asyncio.sleep(0.1)
            assert (first.phase, urgent.phase) == ("transferring", "waiting")
            gate.set()
            await asyncio.gather(first, urgent)


class Slow(Recorder):
    """Takes its time with the last word."""

    async def did_become_invalid(self, session: Any) -> None:
        await asyncio.sleep(0.3)
        super().did_become_invalid(session)


async def test_an_end_that_somebody_stopped_waiting_for_comes_and_can_be_waited_for_again(tmp_path: Path) -> None:
    delegate = Slow()
    session = hlsdl.AssetDownloadSession(in_the_background(tmp_path), delegate)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(session.close(), 0.05)
    assert delegate.names() == []
    await session.close()
    assert delegate.names() == ["did_become_invalid"]
    async with hlsdl.AssetDownloadSession(in_the_background(tmp_path)) as another:
        assert await another.restore() == []


async def test_a_scope_that_is_cancelled_around_a_session_leaves_it_closed(tmp_path: Path) -> None:
    """Such a scope cancels whatever waits in it, again and again."""
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        with anyio.move_on_after(0.2) as scope:
            async with hlsdl.AssetDownloadSession(in_the_background(tmp_path / "s"), Slow()) as session:
                task = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
                task.resume()
                await task
        gate.set()
        assert scope.cancelled_caught
        async with hlsdl.AssetDownloadSession(in_the_background(tmp_path / "s")) as another:
            (restored,) = await another.restore()
            await restored
    require_whole(tmp_path / "a.movpkg", TRUTH)


async def test_an_ended_session_restores_nothing_and_can_be_invalidated_again(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        session.make_asset_download_task(wanted("https://films.test/master.m3u8", tmp_path))
    with pytest.raises(hlsdl.SessionInvalidated):
        await session.restore()
    await session.invalidate_and_cancel()


async def test_a_full_disk_does_not_keep_tasks_from_being_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise hlsdl.DiskError("the disk is full")

    session = hlsdl.AssetDownloadSession(in_the_background(tmp_path))
    tasks = [session.make_download_task("https://films.test/a.bin", tmp_path) for _ in range(3)]
    with monkeypatch.context() as patched:
        patched.setattr(TaskStore, "save", full)
        await session.invalidate_and_cancel()
    assert {task.phase for task in tasks} == {"cancelled"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count_of_bytes_client_expects_to_receive", 2**63),
        ("count_of_bytes_client_expects_to_receive", -1),
        ("earliest_begin_date", datetime.max.replace(tzinfo=UTC)),
        ("task_description", b"bytes"),
    ],
    ids=str,
)
async def test_what_cannot_be_stored_of_a_task_is_refused_and_harms_nothing(
    tmp_path: Path, name: str, value: object
) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        task = session.make_download_task("https://films.test/a.bin", tmp_path)
        with pytest.raises(hlsdl.UsageError):
            setattr(task, name, value)
        task.count_of_bytes_client_expects_to_receive = 2**63 - 1
        assert getattr(task, name) in {None, 2**63 - 1}


async def test_the_time_that_a_task_has_does_not_run_while_it_is_suspended(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.timeout_interval_for_resource = 3.0
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession(configuration) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path / "a.movpkg"))
            task.resume()
            await asyncio.to_thread(origin.wait_for, "/v/2.ts")
            task.suspend()
            await asyncio.sleep(3.2)
            task.resume()
            gate.set()
            assert (await task).is_playable_offline
