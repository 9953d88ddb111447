"""A session lives on one event loop: others are told so, and one that has ended leaves nothing that cannot be closed."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from threading import Event, Thread

import pytest
from faults import TRUTH, require_whole
from recording import in_the_background, serve_held, wanted

import hlsdl
from hlsdl.tasks.event_loops import begun_later
from hlsdl.testing import ScriptedOrigin


def test_a_session_belongs_to_the_event_loop_of_its_tasks(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        session = hlsdl.AssetDownloadSession()

        async def begin() -> hlsdl.AssetDownloadTask:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await asyncio.to_thread(origin.wait_for, "/v/2.ts")
            return task

        task = asyncio.run(begin())
        gate.set()

        async def go_on() -> None:
            for use in (task.resume, lambda: session.make_download_task(url, tmp_path)):
                with pytest.raises(hlsdl.UsageError, match="another event loop"):
                    use()
            with pytest.raises(hlsdl.UsageError, match="another event loop"):
                await task
            await session.close()

        asyncio.run(go_on())
    with pytest.raises(hlsdl.SessionInvalidated):
        task.resume()


@pytest.mark.parametrize(
    "verb", ["flush", "reset", "close", "finish_tasks_and_invalidate", "invalidate_and_cancel", "__aexit__"]
)
def test_a_session_that_works_is_not_disturbed_from_another_loop(tmp_path: Path, verb: str) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        session = hlsdl.AssetDownloadSession()
        refused = Event()

        async def work() -> None:
            async with asyncio.timeout(20), session:
                task = session.make_asset_download_task(wanted(url, tmp_path))
                task.resume()
                await asyncio.to_thread(refused.wait)
                await task

        async def meddle() -> None:
            arguments = (None, None, None) if verb == "__aexit__" else ()
            with pytest.raises(hlsdl.UsageError, match="another event loop"):
                await getattr(session, verb)(*arguments)

        worker = Thread(target=asyncio.run, args=(work(),))
        worker.start()
        try:
            origin.wait_for("/v/2.ts")
            asyncio.run(meddle())
        finally:
            gate.set()
            refused.set()
            worker.join()
    require_whole(tmp_path / "A film.movpkg", TRUTH)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio's, of what was left
@pytest.mark.parametrize("verb", ["close", "finish_tasks_and_invalidate", "invalidate_and_cancel"])
@pytest.mark.parametrize("left", ["a waiter", "a listener", "a download", "an end"])
def test_what_is_left_on_a_loop_that_was_closed_keeps_no_session_from_its_end(
    tmp_path: Path, left: str, verb: str
) -> None:
    """Nothing was cancelled there, and nothing there ever goes on; what was wanted of a background session still is."""
    left_behind(tmp_path, left, verb)
    gc.collect()
    is_kept = verb != "invalidate_and_cancel"
    assert asyncio.run(restored(tmp_path)) == is_kept * ["waiting" if left in {"a download", "an end"} else "suspended"]


async def restored(folder: Path) -> list[str]:
    """What the next session finds of the tasks."""
    async with hlsdl.AssetDownloadSession(in_the_background(folder / "s")) as session:
        return [task.phase.value for task in await session.restore()]


def left_behind(folder: Path, left: str, verb: str) -> None:
    """One loop is closed around a session, which ends on another one."""
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        session = hlsdl.AssetDownloadSession(in_the_background(folder / "s"))
        kept: list[object] = []

        async def listen(task: hlsdl.AssetDownloadTask) -> None:
            async for _ in task.events():
                pass

        async def begin() -> hlsdl.AssetDownloadTask:
            task = session.make_asset_download_task(wanted(url, folder))
            if left == "a waiter":
                kept.append(asyncio.ensure_future(task))
            elif left == "a listener":
                kept.append(asyncio.ensure_future(listen(task)))
            else:
                task.resume()
                await asyncio.to_thread(origin.wait_for, "/v/2.ts")
            if left == "an end":
                kept.append(asyncio.ensure_future(session.close()))
            await asyncio.sleep(0)
            return task

        loop = asyncio.new_event_loop()
        task = loop.run_until_complete(begin())
        heard = task.events()
        loop.close()

        async def end() -> list[object]:
            async with asyncio.timeout(20):
                await getattr(session, verb)()
                return [event async for event in heard]

        assert asyncio.run(end()) == []
        gate.set()
    with pytest.raises(hlsdl.SessionInvalidated):
        session.make_asset_download_task(wanted(url, folder))
    assert isinstance(task.error, hlsdl.SessionInvalidated | hlsdl.TaskCancelled)


def test_a_session_whose_end_was_cut_off_with_its_loop_is_ended(tmp_path: Path) -> None:
    class Slow:
        async def did_become_invalid(self, _session: hlsdl.AssetDownloadSession) -> None:
            await asyncio.Event().wait()

    session = hlsdl.AssetDownloadSession(in_the_background(tmp_path / "s"), delegate=Slow())

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.close(), 0.05)

    async def end() -> None:
        await session.close()
        await session.invalidate_and_cancel()
        async with session:
            pass

    asyncio.run(give_up())
    asyncio.run(end())
    asyncio.run(end())


async def test_what_a_session_begins_has_not_begun_on_any_loop_before_it_is_known() -> None:
    """Since Python 3.12 a loop may run a new task at once (`asyncio.eager_task_factory`); here one that refuses to."""
    loop = asyncio.get_running_loop()
    begun: list[str] = []

    async def work() -> None:
        begun.append("work")

    def refuse(*_: object, **__: object) -> asyncio.Task[None]:
        raise AssertionError("the loop was asked to make a task, and might begin it")

    loop.set_task_factory(refuse)  # type: ignore[arg-type]
    try:
        task = begun_later(work(), "a test")
    finally:
        loop.set_task_factory(None)
    assert (task.get_name(), begun) == ("a test", [])
    await task
    assert begun == ["work"]
