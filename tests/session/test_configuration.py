"""Keyword flags of the library are the flags of the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlsdl.errors import UsageError
from hlsdl.session.configuration import options_from


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


def test_an_unknown_flag_is_a_usage_error_that_names_it() -> None:
    with pytest.raises(UsageError, match="`min_bitrat`"):
        options_from(min_bitrat=1)
