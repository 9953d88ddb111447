"""Imported first by tools that need hlsdl: in a Python that has none, they go on in the one that `make` has set up."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PYTHON = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"

if find_spec("hlsdl") is None and Path(sys.executable) != PYTHON:
    if not PYTHON.exists():
        sys.exit("hlsdl is not installed here: `make test` sets everything up, then run this again")
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
