"""Patience as values: statuses, delays, and what a server says about waiting."""

from __future__ import annotations

import pytest

from hlsdl.transfer.policy import (
    RetryPolicy,
    StatusClass,
    class_of_status,
    hint_for_certificate,
    hint_for_status,
    read_retry_after,
)

DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((200, 203, 206), StatusClass.SUCCESS),
        ((301, 302, 303, 307, 308), StatusClass.REDIRECT),
        ((408, 425, 429, 500, 502, 503, 504, 520, 524), StatusClass.RETRY),
        (
            (201, 204, 205, 300, 304, 305, 400, 401, 402, 403, 404, 405, 407, 410, 416, 451, 501, 505, 511),
            StatusClass.PERMANENT,
        ),
    ],
)
def test_each_status_has_its_class(statuses: tuple[int, ...], expected: StatusClass) -> None:
    assert {class_of_status(status) for status in statuses} == {expected}


def test_the_usual_refusals_come_with_a_hint() -> None:
    assert all(hint_for_status(status) for status in (401, 403, 404, 407, 410))
    assert hint_for_status(418) is None


def test_a_certificate_of_another_time_points_at_the_clock() -> None:
    for reason in ("certificate has expired", "certificate is not yet valid"):
        assert "clock" in hint_for_certificate(reason)
    assert "--cacert" in hint_for_certificate("self-signed certificate")


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        (None, None, None),
        ("0", None, 0.0),
        ("120", None, 120.0),
        (" 7 ", None, 7.0),
        ("1000000000", None, 1e9),
        ("9" * 400, None, float("9" * 18)),
        ("-1", None, None),
        ("1.5", None, None),
        ("soon", None, None),
        ("", None, None),
        ("Fri, 20 Nov 2026 10:01:30 GMT", DATE, 90.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", DATE, 0.0),
        ("Fri, 20 Nov 2026 10:01:30 GMT", "garbage", 30.0),
        ("Fri, 20 Nov 2026 10:01:30 GMT", None, 30.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_servers_own(
    value: str | None, date: str | None, expected: float | None
) -> None:
    now = 1_795_168_860.0  # 10:01:00
    assert read_retry_after(value, date=date, now=now) == expected


def test_delays_double_up_to_the_longest_and_are_jittered_down_to_nothing() -> None:
    policy = RetryPolicy()
    assert [policy.delay(n, 1.0) for n in (1, 2, 3, 7, 100)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert policy.delay(5, 0.0) == 0.0
    assert policy.delay(2, 0.25) == 0.25


def test_pauses_double_while_they_do_not_help() -> None:
    policy = RetryPolicy()
    assert [policy.pause(n) for n in (-3, 0, 1, 2, 7, 1000)] == [0.125, 1.0, 2.0, 4.0, 120.0, 120.0]
