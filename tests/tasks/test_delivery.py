"""The delegate's queue: whatever an app's own code does in it, the queue goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from faults import serve
from recording import Recorder

import hlsdl
from hlsdl.tasks.delivery import Delivery
from hlsdl.testing import ScriptedOrigin

pytestmark = pytest.mark.anyio


class Cancelled(Recorder):
    """One whose methods wait for something that was cancelled."""

    def did_finish_downloading_to(self, task: Any, path: Path) -> None:
        super().did_finish_downloading_to(task, path)
        raise asyncio.CancelledError

    async def will_download_variants(self, task: Any, variants: Any) -> None:
        await super().will_download_variants(task, variants)
        waiting = asyncio.ensure_future(asyncio.sleep(3600))
        waiting.cancel()
        await waiting


async def test_a_delegate_that_waits_for_something_cancelled_harms_no_download(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    delegate = Cancelled()
    with ScriptedOrigin() as origin:
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(
                hlsdl.DownloadConfiguration(hlsdl.Asset(serve(origin)), destination=tmp_path)
            )
            task.resume()
            assert (await task).is_playable_offline
    assert delegate.names()[-3:] == ["did_finish_downloading_to", "did_complete", "did_become_invalid"]
    assert "`did_finish_downloading_to` failed" in caplog.text


async def test_a_drained_queue_has_told_what_follows_from_its_answers() -> None:
    """What a session does when `did_complete` was told is done before the session lets go of its disk."""
    heard: list[str] = []

    class Delegate:
        def did_complete(self, about: object) -> None:
            heard.append("did_complete")

        def did_finish_events(self, about: object) -> None:
            heard.append("did_finish_events")

    delivery = Delivery(Delegate())
    answer = delivery.tell("did_complete", None)
    answer.add_done_callback(lambda _: delivery.tell("did_finish_events", None).add_done_callback(over))

    def over(_: asyncio.Future[Any]) -> None:
        heard.append("over")

    await delivery.drain()
    assert heard == ["did_complete", "did_finish_events", "over"]


@pytest.mark.parametrize("call", ["close", "finish_tasks_and_invalidate", "invalidate_and_cancel"])
async def test_a_delegate_that_would_wait_for_its_own_session_is_told_so_and_nothing_hangs(
    tmp_path: Path, call: str
) -> None:
    refused: list[hlsdl.UsageError] = []

    class Delegate:
        async def did_complete(self, task: Any, error: Any) -> None:
            try:
                await getattr(session, call)()
            except hlsdl.UsageError as refusal:
                refused.append(refusal)

    with ScriptedOrigin() as origin:
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(delegate=Delegate()) as session:
            task, other = (
                session.make_asset_download_task(
                    hlsdl.DownloadConfiguration(hlsdl.Asset(serve(origin)), destination=tmp_path / f"{n}.movpkg")
                )
                for n in range(2)
            )
            task.resume()
            await task
            other.resume()
            assert (await other).is_playable_offline
    assert [one.message for one in refused] == ["a delegate's method cannot wait for its own session"] * 2


class Ends(hlsdl.AssetDownloadDelegate):
    """As an app writes it: a subclass with one method of its own. Type checkers must let it be made."""

    def __init__(self) -> None:
        self.ended: list[int] = []

    async def did_complete(self, task: hlsdl.Task[Any], error: hlsdl.HlsdlError | None) -> None:
        self.ended.append(task.task_identifier)


async def test_a_subclass_needs_only_the_methods_that_it_wants(tmp_path: Path) -> None:
    delegate = Ends()
    with ScriptedOrigin() as origin:
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(
                hlsdl.DownloadConfiguration(hlsdl.Asset(serve(origin)), destination=tmp_path)
            )
            assert isinstance(task, hlsdl.Task)
            task.resume()
            await task
            assert delegate.ended == [task.task_identifier]
