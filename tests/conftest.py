"""What every room's tests share: the event loop, the corpus, and the rule that CI skips nothing it could install."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from lan import Lan, why_not
from playwright.sync_api import Browser, Page, sync_playwright

# How long a busy machine takes says nothing about the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

FIXTURES = Path(__file__).parent.parent / "fixtures"


def pytest_configure() -> None:
    """Started in the background of a shell, a process ignores SIGINT and so do its children; the tests send it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The library of whoever runs the tests learns nothing of their bundles.
    os.environ["HLSDL_DATA"] = tempfile.mkdtemp(prefix="hlsdl-tests-")


def pytest_unconfigure() -> None:
    """Nothing is left behind."""
    shutil.rmtree(os.environ["HLSDL_DATA"], ignore_errors=True)


@pytest.fixture
def anyio_backend() -> str:
    """hlsdl's engine is asyncio; trio is not promised."""
    return "asyncio"


@pytest.fixture
def film() -> Path:
    """The demuxed fMP4 film of the fixtures."""
    return FIXTURES / "media" / "film"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real HLS written by others, where the machine has it."""
    folder = os.environ.get("HLSDL_CORPUS")
    if not folder:
        pytest.skip("HLSDL_CORPUS names no corpus on this machine")
    return Path(folder)


@pytest.fixture(scope="session")
def any_tool() -> Callable[..., str]:
    """The path of the first of some programs that is installed; a skip that names it when none is."""

    def find(*names: str) -> str:
        path = next(filter(None, map(shutil.which, names)), None)
        if path is None:
            pytest.skip(f"`{names[0]}` is not installed")
        return path

    return find


@pytest.fixture
def lan() -> Iterator[Lan]:
    """Two machines on a cable, or a skip with its reason."""
    reason = why_not("ip", "iptables", "tc", "ss")
    if reason is not None:
        pytest.skip(reason)
    try:
        cable = Lan().connect()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces do not work here: {error.stderr.strip()}")
    yield cable
    cable.close()


@pytest.fixture(scope="module")
def browser(any_tool: Callable[..., str]) -> Iterator[Browser]:
    """A real headless Chromium."""
    chromium = any_tool("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page; anything on it may take half a minute on a busy machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """With HLSDL_SKIPS=fail (CI), a test that was skipped because a tool is not installed has failed."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("HLSDL_SKIPS") == "fail" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if "not installed" in reason:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {reason}, and CI skips nothing it could install"
