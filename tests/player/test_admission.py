"""The rules for requests, one by one; the server's tests send them over real sockets."""

from __future__ import annotations

import pytest

from hlsdl.player.admission import Admitted, Refusal, hosts_of, judge, new_token

TOKEN = new_token()
PORT = 54321
HOST = (b"host", b"127.0.0.1:54321")


def verdict(
    target: str = f"/{TOKEN}/index.m3u8", *headers: tuple[bytes, bytes], method: str = "GET"
) -> Admitted | Refusal:
    return judge(method=method, target=target.encode("latin-1"), headers=headers or [HOST], port=PORT, token=TOKEN)


def test_a_token_is_256_bits_and_never_the_same() -> None:
    assert len(TOKEN) == 43  # 32 bytes in base64url
    assert len({new_token() for _ in range(1000)}) == 1000


def test_a_request_with_the_token_is_admitted_by_its_name() -> None:
    assert verdict() == Admitted(name="index.m3u8")
    assert verdict(f"/{TOKEN}/0-ABC-800/000000100.init.mp4") == Admitted(name="0-ABC-800/000000100.init.mp4")
    assert verdict(f"/{TOKEN}/") == Admitted(name="")
    assert verdict(method="HEAD") == Admitted(name="index.m3u8")


@pytest.mark.parametrize("host", [b"127.0.0.1:54321", b"localhost:54321", b"[::1]:54321"])
def test_each_loopback_name_with_the_port_is_a_host_and_its_own_origin(host: bytes) -> None:
    assert isinstance(verdict(f"/{TOKEN}/", (b"host", host)), Admitted)
    assert isinstance(verdict(f"/{TOKEN}/", (b"host", host), (b"origin", b"http://" + host)), Admitted)


def test_the_default_port_may_be_left_out_of_the_host_and_no_other() -> None:
    assert b"127.0.0.1" in hosts_of(80)
    assert b"127.0.0.1" not in hosts_of(8080)


def test_an_origin_must_be_that_of_the_host_that_was_asked() -> None:
    assert verdict(f"/{TOKEN}/", HOST, (b"origin", b"http://localhost:54321")) is Refusal.FORBIDDEN
    assert (
        verdict(f"/{TOKEN}/", HOST, (b"origin", b"http://127.0.0.1:54321"), (b"origin", b"null")) is Refusal.FORBIDDEN
    )


def test_the_host_comes_before_everything_else() -> None:
    """Whoever rebinds a name learns nothing, not even that the method is wrong."""
    for method in ("GET", "POST", "OPTIONS"):
        assert verdict("/", (b"host", b"evil.test"), method=method) is Refusal.HANG_UP


def test_a_request_with_a_body_is_refused() -> None:
    assert verdict(f"/{TOKEN}/", HOST, (b"content-length", b"5")) is Refusal.BAD_REQUEST
    assert verdict(f"/{TOKEN}/", HOST, (b"transfer-encoding", b"chunked")) is Refusal.BAD_REQUEST
    assert isinstance(verdict(f"/{TOKEN}/", HOST, (b"content-length", b"0")), Admitted)


def test_a_token_that_is_nearly_right_is_wrong() -> None:
    other = "A" if TOKEN[-1] != "A" else "B"
    for wrong in ("", TOKEN[:-1], TOKEN + "A", TOKEN[:-1] + other, TOKEN.swapcase(), "\xe9" + TOKEN[1:], TOKEN + "%00"):
        assert verdict(f"/{wrong}/index.m3u8") is Refusal.NOT_FOUND
