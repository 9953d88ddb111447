"""Fixtures that every room's tests share."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """hlsdl's engine is asyncio; trio is not promised."""
    return "asyncio"
