"""Tools that need hlsdl find the Python that has it, whichever one a person has started them with."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A Python without hlsdl; beside it, a folder of tools with one that says which Python it runs in."""
    venv.create(tmp_path / "bare")
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "own_python.py", tmp_path / "tools")
    (tmp_path / "tools" / "say").write_text("import own_python, sys\nprint(sys.executable, sys.argv[1:])\n")
    return tmp_path / "bare" / "bin" / "python"


def test_a_tool_goes_on_in_the_environment_that_make_has_set_up(bare: Path, tmp_path: Path) -> None:
    place = tmp_path / ".venv" / "bin"
    place.mkdir(parents=True)
    (place / "python").symlink_to(sys.executable)
    done = subprocess.run([bare, tmp_path / "tools" / "say", "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{place / 'python'} ['a b']\n"


def test_where_there_is_none_a_sentence_says_what_to_do(bare: Path, tmp_path: Path) -> None:
    done = subprocess.run([bare, tmp_path / "tools" / "say"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "make test" in done.stderr
    assert "Traceback" not in done.stderr
