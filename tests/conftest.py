"""What every room's tests share: the event loop, the corpus, and the rule that CI skips nothing it could install."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures"


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
def program() -> Any:
    """`program("mpv")`: the path of an installed program, or a skip that names it."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"not installed: {name}")
        return path

    return find


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
