"""Every Python example of the documentation runs, section by section, and prints what the comment beside it says."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from faults import serve

import hlsdl
import hlsdl.sync
from hlsdl.testing import ScriptedOrigin

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    *(f"docs/{name}.md" for name in ("api", "porting-from-avfoundation", "qualifiers", "library", "testing")),
]
ADDRESS = "https://example.com/"
SONG = bytes(range(256)) * 4096


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the examples below it, which build on each other."""

    page: str
    title: str
    examples: tuple[tuple[int, str], ...]
    """Where each begins in its page, and its source."""

    def __str__(self) -> str:
        return f"{self.page}: {self.title}"


def sections(page: str) -> Iterator[Section]:
    """Those that have examples."""
    text = (ROOT / page).read_text()
    title, found = "", list[tuple[int, str]]()
    for part in re.finditer(r"^(#+ [^\n]*)$|^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if part[1] is not None:
            if found:
                yield Section(page, title, tuple(found))
            title, found = part[1].lstrip("# "), []
        elif part[2] == "python":
            found.append((text[: part.start(3)].count("\n"), part[3]))
    if found:
        yield Section(page, title, tuple(found))


EXAMPLES = [section for page in PAGES for section in sections(page)]


@pytest.fixture(scope="module")
def origin() -> Iterator[ScriptedOrigin]:
    """What https://example.com/ has in the examples: a film, an encrypted one, a small one, and a song."""
    with ScriptedOrigin() as served:
        for name in ("film", "aes128"):
            served.add_folder(ROOT / "fixtures" / "media" / name, at=f"/{name}")
        served.add("/song.m4a", SONG, etag='"v1"')
        serve(served)
        yield served


@pytest.fixture
def place(tmp_path: Path, origin: ScriptedOrigin, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which an example runs: the film is in `films`, a picture beside it, the library is empty."""
    (tmp_path / "poster.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HLSDL_DATA", str(tmp_path / "data"))
    # Fetched here and not copied: adding to a bundle whose source was named elsewhere asks for more.
    hlsdl.sync.fetch(origin.url("/film/master.m3u8"), title="A film", output=tmp_path / "films")
    return tmp_path


def run(section: Section, origin: ScriptedOrigin) -> list[tuple[str, str]]:
    """Run the examples of a section; returns what was printed where a comment says what that is, and the comment."""
    told: list[tuple[str, str]] = []
    names: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for line, source in section.examples:
            lines = source.splitlines()

            def tell(*values: object, lines: list[str] = lines, line: int = line) -> None:
                printed = lines[sys._getframe(1).f_lineno - line - 1]
                if "  # " in printed:
                    told.append(
                        (" ".join(map(str, values)).replace(origin.url("/"), ADDRESS), printed.partition("  # ")[2])
                    )

            names["print"] = tell
            code = _compiled("\n" * line + source.replace(ADDRESS, origin.url("/")), f"{section.page}")
            if "asyncio.run(" in source or "hlsdl.sync" in source:
                exec(code, names)
            else:
                runner.run(_inside_a_loop(code, names))
    return told


def _compiled(source: str, page: str) -> CodeType:
    """As `python -m asyncio` does: `await` may stand alone."""
    return compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def _inside_a_loop(code: CodeType, names: dict[str, Any]) -> None:
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result


@pytest.mark.parametrize("section", EXAMPLES, ids=str)
def test_every_example_runs_and_says_what_it_prints(section: Section, origin: ScriptedOrigin, place: Path) -> None:
    for printed, promised in run(section, origin):
        assert printed == promised
    assert place == Path.cwd()


def test_every_example_passes_a_type_checker(tmp_path: Path) -> None:
    """A program that was begun with one should not have to be mended first; parameters may stay without types."""
    for number, section in enumerate(EXAMPLES):
        lines: list[str] = []
        for line, source in section.examples:
            lines += [""] * (line - len(lines)) + [f"    {one}" for one in source.splitlines()]
        lines[section.examples[0][0] - 1] = (
            "async def section() -> None:"  # in place of the fence: lines keep their number
        )
        page = re.sub(r"\W+", "_", section.page.removesuffix(".md"))
        (tmp_path / f"{page}_{number}.py").write_text("\n".join([*lines, ""]))
    command = [sys.executable, "-m", "mypy", "--strict", "--allow-untyped-defs", "--allow-untyped-calls"]
    done = subprocess.run(
        [*command, "--follow-imports=silent", "--no-error-summary", "."],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=300,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_there_are_examples_on_every_page() -> None:
    assert {section.page for section in EXAMPLES} == set(PAGES)


@pytest.mark.parametrize(
    "source", ["print(1)  # 2\n", "import hlsdl\nawait hlsdl.Asset('https://example.com/').lode()\n"]
)
def test_an_example_that_lies_is_found_out(source: str, origin: ScriptedOrigin) -> None:
    section = Section("a page", "a section", ((0, source),))
    with pytest.raises((AssertionError, AttributeError)):
        assert all(printed == promised for printed, promised in run(section, origin))
