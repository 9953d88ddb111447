"""The account of all faults (docs/faults.md) is complete: every row is there, and every test that it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hlsdl.errors import HlsdlError

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "faults.md"
ROWS = [str(number) for number in range(1, 105)] + [f"S{number}" for number in range(1, 17)]
FURTHER = {"54a", "54b"}


class Row(NamedTuple):
    """One line of the account."""

    number: str
    fault: str
    injected: str
    outcome: str
    codes: str
    phases: str
    tests: str


@cache
def account() -> list[Row]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| S?\d+\w? \|", line)]
    return [Row(*(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])) for line in lines]


def named(row: Row) -> list[tuple[str, str, str]]:
    """(file, test, row among its cases or nothing) for each test that proves a row."""
    found = re.findall(r"`([\w/]+)::(\w+)(?:\[(\w+)\])?`", row.tests)
    assert len(found) == row.tests.count("`") // 2, f"row {row.number} names a test in a way nobody understands"
    return [(_file(where), f"test_{name}", case) for where, name, case in found]


def _file(where: str) -> str:
    folder, _, name = where.rpartition("/")
    return f"tests/{folder}/test_{name}.py"


def collected(files: set[str]) -> dict[tuple[str, str], set[str]]:
    """What pytest finds in the files: the cases of each (file, test)."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",
            *sorted(files),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    cases: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in done.stdout.splitlines():
        if found := re.match(r"([^:]+\.py)::(\w+)(?:\[(.*)\])?$", line):
            cases[found[1], found[2]].add(found[3] or "")
    return cases


def test_every_row_is_there_once_with_its_tests() -> None:
    numbers = Counter(row.number for row in account())
    assert set(numbers) == {*ROWS, *FURTHER}
    assert set(numbers.values()) == {1}
    for row in account():
        assert all((row.fault, row.injected, row.outcome, named(row))), row
        assert re.fullmatch("F?M?R?", row.phases), row
        assert row.phases, row


def test_every_exit_code_is_a_documented_one() -> None:
    known = {0, *(kind.code for kind in HlsdlError.__subclasses__())}
    for row in account():
        assert {int(code) for code in re.findall(r"\d+", row.codes)} <= known, row
        assert row.codes == "–" or re.search(r"\d", row.codes), row


def test_every_test_that_is_named_exists_and_has_a_case_for_the_row() -> None:
    wanted = [(row.number, *one) for row in account() for one in named(row)]
    cases = collected({file for _, file, _, _ in wanted})
    missing = [(number, file, name) for number, file, name, _ in wanted if (file, name) not in cases]
    assert missing == []
    without = [
        (number, name)
        for number, file, name, case in wanted
        if case and not any(known.startswith(f"{case} ") or known == case for known in cases[file, name])
    ]
    assert without == []


def test_every_numbered_case_of_the_matrix_is_in_the_account() -> None:
    """And with the code that the matrix expects."""
    from test_fault_matrix import ROWS as MATRIX

    codes = {row.number: {int(code) for code in re.findall(r"\d+", row.codes)} for row in account()}
    for row in MATRIX:
        number = row.name.split()[0]
        if number.isdecimal():
            assert row.code in codes[number], row.name
