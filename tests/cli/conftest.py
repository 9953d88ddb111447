"""An origin with the fixtures' streams, and folders of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.testing import ScriptedOrigin

MEDIA = Path(__file__).parent.parent.parent / "fixtures" / "media"


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    """A server on loopback with every stream of the fixtures."""
    with ScriptedOrigin() as server:
        server.add_folder(MEDIA)
        yield server
