"""Sealed bundles of the fixtures, made once, and copies of them to damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from .bundles import MEDIA, PRESENTATIONS, copied, store


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One sealed bundle of each presentation; tests copy what they change."""
    folder = tmp_path_factory.mktemp("sealed")
    return {name: store(MEDIA / name, folder / f"{name}.movpkg") for name in PRESENTATIONS}


@pytest.fixture
def aes(sealed: dict[str, Path], tmp_path: Path) -> Path:
    return copied(sealed["aes128"], tmp_path)


@pytest.fixture
def film(sealed: dict[str, Path], tmp_path: Path) -> Path:
    return copied(sealed["film"], tmp_path)
