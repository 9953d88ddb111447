"""The limits that ship are the ones that were decided upon: whoever changes one changes it here, too."""

from __future__ import annotations

from dataclasses import asdict

from hlsdl.access.limits import KIB, MIB, Limits
from hlsdl.bundle import checkpoint
from hlsdl.playlist.lines import PlaylistLimits
from hlsdl.transfer import concurrency, fetching
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.policy import RetryPolicy


def test_a_server_may_cost_so_much_and_no_more() -> None:
    assert asdict(Limits()) == {
        "url": 8192,
        "redirects": 10,
        "head_bytes": 64 * KIB,
        "head_fields": 256,
        "interim_responses": 16,
        "decoded_ratio": 100,
        "decoded_freely": MIB,
        "whole": 64 * 1024 * MIB,
        "resume_from": 8 * MIB,
        "block": MIB,
        "slowest": KIB,
        "slow_after": 30.0,
        "cookies_per_origin": 50,
        "cookie_bytes": 4 * KIB,
        "cookie_origins": 64,
    }
    assert (fetching.LEAST_ANSWER, fetching.MOST_SCRAPS) == (4 * KIB, 32)


def test_a_playlist_may_be_so_large_and_no_larger() -> None:
    assert asdict(PlaylistLimits()) == {
        "max_bytes": 32 * MIB,
        "max_lines": 4_000_000,
        "max_line": 64 * KIB,
        "max_data_line": MIB,
        "max_segments": 1_000_000,
        "max_renditions": 500,
        "max_duration": 24 * 3600,
        "max_total_duration": 100 * 24 * 3600,
        "max_url": 8192,
        "max_integer": 2**63 - 1,
    }


def test_patience_is_as_the_command_line_says() -> None:
    options = TransferOptions()
    assert (options.retries, options.timeout, options.stall_timeout) == (8, 15.0, 20.0)
    assert asdict(RetryPolicy()) == {
        "retries": 8,
        "first_delay": 0.5,
        "longest_delay": 30.0,
        "first_pause": 1.0,
        "longest_pause": 120.0,
        "longest_retry_after": 300.0,
        "tokens": 50.0,
        "refund": 0.1,
        "slow_delay": 30.0,
    }
    assert concurrency.START == 8
    assert (checkpoint.EVERY_OBJECTS, checkpoint.EVERY_SECONDS) == (32, 5.0)
