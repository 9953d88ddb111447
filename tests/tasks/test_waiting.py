"""A task that waits: for its date, for the network, and no longer than it has time."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faults import TRUTH, require_whole, serve
from recording import Recorder, serve_held, until, wanted

import hlsdl
from hlsdl.testing import ScriptedOrigin

pytestmark = pytest.mark.anyio


async def test_a_task_does_not_begin_before_its_date(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.earliest_begin_date = datetime.now(UTC) + timedelta(hours=1)
            task.resume()
            other = session.make_asset_download_task(wanted(url, tmp_path / "other"))
            other.resume()
            await other
            assert (task.state, task.phase.value) == ("running", "waiting")
            task.earliest_begin_date = None
            await task


async def test_a_task_waits_for_the_network_and_says_so_once(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        port = int(url.split(":")[2].split("/")[0])
    configuration = hlsdl.SessionConfiguration.default()
    configuration.waits_for_connectivity = True
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    async with hlsdl.AssetDownloadSession(configuration, delegate) as session:
        task = session.make_asset_download_task(wanted(url, tmp_path))
        task.resume()
        await until(lambda: "is_waiting_for_connectivity" in delegate.names())
        assert task.state == "running"
        server = await asyncio.start_server(functools.partial(_film), "127.0.0.1", port)
        async with server:
            bundle = await task
    require_whole(bundle.path, TRUTH)
    assert delegate.names().count("is_waiting_for_connectivity") == 1


async def _film(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A small server of the film, for a port that was closed before."""
    from faults import playlist

    while request := (await reader.readline()).decode("ascii"):
        while (await reader.readline()).strip():
            pass
        name = request.split()[1].rpartition("/")[2]
        body = playlist() if name.endswith(".m3u8") else TRUTH[int(name.removesuffix(".ts"))]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("waits", [False, True])
async def test_a_task_that_takes_too_long_ends_with_a_network_error(tmp_path: Path, waits: bool) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.timeout_interval_for_resource = 0.3
    configuration.waits_for_connectivity = waits
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with hlsdl.AssetDownloadSession(configuration) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            with pytest.raises(hlsdl.NetworkError, match=r"within 0\.3 seconds"):
                await task
        gate.set()


async def test_waiting_for_the_network_is_part_of_the_time_that_a_task_has(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.waits_for_connectivity = True
    configuration.timeout_interval_for_resource = 0.3
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    with ScriptedOrigin() as origin:
        url = serve(origin)
    async with hlsdl.AssetDownloadSession(configuration) as session:
        task = session.make_asset_download_task(wanted(url, tmp_path))
        task.resume()
        with pytest.raises(hlsdl.NetworkError, match=r"within 0\.3 seconds"):
            await task
