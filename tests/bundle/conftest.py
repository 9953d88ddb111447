"""What several tests of this room begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from .handwritten import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "A.movpkg")
