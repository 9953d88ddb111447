"""An origin with the fixtures' streams, and folders of its own for each test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.testing import ScriptedOrigin

MEDIA = Path(__file__).parent.parent.parent / "fixtures" / "media"


@pytest.fixture(autouse=True)
def own_logger() -> Iterator[None]:
    """The command takes over the logger `hlsdl`; other tests of this process get it back as it was."""
    logger = logging.getLogger("hlsdl")
    before = logger.propagate, list(logger.handlers), logger.level
    yield
    logger.propagate, logger.handlers, logger.level = before[0], before[1], before[2]


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    """A server on loopback with every stream of the fixtures."""
    with ScriptedOrigin() as server:
        server.add_folder(MEDIA)
        yield server
