"""Going on with a file later: suspended, cancelled, cut or failed, in one session and by resume data."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from recording import Recorder, until

import hlsdl
from hlsdl.bundle import plain_file
from hlsdl.tasks.file_task import LONGEST_RESUME_DATA
from hlsdl.testing import Answer, Cut, Hold, Request, ScriptedOrigin, Status, Without

pytestmark = pytest.mark.anyio

SIZE = 3 << 20
FILE = bytes(range(256)) * (SIZE // 256)
OTHER = bytes(reversed(range(256))) * (SIZE // 256)


def resume_data(**changes: object) -> bytes:
    """Resume data as they are, but for what is said."""
    data: dict[str, object] = {"url": "https://films.test/a", "destination": "/tmp/a", "offset": 1, "sha256": "0" * 64}
    return json.dumps({**data, "validator": {"etag": '"v1"'}, **changes}).encode()


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


class SlowHash:
    """A SHA-256 that takes until the event loop has turned."""

    def __init__(self) -> None:
        self.begun, self.gate, self.count = threading.Event(), threading.Event(), 0

    def __call__(self, data: bytes = b"") -> Any:
        if data:  # the beginning, by which a `.part` is known again: a moment
            return hashlib.sha256(data)
        self.count += 1
        self.begun.set()
        assert self.gate.wait(10), "the event loop stands still"
        return hashlib.sha256()

    async def let_through(self) -> None:
        await until(self.begun.is_set)
        self.gate.set()


async def test_to_hash_what_is_left_of_a_large_file_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for the resume data of a task that failed, nor for those that another one is made from."""
    slow = SlowHash()
    monkeypatch.setattr(plain_file, "sha256", slow)
    with ScriptedOrigin() as origin:
        origin.add("/a", FILE, etag='"v1"')
        origin.script("/a", Cut(SIZE // 2), Status(404))
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/a"), tmp_path)
            task.resume()
            await slow.let_through()
            with pytest.raises(hlsdl.FileRefused) as caught:
                await task
            slow.begun.clear()
            slow.gate.clear()
            again = session.make_download_task(resume_data=caught.value.resume_data)
            assert slow.count == 1
            again.resume()
            await slow.let_through()
            assert (await again).read_bytes() == FILE
        assert [request.headers.get("range") for request in origin.requests] == [None, *[f"bytes={SIZE // 2}-"] * 2]
    assert slow.count == 2


async def test_a_task_of_resume_data_that_never_ran_gives_them_again(tmp_path: Path) -> None:
    halves = Halves()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE, etag='"v1"')
        origin.always("/song.m4a", halves)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            await half_of_it(task)
            data = await task.cancel_by_producing_resume_data()
            assert data is not None
            again = session.make_download_task(resume_data=data)
            assert await again.cancel_by_producing_resume_data() == data
            (tmp_path / "song.m4a.part").write_bytes(b"another")
            assert await session.make_download_task(resume_data=data).cancel_by_producing_resume_data() is None


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
        resume_data(url="file:///etc/passwd"),
        resume_data(destination="/tmp/a\0b"),
        resume_data(offset=0),
        resume_data(sha256="\u00e9" * 64),
    ],
)
async def test_what_are_no_resume_data_is_refused(data: bytes) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError, match="no resume data"):
            session.make_download_task(resume_data=data)


async def test_a_small_file_that_was_cut_goes_on_behind_what_came(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/small", FILE[:100_000], etag='"v1"')
        origin.script("/small", Cut(60_000))
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/small"), tmp_path)
            task.resume()
            assert (await task).read_bytes() == FILE[:100_000]
        assert [request.headers.get("range") for request in origin.requests] == [None, "bytes=60000-"]
