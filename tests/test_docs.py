"""The documentation says what is true: pages exist, codes are listed, the README's commands are commands."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from commands import hlsdl

from hlsdl import testing
from hlsdl.cli.app import names
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


def test_every_behaviour_of_the_origin_for_tests_is_documented() -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    inner = {"Behaviour", "content_type_of"}
    assert [name for name in testing.__all__ if name not in inner and name not in page] == []


def test_every_command_of_the_readme_exists_with_its_flags() -> None:
    shell = "".join(re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    lines = re.findall(r"^hlsdl (\w+)(.*?)(?:#|$)", shell, re.MULTILINE)
    assert len(lines) >= 5
    for name, rest in lines:
        told = hlsdl(name, "--help")
        assert told.code == 0
        assert all(flag in told.out for flag in re.findall(r"--[\w-]+", rest)), name


def test_no_sentence_names_a_command_or_a_flag_that_is_not_there() -> None:
    """Hints and pages; what is said to other programs (players, curl …) has its own flags."""
    commands = set(names())
    flags = set(re.findall(r"--[\w-]+", (ROOT / "docs" / "cli.md").read_text()))
    modules = [one for one in (ROOT / "hlsdl").rglob("*.py") if one.name != "handoff.py"]
    said = "\n".join(one.read_text() for one in (*modules, *PAGES))
    named = set(re.findall(r"`hlsdl ([a-z]+)", said))
    assert len(named) > 8
    assert named <= commands
    hints = "\n".join(one.read_text() for one in modules)
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]+", hints)) <= flags


def test_the_diagram_of_task_states_is_that_of_the_table() -> None:
    command = [sys.executable, str(ROOT / "tools" / "draw_states"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


Row = tuple[str, str, str]


def _parity() -> list[Row]:
    """The rows of the page: Apple's symbol, our name, the sentence."""
    rows: list[Row] = []
    for line in (ROOT / "docs" / "apple-parity.md").read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| On Apple"):
            symbol, name, sentence = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            rows.append((symbol, name, sentence))
    return rows


def _resolve(dotted: str) -> None:
    """Import a dotted name: modules, then attributes, those that only instances have included."""
    parts = dotted.split(".")
    found: Any = importlib.import_module(parts[0])
    for at, part in enumerate(parts[1:], start=1):
        if isinstance(found, type) and not hasattr(found, part):
            makers = [vars(one).get("__init__") for one in found.__mro__]
            sources = "".join(inspect.getsource(one) for one in makers if isinstance(one, FunctionType))
            assert re.search(rf"self\.{part}\b\s*(:|=)", sources), dotted
            assert at == len(parts) - 1, dotted
        elif isinstance(found, ModuleType) and not hasattr(found, part):
            found = importlib.import_module(".".join(parts[: at + 1]))
        else:
            found = getattr(found, part)


@pytest.mark.parametrize("name", sorted({name.strip("`") for _, name, _ in _parity() if name != "—"}))
def test_every_name_beside_apples_can_be_imported(name: str) -> None:
    assert name.startswith("hlsdl.")
    _resolve(name)


@pytest.mark.parametrize("name", ["hlsdl.Nothing", "hlsdl.Asset.nothing", "hlsdl.tasks.nothing.Name"])
def test_a_name_that_is_not_there_would_be_found_out(name: str) -> None:
    with pytest.raises((AttributeError, AssertionError, ImportError)):
        _resolve(name)


def test_every_symbol_of_apples_has_a_name_or_a_sentence_that_says_why_not() -> None:
    rows = _parity()
    assert len(rows) > 150
    for symbol, name, sentence in rows:
        assert symbol
        assert sentence.endswith("."), symbol
        assert re.fullmatch(r"`hlsdl\.[\w.]+`", name) or (name == "—" and len(sentence.split()) >= 3), symbol
