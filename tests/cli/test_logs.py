"""Log records: shown on request, never with a secret."""

from __future__ import annotations

import logging

import pytest

from cli.terminals import err, piped
from hlsdl.cli.logs import show_logs


@pytest.mark.parametrize(
    ("verbose", "shown"),
    [(0, []), (1, ["info: b", "warning: c"]), (2, ["debug: a", "info: b", "warning: c"])],
)
def test_each_v_shows_more(verbose: int, shown: list[str]) -> None:
    terminal = piped()
    show_logs(terminal, verbose)
    logger = logging.getLogger("hlsdl.transfer.client")
    logger.debug("a")
    logger.info("%s", "b")
    logger.warning("c")
    assert err(terminal).splitlines() == shown


def test_addresses_in_records_are_redacted() -> None:
    terminal = piped()
    show_logs(terminal, 1)
    logging.getLogger("hlsdl").info("GET %s, then `%s`", "https://me:pw@a.example/x?token=s3cret&b=2", "b.example/?k=v")
    assert err(terminal) == "info: GET https://a.example/x?token=…&b=…, then `b.example/?k=…`\n"


def test_an_exception_in_a_record_is_not_spelt_out() -> None:
    terminal = piped()
    show_logs(terminal, 2)
    try:
        raise ValueError("s3cret")
    except ValueError:
        logging.getLogger("hlsdl").exception("it failed")
    assert err(terminal) == "error: it failed\n"
