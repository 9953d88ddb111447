"""What stories need of the machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from lan import Lan, why_not


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
