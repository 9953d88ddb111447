"""Keyword flags of the library are the flags of the command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hlsdl.config import load_settings
from hlsdl.errors import UsageError
from hlsdl.planning.preferences import Preferences
from hlsdl.session.configuration import options_for_adding, options_from
from hlsdl.transfer.options import LONGEST_TIME, MOST_CONNECTIONS, MOST_RETRIES


def test_flags_reach_the_part_they_concern() -> None:
    options = options_from(min_bitrate=2_000_000, audio=["en", "fr"], connections=4, keep_protected=True)
    assert options.preferences.min_bitrate == 2_000_000
    assert options.preferences.audio == ("en", "fr")
    assert options.transfer.connections == 4
    assert options.keep_protected


def test_one_word_stands_for_a_list_of_one() -> None:
    assert options_from(audio="all").preferences.audio == ("all",)


def test_headers_may_be_a_mapping() -> None:
    assert options_from(headers={"Authorization": "x"}).transfer.headers == (("Authorization", "x"),)


def test_output_is_a_folder_or_a_bundle_path() -> None:
    assert options_from(output="films").directory == Path("films")
    assert options_from(output="films/a.movpkg").output == Path("films/a.movpkg")


def test_a_title_is_text() -> None:
    assert options_from(title="Les Cinéphiles 🎬").title == "Les Cinéphiles 🎬"
    with pytest.raises(UsageError, match="UTF-8"):
        options_from(title=b"film \xff".decode(errors="surrogateescape"))


def test_an_unknown_flag_is_a_usage_error_that_names_it() -> None:
    with pytest.raises(UsageError, match="`min_bitrat`"):
        options_from(min_bitrat=1)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("min_bitrate", "2M"),
        ("max_size", "160x90"),
        ("min_bitrate", -1),
        ("bitrate_basis", "mean"),
        ("connections", 1.5),
        ("connections", 0),
        ("connections", MOST_CONNECTIONS + 1),
        ("retries", MOST_RETRIES + 1),
        ("limit_rate", 0),
        ("timeout", 0),
        ("timeout", float("nan")),
        ("stall_timeout", 0),
        ("stall_timeout", float("inf")),
        ("timeout", LONGEST_TIME + 1),
        ("force", "perhaps"),
        ("no_resume", 2),
        ("keep_protected", "maybe"),
        ("allow_gaps", "perhaps"),
        ("title", 5),
        ("base_url", 5),
        ("directory", 5),
        ("artwork", 5),
        ("renew", "https://films.test/"),
    ],
)
def test_a_value_that_cannot_be_is_a_usage_error_that_names_its_flag(flag: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"`{flag}`"):
        options_from(**{flag: value})


@pytest.mark.parametrize(("word", "meaning"), [("no", False), ("yes", True), (0, False), (True, True)])
def test_a_switch_means_what_it_says(word: object, meaning: bool) -> None:
    """The word `no` is a text like any other to Python, and true."""
    options = options_from(force=word, allow_gaps=word, keep_protected=word, no_resume=word)
    assert (options.force, options.allow_gaps, options.keep_protected, options.resume) == (
        meaning,
        meaning,
        meaning,
        not meaning,
    )


@pytest.mark.parametrize("wrong", [{"output": 5}, {"output": b"a"}, {"output": "a\0b"}, {"where": 5}, {"where": [5]}])
def test_a_value_of_no_use_is_a_usage_error(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        options_from(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_bitrate": -5},
        {"max_bitrate": float("nan")},
        {"min_bitrate": "2M"},
        {"min_size": (0, 90)},
        {"max_size": (160,)},
        {"max_size": "160x90"},
    ],
)
def test_preferences_refuse_what_the_flags_refuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(wrong))}`"):
        Preferences(**wrong)


def test_numbers_may_be_what_the_command_takes() -> None:
    """At their limits; the command's readers have the same."""
    least = options_from(connections=1, retries=0, limit_rate=1, timeout=0.001, stall_timeout=0.001).transfer
    most = options_from(connections=MOST_CONNECTIONS, retries=MOST_RETRIES, timeout=LONGEST_TIME).transfer
    assert (least.connections, least.retries, most.connections, most.retries) == (1, 0, 256, 1000)
    for name, wrong in (("connections", "0"), ("connections", "257"), ("retries", "1001"), ("limit_rate", "0")):
        with pytest.raises(UsageError):
            load_settings({name: wrong}, use_file=False)


def test_none_is_not_given() -> None:
    """Programs pass on what they were given themselves."""
    nothing = dict.fromkeys(("force", "no_resume", "audio", "where", "min_bitrate", "header", "output", "retries"))
    assert options_from(**nothing) == options_from()
    assert options_for_adding({"audio": None, "subs": "de"})[1] == {"subtitles"}
    with pytest.raises(UsageError, match="no flag `jobs`"):
        options_from(jobs=None)


def test_whatever_has_a_path_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with os.scandir(tmp_path) as entries:
        assert options_from(output=next(entries)).directory == tmp_path / "films"


def test_the_flags_have_the_names_of_the_command_too() -> None:
    options = options_from(subs="de,fr", codec=["avc1"], no_resume=True, dir="films", trust_origin="cdn.test")
    assert options.preferences.subtitles == ("de", "fr")
    assert options.preferences.codecs == ("avc1",)
    assert (options.resume, options.directory) == (False, Path("films"))
    assert options.transfer.trusted_origins == ("cdn.test",)
