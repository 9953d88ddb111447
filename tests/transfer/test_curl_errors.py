"""What libcurl's result codes mean."""

from __future__ import annotations

import pytest

from hlsdl.access.urls import read_url
from hlsdl.errors import HttpError, LimitError, NetworkError
from hlsdl.transfer.curl_errors import meaning
from hlsdl.transfer.doors import Question, Setback, Timeouts

QUESTION = Question(url=read_url("http://h.test/a"), headers=(), timeouts=Timeouts())


@pytest.mark.parametrize(("code", "message"), [(100, ""), (56, "Too large response headers: 307300 > 307200")])
def test_an_endless_head_is_final_where_it_is_known_to_be_a_head(code: int, message: str) -> None:
    """On a connection that was used before, it may be the surplus of the answer before: another try tells."""
    assert isinstance(meaning(code, message, QUESTION), LimitError)
    assert isinstance(meaning(code, message, QUESTION, is_head=False), Setback)


@pytest.mark.parametrize(
    ("code", "message", "is_final"),
    [
        (60, "SSL certificate problem: self-signed certificate", True),
        (35, "OpenSSL: error:0A000412:SSL routines::sslv3 alert bad certificate", True),
        (35, "OpenSSL: error:0A000418:SSL routines::tlsv1 alert unknown ca", True),
        (56, "OpenSSL: error:0A00045C:SSL routines::tlsv13 alert certificate required", True),
        (35, "OpenSSL: error:0A000438:SSL routines::tlsv1 alert internal error", False),
        (35, "OpenSSL: error:0A00010B:SSL routines::wrong version number", False),
        (35, "OpenSSL: error:0A000119:SSL routines::decryption failed or bad record mac", False),
        (35, "OpenSSL SSL_connect: SSL_ERROR_SYSCALL", False),
    ],
)
def test_a_handshake_is_final_only_where_a_certificate_is_the_reason(code: int, message: str, is_final: bool) -> None:
    """A server that is being restarted, or a bit that turned on the way, must not end a film."""
    found = meaning(code, message, QUESTION)
    if is_final:
        assert isinstance(found, HttpError)
    else:
        assert isinstance(found, Setback)
        assert isinstance(found.error, NetworkError)
        assert "--insecure" not in str(found.error.hint)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("OpenSSL: error:0A00045C:SSL routines::tlsv13 alert certificate required", "wants a client certificate"),
        ("OpenSSL: error:0A000418:SSL routines::tlsv1 alert unknown ca", "does not accept the client certificate"),
        ("OpenSSL: error:0A000415:SSL routines::sslv3 alert certificate expired", "does not accept the client"),
    ],
)
def test_an_alert_is_the_servers_word_about_a_certificate_of_ours(message: str, told: str) -> None:
    """It is not ours that checks: to check nothing would change nothing."""
    found = meaning(56, message, QUESTION)
    assert isinstance(found, HttpError)
    assert told in found.message
    assert "--client-cert" in str(found.hint)
    assert "--insecure" not in str(found.hint)


@pytest.mark.parametrize(
    ("code", "told"), [(28, "connecting through the proxy took"), (56, "through the proxy failed")]
)
def test_where_there_is_a_proxy_it_is_named(code: int, told: str) -> None:
    found = meaning(code, "", QUESTION, through_proxy=True)
    assert isinstance(found, Setback)
    assert told in found.error.message
    assert "proxy" in str(found.error.hint)
    other = meaning(code, "", QUESTION)
    assert isinstance(other, Setback)
    assert "proxy" not in other.error.message + str(other.error.hint)
