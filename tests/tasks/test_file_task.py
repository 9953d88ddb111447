"""File tasks: one file, its progress, and the ways to go on with it later."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from recording import Recorder, until

import hlsdl
from hlsdl.tasks.file_task import LONGEST_RESUME_DATA
from hlsdl.testing import Answer, Cut, Hold, Request, ScriptedOrigin, Status, Without

pytestmark = pytest.mark.anyio

SIZE = 3 << 20
FILE = bytes(range(256)) * (SIZE // 256)
OTHER = bytes(reversed(range(256))) * (SIZE // 256)


@dataclass
class Halves:
    """Gives the first half of a body, and the rest only when nobody holds it back any more."""

    is_open: bool = False
    asked: list[Request] = field(default_factory=list)

    def apply(self, request: Request, answer: Answer) -> Answer:
        from hlsdl.testing import Stall

        self.asked.append(request)
        if self.is_open:
            return answer
        # Asked for the rest while it is shut, it refuses.
        return (
            Status(503).apply(request, answer)
            if "range" in request.headers
            else Stall(SIZE // 2).apply(request, answer)
        )


async def half_of_it(task: Any) -> None:
    async with asyncio.timeout(20):
        while task.progress.completed_bytes < SIZE // 4 and not _size_of_part(task):
            await asyncio.sleep(0.01)


def _size_of_part(task: Any) -> int:
    if task.location is None:
        return 0
    part = task.location.with_name(task.location.name + ".part")
    return part.stat().st_size if part.exists() else 0


async def test_a_file_comes_whole_and_the_delegate_hears_of_its_bytes(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            assert task.state == "suspended"
            task.resume()
            path = await task
            assert task.progress == hlsdl.TaskProgress(
                completed_bytes=SIZE,
                total_bytes=SIZE,
                total_is_estimate=False,
                fraction=1.0,
                rate=task.progress.rate,
                eta=0.0 if task.progress.rate else None,
            )
    assert path == tmp_path / "song.m4a"
    assert path.read_bytes() == FILE
    writes = delegate.of("did_write_data")
    assert sum(new for new, _, _ in writes) == writes[-1][1] == writes[-1][2] == SIZE
    assert delegate.names()[-3:-1] == ["did_finish_downloading_to", "did_complete"]
    assert [one.name for one in tmp_path.iterdir()] == ["song.m4a"]


async def test_paused_and_resumed_a_file_goes_on_where_it_was(tmp_path: Path) -> None:
    delegate, halves = Recorder(), Halves()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE, etag='"v1"')
        origin.always("/song.m4a", halves)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            await half_of_it(task)
            data = await task.cancel_by_producing_resume_data()
            assert data is not None
            assert isinstance(task.error, hlsdl.TaskCancelled)
            halves.is_open = True
            again = session.make_download_task(resume_data=data)
            again.resume()
            path = await again
    assert path.read_bytes() == FILE
    ((offset, total),) = delegate.of("did_resume_at_offset")
    assert (total, 0 < offset <= SIZE // 2) == (SIZE, True)
    assert halves.asked[-1].headers["range"] == f"bytes={offset}-"
    assert halves.asked[-1].headers["if-range"] == '"v1"'


async def test_a_file_that_changed_in_between_starts_over(tmp_path: Path) -> None:
    delegate, halves = Recorder(), Halves()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE, etag='"v1"')
        origin.always("/song.m4a", halves)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            await half_of_it(task)
            data = await task.cancel_by_producing_resume_data()
            origin.add("/song.m4a", OTHER, etag='"v2"')
            halves.is_open = True
            again = session.make_download_task(resume_data=data)
            again.resume()
            path = await again
    assert path.read_bytes() == OTHER
    assert [offset for offset, _ in delegate.of("did_resume_at_offset")] == [0]


async def test_suspended_and_resumed_in_one_session_it_goes_on_too(tmp_path: Path) -> None:
    halves = Halves()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE, etag='"v1"')
        origin.always("/song.m4a", halves)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path / "a.m4a")
            task.resume()
            await half_of_it(task)
            task.suspend()
            halves.is_open = True
            task.resume()
            path = await task
    assert path == tmp_path / "a.m4a"
    assert path.read_bytes() == FILE
    assert halves.asked[-1].headers["range"].startswith("bytes=")


async def test_the_bytes_of_a_slow_file_are_told_and_kept_as_they_come(tmp_path: Path) -> None:
    """Less than a block is told; suspended four times, the file is fetched once all in all."""
    delegate, held = Recorder(), 100_000
    gates = [threading.Event() for _ in range(5)]
    small = FILE[: 5 * held]
    with ScriptedOrigin() as origin:
        origin.add("/slow", small, etag='"v1"')
        origin.script("/slow", *(Hold(gate, after=held) for gate in gates))
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_download_task(origin.url("/slow"), tmp_path)
            for number in range(1, len(gates) + 1):
                task.resume()
                await until(partial(_has_come, task, number * held))
                if number < len(gates):
                    task.suspend()
            for gate in gates:
                gate.set()
            assert (await task).read_bytes() == small
        asked = [request.headers.get("range") for request in origin.requests]
    assert asked == [None, *(f"bytes={number * held}-" for number in range(1, 5))]
    assert [offset for offset, _ in delegate.of("did_resume_at_offset")] == [held, 2 * held, 3 * held, 4 * held]
    assert sum(new for new, _, _ in delegate.of("did_write_data")) == len(small)


async def test_a_file_smaller_than_a_block_has_resume_data_too(tmp_path: Path) -> None:
    gate = threading.Event()
    with ScriptedOrigin() as origin:
        origin.add("/small", FILE[:10_000], etag='"v1"')
        origin.script("/small", Hold(gate, after=6000))
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/small"), tmp_path)
            task.resume()
            await until(partial(_has_come, task, 6000))
            data = await task.cancel_by_producing_resume_data()
            assert data is not None
            gate.set()
            again = session.make_download_task(resume_data=data)
            again.resume()
            assert (await again).read_bytes() == FILE[:10_000]
        assert [request.headers.get("range") for request in origin.requests] == [None, "bytes=6000-"]


def _has_come(task: Any, size: int) -> bool:
    return bool(task.progress.completed_bytes >= size)


async def test_without_a_strong_validator_there_are_no_resume_data(tmp_path: Path) -> None:
    halves = Halves()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE)
        origin.always("/song.m4a", halves, Without("ETag"), Without("Last-Modified"))
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            await half_of_it(task)
            assert await task.cancel_by_producing_resume_data() is None


async def test_a_task_that_never_ran_or_has_ended_gives_no_resume_data(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE, etag='"v1"')
        async with hlsdl.AssetDownloadSession() as session:
            unused = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            assert await unused.cancel_by_producing_resume_data() is None
            done = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            done.resume()
            await done
            assert await done.cancel_by_producing_resume_data() is None


async def test_a_failed_task_has_resume_data_in_its_error(tmp_path: Path) -> None:
    halves = Halves()
    configuration = hlsdl.SessionConfiguration.default()
    configuration.timeout_interval_for_request = 0.2
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE, etag='"v1"')
        origin.always("/song.m4a", halves)
        async with hlsdl.AssetDownloadSession(configuration) as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            with pytest.raises(hlsdl.NetworkError) as caught:
                await task
            assert caught.value.resume_data is not None
            halves.is_open = True
            again = session.make_download_task(resume_data=caught.value.resume_data)
            again.resume()
            assert (await again).read_bytes() == FILE
    assert "range" in halves.asked[-1].headers


@pytest.mark.parametrize(("status", "code"), [(401, -1013), (403, -1102), (404, -1100), (410, -1100)])
async def test_refusals_have_apples_code_and_the_true_status(tmp_path: Path, status: int, code: int) -> None:
    with ScriptedOrigin() as origin:
        origin.always("/song.m4a", Status(status))
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            with pytest.raises(hlsdl.FileRefused) as caught:
                await task
    assert (caught.value.url_error_code, caught.value.http_status) == (code, status)
    assert not list(tmp_path.iterdir())


async def test_a_server_in_trouble_has_apples_code_too(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    with ScriptedOrigin() as origin:
        origin.always("/song.m4a", Status(500))
        async with hlsdl.AssetDownloadSession(configuration) as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            with pytest.raises(hlsdl.NetworkError) as caught:
                await task
    assert (caught.value.url_error_code, caught.value.http_status, caught.value.code) == (-1100, 500, 3)


async def test_resume_data_whose_part_was_changed_start_over(tmp_path: Path) -> None:
    halves = Halves()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE, etag='"v1"')
        origin.always("/song.m4a", halves)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            await half_of_it(task)
            data = await task.cancel_by_producing_resume_data()
            part = tmp_path / "song.m4a.part"
            part.write_bytes(b"X" + part.read_bytes()[1:])
            halves.is_open = True
            again = session.make_download_task(resume_data=data)
            again.resume()
            assert (await again).read_bytes() == FILE
    assert "range" not in halves.asked[-1].headers


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        json.dumps({"schema_name": "hlsdl.resume-data/2"}).encode(),
        b" " * (LONGEST_RESUME_DATA + 1),
    ],
)
async def test_what_are_no_resume_data_is_refused(data: bytes) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError, match="no resume data"):
            session.make_download_task(resume_data=data)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://films.test/a", "films"])
async def test_only_http_files_can_be_fetched(url: str, tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError):
            session.make_download_task(url, tmp_path)


async def test_a_task_needs_a_url_or_resume_data(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError):
            session.make_download_task()
        with pytest.raises(hlsdl.UsageError):
            session.make_download_task("https://films.test/a", tmp_path, resume_data=b"{}")


async def test_a_name_in_a_url_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with ScriptedOrigin() as origin:
        origin.add("/..%2F..%2Fout.txt", b"bytes")
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/..%2F..%2Fout.txt"), folder)
            task.resume()
            path = await task
    assert path.parent == folder
    assert [one.parent for one in tmp_path.rglob("*") if one.is_file()] == [folder]


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/empty", b"")
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/empty"), tmp_path)
            task.resume()
            assert (await task).read_bytes() == b""


async def test_a_text_that_ends_like_a_folder_is_one(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", b"sound")
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), f"{tmp_path}/music/")
            task.resume()
            assert await task == tmp_path / "music" / "song.m4a"


async def test_a_small_file_that_was_cut_goes_on_behind_what_came(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/small", FILE[:100_000], etag='"v1"')
        origin.script("/small", Cut(60_000))
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/small"), tmp_path)
            task.resume()
            assert (await task).read_bytes() == FILE[:100_000]
        assert [request.headers.get("range") for request in origin.requests] == [None, "bytes=60000-"]


async def test_two_tasks_do_not_mix_one_file(tmp_path: Path) -> None:
    """The second is refused while the first writes, and what the first says is there is what it fetched."""
    gate = threading.Event()
    with ScriptedOrigin() as origin:
        origin.add("/a.bin", FILE)
        origin.add("/b.bin", OTHER)
        origin.always("/a.bin", Hold(gate, after=SIZE // 2))
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            first, second = (session.make_download_task(origin.url(f"/{n}.bin"), tmp_path / "same") for n in "ab")
            first.resume()
            while not (tmp_path / "same.part").exists():
                await asyncio.sleep(0.01)
            second.resume()
            with pytest.raises(hlsdl.LockedError):
                await second
            gate.set()
            assert (await first).read_bytes() == FILE


async def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ScriptedOrigin() as origin:
        origin.add("/a.bin", b"text")
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/a.bin"), tmp_path / "pipe")
            task.resume()
            with pytest.raises(hlsdl.PolicyError, match="no regular file"):
                await task
    assert [one.name for one in tmp_path.iterdir()] == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("destination", ["a\0b", "n" * 300])
async def test_a_destination_that_cannot_be_is_refused_when_the_task_is_made(tmp_path: Path, destination: str) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises((hlsdl.UsageError, hlsdl.DiskError)):
            session.make_download_task("https://films.test/a", tmp_path / destination)
        assert await session.tasks() == []


@pytest.mark.parametrize("url", ["http://[::1", "https://a b/", "http://", "ftp://films.test/a", "", "a.bin"])
async def test_an_address_that_cannot_be_is_refused_when_the_task_is_made(tmp_path: Path, url: str) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises((hlsdl.UsageError, hlsdl.PolicyError)):
            session.make_download_task(url, tmp_path)
        assert await session.tasks() == []
