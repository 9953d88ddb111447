"""When a request counts as one that the other system never got, and what follows from it."""

from __future__ import annotations

import pytest

from hlsdl.access.urls import SourceOrigin
from hlsdl.transfer.hearing import IN_VAIN, KEPT_IDLE, KEPT_IDLE_UNHEARD, UNHEARD_AFTER, Hearing

FILMS, OTHER = SourceOrigin("http", "films.example", 80), SourceOrigin("http", "other.example", 80)


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """Descriptor -> how often TCP has sent again what was sent on it."""
    times: dict[int, int] = {}
    monkeypatch.setattr("hlsdl.transfer.hearing.times_sent_again", lambda descriptor: times[descriptor])
    return times


def test_what_was_sent_again_in_vain_is_unheard_and_one_time_less_is_not(again: dict[int, int]) -> None:
    hearing = Hearing()
    hearing.look(100.0, has_come=True)
    again[5] = IN_VAIN - 1
    assert not hearing.is_unheard(FILMS, 5, 200.0), "a round trip may take that long"
    again[5] = IN_VAIN
    assert hearing.is_unheard(FILMS, 5, 200.0)


def test_while_anything_comes_nothing_is_unheard(again: dict[int, int]) -> None:
    hearing = Hearing()
    again[5] = 9
    hearing.look(100.0, has_come=True)
    assert not hearing.is_unheard(FILMS, 5, 100.0 + UNHEARD_AFTER - 0.01)
    hearing.ended()
    hearing.look(101.0, has_come=False)
    assert not hearing.is_unheard(FILMS, 5, 101.0 + UNHEARD_AFTER - 0.01)
    assert hearing.is_unheard(FILMS, 5, 101.0 + UNHEARD_AFTER)


def test_each_wave_must_wait_longer_than_the_one_before_until_something_comes(again: dict[int, int]) -> None:
    """Requests of one moment are one wave, however many they are."""
    hearing = Hearing()
    again.update({5: IN_VAIN, 6: IN_VAIN + 1})
    assert all(hearing.is_unheard(FILMS, 5, 100.0 + number / 100) for number in range(20))
    assert not hearing.is_unheard(FILMS, 5, 103.0)
    assert hearing.is_unheard(FILMS, 6, 103.0)
    assert hearing.is_unheard(FILMS, 6, 103.1)
    assert not hearing.is_unheard(FILMS, 6, 106.0)
    hearing.look(107.0, has_come=True)
    assert hearing.is_unheard(FILMS, 5, 109.0)


def test_connections_that_were_idle_are_not_used_for_an_origin_that_did_not_hear(again: dict[int, int]) -> None:
    hearing = Hearing()
    assert hearing.kept_idle(FILMS) == KEPT_IDLE
    again[5] = IN_VAIN
    hearing.is_unheard(FILMS, 5, 100.0)
    assert (hearing.kept_idle(FILMS), hearing.kept_idle(OTHER)) == (KEPT_IDLE_UNHEARD, KEPT_IDLE)
    assert KEPT_IDLE_UNHEARD < UNHEARD_AFTER, "all that is idle by then is older"


def test_an_origin_that_did_not_hear_is_asked_on_new_connections_until_something_comes(again: dict[int, int]) -> None:
    hearing = Hearing()
    again[5] = IN_VAIN
    hearing.is_unheard(FILMS, 5, 100.0)
    hearing.look(100.2, has_come=False)
    assert (hearing.wants_anew(FILMS), hearing.wants_anew(OTHER)) == (True, False)
    hearing.look(100.4, has_come=True)
    assert not hearing.wants_anew(FILMS)
