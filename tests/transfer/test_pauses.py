"""How long a host is left alone that says no and not for how long."""

from __future__ import annotations

import pytest

from hlsdl.transfer.pauses import MOST_HALVINGS, Pause


def told(pause: Pause, succeeds: list[bool], *, of_one: bool = True) -> list[int]:
    """The powers of two of a pause before each answer; after a success the host says no again."""
    powers = []
    for is_fine in succeeds:
        powers.append(pause.complained(of_one=of_one))
        pause.until += 1.0
        if is_fine:
            pause.fruitless = 0
    return powers


def test_pauses_double_while_nothing_comes_of_them() -> None:
    for of_one in (True, False):
        assert told(Pause(), [False] * 5, of_one=of_one) == [0, 1, 2, 3, 4]


def test_a_host_that_counts_requests_is_asked_more_often_while_it_goes_along() -> None:
    assert told(Pause(), [True] * 6) == [0, -1, -2, -3, -3, -3]
    assert MOST_HALVINGS == 3


def test_it_is_not_asked_again_as_often_as_it_did_not_go_along_with() -> None:
    assert told(Pause(), [True, True, False, True, True, True]) == [0, -1, -2, 1, -1, -1]
    assert told(Pause(), [True, False, True, True]) == [0, -1, 1, 0]


@pytest.mark.parametrize("before", [0, 3])
def test_where_more_than_one_request_was_made_fewer_of_them_come_first(before: int) -> None:
    pause = Pause()
    told(pause, [True] * before)
    assert told(pause, [True] * 3, of_one=False) == [0, 0, 0]
