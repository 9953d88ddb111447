"""What a program gives is looked at when it is given: not by a download that fails hours later, or by Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from faults import serve
from recording import wanted

import hlsdl
from hlsdl.testing import ScriptedOrigin

pytestmark = pytest.mark.anyio
URL = "https://films.test/a.bin"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maximum_concurrent_tasks", "many"),
        ("maximum_concurrent_tasks", 0),
        ("timeout_interval_for_request", 0),
        ("timeout_interval_for_request", float("inf")),
        ("timeout_interval_for_request", 2e6),
        ("timeout_interval_for_resource", float("nan")),
        ("http_maximum_connections_per_host", 0),
        ("http_maximum_connections_per_host", 1000),
        ("limit_rate", -1),
        ("http_additional_headers", {"A": 5}),
        ("http_additional_headers", [("A", "b")]),
        ("connection_proxy", 5),
        ("cookies_file", 5),
        ("library", 5),
        ("storage", 5),
        ("waits_for_connectivity", "perhaps"),
        ("transfer", 5),
    ],
)
async def test_a_session_is_not_made_with_a_value_that_cannot_be(name: str, value: Any) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    setattr(configuration, name, value)
    with pytest.raises(hlsdl.UsageError, match=f"`{name}`"):
        hlsdl.AssetDownloadSession(configuration)


async def test_a_session_takes_what_means_the_same(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration(maximum_concurrent_tasks=2.0, library=str(tmp_path))  # type: ignore[arg-type]
    configuration.waits_for_connectivity = "no"  # type: ignore[assignment]
    async with hlsdl.AssetDownloadSession(configuration) as session:
        taken = session.configuration
    assert (taken.maximum_concurrent_tasks, taken.waits_for_connectivity) == (2, False)


async def test_a_pipe_of_cookies_is_refused_since_each_task_would_read_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cookies.txt")
    with pytest.raises(hlsdl.UsageError, match="pipe"):
        hlsdl.AssetDownloadSession(hlsdl.SessionConfiguration(cookies_file=tmp_path / "cookies.txt"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", "0.5"),
        ("priority", None),
        ("priority", float("nan")),
        ("priority", 1.001),
        ("earliest_begin_date", date(2030, 1, 1)),
        ("earliest_begin_date", datetime(2030, 1, 1)),  # noqa: DTZ001 - it is the time zone that is missing
        ("count_of_bytes_client_expects_to_receive", "3"),
        ("count_of_bytes_client_expects_to_receive", 1.5),
        ("count_of_bytes_client_expects_to_receive", -1),
        ("task_description", 5),
    ],
)
async def test_a_task_keeps_no_value_that_cannot_be(tmp_path: Path, name: str, value: Any) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        task = session.make_download_task(URL, tmp_path)
        before = getattr(task, name)
        with pytest.raises(hlsdl.UsageError):
            setattr(task, name, value)
        assert getattr(task, name) == before


@pytest.mark.parametrize(
    "given",
    [
        {"url": 5},
        {"url": b"https://films.test/a.bin"},
        {"url": Path("/films/a.bin")},
        {"url": URL, "destination": 5},
        {"url": URL, "destination": b"/films"},
        {"url": URL, "destination": ""},
        {"url": URL, "destination": "a\0b"},
        {"resume_data": 5},
        {"resume_data": b"{}"},
    ],
)
async def test_a_file_task_is_not_made_of_what_is_no_file(given: dict[str, Any]) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError):
            session.make_download_task(**given)


@pytest.mark.parametrize(
    "given", [{"artwork": 5}, {"destination": 5}, {"destination": ""}, {"destination": "a\0b"}, {"title": 5}]
)
async def test_an_asset_task_is_not_made_with_a_value_that_cannot_be(given: dict[str, Any]) -> None:
    configuration = hlsdl.DownloadConfiguration(hlsdl.Asset("https://films.test/m.m3u8"), **given)
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError):
            session.make_asset_download_task(configuration)


async def test_a_bundle_may_be_named_by_an_entry_of_its_folder(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
            task.resume()
            bundle = await task
    with os.scandir(tmp_path) as entries:
        (entry,) = entries
    assert hlsdl.open(entry).path == bundle.path  # type: ignore[arg-type]
    assert hlsdl.Asset(entry).bundle_path == bundle.path  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({}, 60.0),
        ({"transfer": hlsdl.TransferOptions(stall_timeout=1.0)}, 1.0),
        ({"timeout_interval_for_request": 5.0, "transfer": hlsdl.TransferOptions(stall_timeout=1.0)}, 5.0),
        ({"timeout_interval_for_request": 5.0}, 5.0),
    ],
)
def test_a_stall_timeout_counts_wherever_it_was_given(given: dict[str, Any], counts: float) -> None:
    configuration = hlsdl.SessionConfiguration(**given)
    assert configuration.transfer_options(()).stall_timeout == counts


@pytest.mark.parametrize(
    "slip",
    [
        lambda: hlsdl.DownloadConfiguration("https://films.example/m.m3u8"),  # type: ignore[arg-type]
        lambda: hlsdl.AssetDownloadSession("films"),  # type: ignore[arg-type]
        lambda: hlsdl.AssetDownloadSession().make_asset_download_task("https://films.example/"),  # type: ignore[arg-type]
    ],
    ids=["a URL for an asset", "a name for a session", "a URL for a configuration"],
)
async def test_a_text_in_the_place_of_a_value_is_told_with_what_to_give(slip: Callable[[], object]) -> None:
    with pytest.raises(hlsdl.UsageError, match="but a `str`") as caught:
        slip()
    assert "hlsdl." in str(caught.value.hint)
