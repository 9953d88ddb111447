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
ROWS = [str(number) for number in range(1, 105)] + [f"S{number}" for number in range(1, 18)]
FURTHER = {"50a", "50b", "54a", "54b"}
PHASES = {"fresh": "F", "middle": "M", "resume": "R"}
"""Word in the name of a case -> letter in the account."""
SAID_OTHERWISE = {
    "FMR": """a_fault_is_healed_or_told a_certificate_that_goes_bad_is_told_and_outlived
        a_playlist_that_is_served_badly_is_told_and_costs_nothing_stored
        a_stream_that_ends_badly_costs_nothing_but_itself kills_at_random_moments_lose_nothing_and_fetch_nothing_again
        kills_before_system_calls_lose_nothing a_kill_before_any_call_loses_nothing
        links_planted_in_a_bundle_are_not_followed
        power_cuts_take_nothing_that_was_checkpointed a_power_cut_before_any_call_loses_no_checkpointed_object
        a_name_server_that_fails_is_told_and_when_it_works_the_work_goes_on""",
    "M": """an_ipv6_that_breaks_in_the_middle_is_left
        a_signed_url_that_expires_at_forty_per_cent_is_renewed_from_the_playlist
        what_falls_into_a_black_hole_is_asked_for_again a_hole_that_stays_ends_resumably
        resets_of_every_connection_end_resumably a_link_that_is_down_for_a_moment_costs_no_request
        a_name_server_that_dies_in_the_middle_costs_nothing a_change_in_the_middle_of_a_download_stops_it
        a_machine_that_slept_longer_than_every_time_out_goes_on a_clock_that_jumps_in_the_middle_changes_nothing
        a_full_disk_keeps_what_is_finished_and_can_be_resumed a_disk_that_becomes_read_only_in_the_middle_is_told
        an_interrupt_saves_what_is_here_and_says_how_to_go_on two_interrupts_end_at_once_and_the_bundle_is_still_sound
        a_closed_terminal_saves_and_the_same_command_goes_on a_second_process_on_the_same_bundle_is_told_so
        a_killed_run_over_many_sources_goes_on_with_each""",
    "MR": "a_killed_download_resumes_without_asking_for_a_finished_segment_again",
    "R": """a_run_that_was_killed_goes_on_where_its_segments_came_from a_resumed_download_uses_the_tokens_of_now a_stream_that_changed_between_two_runs_is_never_mixed
        another_place_must_prove_that_it_has_the_same_bytes a_manifest_that_is_damaged_is_told_and_left_alone
        a_playlist_that_lost_its_end_is_still_the_same_stream a_kill_during_recovery_does_not_hide_the_power_cut
        a_damaged_tail_loses_no_segment damage_in_the_middle_loses_no_segment a_deleted_journal_loses_no_segment
        a_sealed_bundle_knows_how_long_its_segments_are
        what_is_no_media_is_not_taken_in_by_a_bundle_that_was_never_sealed""",
}
"""Phases -> the tests that are about just these, though their cases do not say so; any other test is about a start."""


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


@cache
def collected(files: frozenset[str]) -> dict[tuple[str, str], set[str]]:
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


def test_a_row_that_is_not_tried_in_all_three_phases_says_why() -> None:
    for row in account():
        letters, _, why = row.phases.partition("; ")
        assert re.fullmatch("F?M?R?|–", letters), row
        assert letters, row
        assert (letters == "FMR") is not bool(why), row


def test_every_exit_code_is_a_documented_one() -> None:
    known = {0, *(kind.code for kind in HlsdlError.__subclasses__())}
    for row in account():
        assert {int(code) for code in re.findall(r"\d+", row.codes)} <= known, row
        assert row.codes == "–" or re.search(r"\d", row.codes), row


def test_every_test_that_is_named_exists_and_has_a_case_for_the_row() -> None:
    wanted = [(row.number, *one) for row in account() for one in named(row)]
    cases = collected(frozenset(file for _, file, _, _ in wanted))
    missing = [(number, file, name) for number, file, name, _ in wanted if (file, name) not in cases]
    assert missing == []
    without = [
        (number, name)
        for number, file, name, case in wanted
        if case and not any(known.startswith(f"{case} ") or known == case for known in cases[file, name])
    ]
    assert without == []


def tried(row: Row, cases: dict[tuple[str, str], set[str]]) -> tuple[set[str], set[str]]:
    """The phases that the cases of a row's tests are named after, and those of its other tests."""
    otherwise = {f"test_{name}": letters for letters, names in SAID_OTHERWISE.items() for name in names.split()}
    shown: set[str] = set()
    others: set[str] = set()
    for file, name, case in named(row):
        ids = " ".join(known for known in cases[file, name] if not case or known.startswith(f"{case} "))
        said = {letter for word, letter in PHASES.items() if re.search(rf"\b{word}\b", ids)}
        shown |= said
        others |= set(otherwise.get(name, "" if said else "F"))
    return shown, others


def test_the_tests_of_a_row_try_it_in_the_phases_that_are_claimed() -> None:
    """No phase is claimed that no test is about, and no case is named after one that the row does not claim."""
    cases = collected(frozenset(file for row in account() for file, _, _ in named(row)))
    wrong = []
    for row in account():
        claimed = set(row.phases.partition("; ")[0]) - {"–"}
        shown, others = tried(row, cases)
        if not shown <= claimed <= shown | others:
            wrong.append((row.number, row.phases, shown, others))
    assert wrong == []


def test_every_test_that_is_told_apart_here_is_in_the_account() -> None:
    proving = {name for row in account() for _, name, _ in named(row)}
    assert {f"test_{name}" for names in SAID_OTHERWISE.values() for name in names.split()} <= proving


def test_every_numbered_case_of_the_matrix_is_in_the_account() -> None:
    """And with the code that the matrix expects."""
    from test_fault_matrix import ROWS as MATRIX

    codes = {row.number: {int(code) for code in re.findall(r"\d+", row.codes)} for row in account()}
    for row in MATRIX:
        number = row.name.split()[0]
        if number.isdecimal():
            assert row.code in codes[number], row.name
