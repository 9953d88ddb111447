"""What libcurl's result codes mean: Setback when another try may help, an HlsdlError when not.

By number, since pycurl has names for some of them only, and wrong ones for others. An unknown number is a failure that
may pass, never a success. Messages of libcurl are looked at, and never shown: they may hold addresses and URLs.
"""

from __future__ import annotations

from hlsdl.errors import HlsdlError, LimitError, NetworkError, PolicyError
from hlsdl.transfer.doors import Question, Setback
from hlsdl.transfer.policy import HANDSHAKE_RETRIES, certificate_refused, handshake_failed, is_about_certificates
from hlsdl.transfer.proxying import refusal, unreachable

_TLS = frozenset({51, 53, 54, 58, 59, 60, 66, 77, 82, 83, 90, 91, 98})
"""Certificates, ciphers and stores: trying again cures none of them."""
_CONNECT = frozenset({5, 6, 7})
_BROKEN = frozenset({1, 8, 16, 18, 52, 61, 63, 92, 95})
_OVER_LIMIT = 100
_PROXY = 97
_HINT = "check the network; run the same command again to go on"
_HINT_PROXY = "check the proxy and the network; run the same command again to go on"


def meaning(
    code: int,
    message: str,
    question: Question,
    *,
    through_proxy: bool = False,
    connect_status: int = 0,
    is_head: bool = True,
) -> HlsdlError | Setback:
    """Translate the end of a transfer; `connect_status` is what a proxy answered to CONNECT, or 0.

    `is_head`: what came is a response head, as on a connection that was made for it, or as its first line says. Else it
    may be the rest of an answer before.
    """
    url = question.url.text
    if connect_status >= 300 or code == _PROXY:
        return refusal(str(connect_status) if connect_status >= 300 else message, url)
    if through_proxy and code in _CONNECT:
        return unreachable(url)
    if _is_tls(code, message):
        return certificate_refused(message, _tls_reason(code, message), url)
    if code == 3 or (code == 1 and "protocol" in message.lower() and "version" not in message.lower()):
        return PolicyError("a URL cannot be asked for over HTTP", url=url)
    if is_head and (code == _OVER_LIMIT or (code == 56 and "header" in message.lower())):
        return LimitError("the response head is larger than allowed", url=url)
    # A handshake that failed, as opposed to a connection that was cut under it.
    is_handshake = code == 35 and "error:" in message.lower()
    way = " through the proxy" if through_proxy else ""
    if code == 28:
        told = f"connecting{way} took longer than {question.timeouts.connect:g} seconds"
    elif code in _CONNECT or code == 35:
        told = "the connection cannot be made"
    elif code in _BROKEN:
        told = "the server broke off or broke the protocol"
    else:
        told = f"the connection{way} failed"
    hint = _HINT_PROXY if through_proxy else _HINT
    error = handshake_failed(url) if is_handshake else NetworkError(told, url=url, hint=hint, retryable=True)
    return Setback(error, timed_out=code == 28, retries=HANDSHAKE_RETRIES if is_handshake else None)


def no_response(question: Question) -> HlsdlError | Setback:
    """What libcurl calls a success and is no response: a head that was cut, a Content-Length that says no number."""
    return meaning(8, "", question)  # as it calls other answers that it cannot read


def unheard(question: Question) -> Setback:
    """The other system does not get the request: another connection may do, at once, and perhaps there are too many."""
    told = NetworkError("the server does not get what is sent", url=question.url.text, hint=_HINT, retryable=True)
    return Setback(told, timed_out=True, wait=0.0)


def _is_tls(code: int, message: str) -> bool:
    # That a certificate of ours was wanted, TLS 1.3 says after the handshake.
    return code in _TLS or (code in {35, 56} and is_about_certificates(message))


def _tls_reason(code: int, message: str) -> str:
    text = message.lower()
    for sign, reason in (
        ("unable to get local issuer", "unable to get local issuer certificate"),
        ("self-signed", "self-signed certificate"),
        ("self signed", "self-signed certificate"),
        ("expired", "certificate has expired"),
        ("not yet valid", "certificate is not yet valid"),
        ("no alternative certificate subject name", "the certificate is for another host"),
        ("does not match", "the certificate is for another host"),
    ):
        if sign in text:
            return reason
    return "the client certificate cannot be used" if code == 58 else "the handshake failed"
