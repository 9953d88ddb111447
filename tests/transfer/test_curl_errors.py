"""What libcurl's result codes mean."""

from __future__ import annotations

import pytest

from hlsdl.access.urls import read_url
from hlsdl.errors import LimitError
from hlsdl.transfer.curl_errors import meaning
from hlsdl.transfer.doors import Question, Setback, Timeouts

QUESTION = Question(url=read_url("http://h.test/a"), headers=(), timeouts=Timeouts())


@pytest.mark.parametrize(("code", "message"), [(100, ""), (56, "Too large response headers: 307300 > 307200")])
def test_an_endless_head_is_final_only_on_a_connection_of_its_own(code: int, message: str) -> None:
    """On one that was used before, it may be the surplus of the answer before: another try, on another one, tells."""
    assert isinstance(meaning(code, message, QUESTION), LimitError)
    assert isinstance(meaning(code, message, QUESTION, is_fresh=False), Setback)
