"""The documentation says what is true: pages exist, codes are listed, the README's commands are commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import hlsdl

from hlsdl.verification import Code

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    for link in links:
        assert "://" in link or (page.parent / link).exists(), link


def test_every_finding_code_is_documented() -> None:
    page = (ROOT / "docs" / "verification.md").read_text()
    assert [code for code in Code if f"| `{code}` |" not in page] == []


def test_every_command_of_the_readme_exists_with_its_flags() -> None:
    shell = "".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    lines = re.findall(r"^hlsdl (\w+)(.*?)(?:#|$)", shell, re.MULTILINE)
    assert len(lines) >= 5
    for name, rest in lines:
        told = hlsdl(name, "--help")
        assert told.code == 0
        assert all(flag in told.out for flag in re.findall(r"--[\w-]+", rest)), name


def test_the_diagram_of_task_states_is_that_of_the_table() -> None:
    command = [sys.executable, str(ROOT / "tools" / "draw_states"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
