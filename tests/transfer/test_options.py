"""The options: what cannot be is said before anything is asked, and nothing secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hlsdl.errors import UsageError
from hlsdl.transfer.client import Client
from hlsdl.transfer.cookie_file import MOST_COOKIE_BYTES
from hlsdl.transfer.options import TransferOptions


@pytest.mark.parametrize(
    "changes",
    [
        {"cacert": Path("/nowhere.pem")},
        {"client_cert": Path("/nowhere.pem")},
        {"cookies_file": Path("/nowhere.txt")},
        {"headers": (("Host", "x"),)},
        {"headers": (("X", "a\nb"),)},
        {"trusted_origins": ("a b",)},
        {"user_agent": "a\r\nb"},
        {"limit_rate": True},
        {"retries": False},
        {"connections": True},
    ],
    ids=str,
)
def test_what_the_user_got_wrong_is_said_before_anything_is_asked(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Client(TransferOptions(**changes), "https://films.example/")
    assert caught.value.code == 2


def test_a_file_of_cookies_may_have_16_mib_and_no_byte_more(tmp_path: Path) -> None:
    file = tmp_path / "cookies.txt"
    for size, is_fine in ((MOST_COOKIE_BYTES, True), (MOST_COOKIE_BYTES + 1, False)):
        file.write_bytes(b"#".ljust(size, b"\n"))
        if is_fine:
            Client(TransferOptions(cookies_file=file), "https://films.example/")
        else:
            with pytest.raises(UsageError, match="too large"):
                Client(TransferOptions(cookies_file=file), "https://films.example/")


def test_nothing_secret_is_shown() -> None:
    options = TransferOptions(
        headers=(("Authorization", "secret"),), proxy="http://u:secret@p", referer="https://p/?secret"
    )
    assert "secret" not in repr(options)
    assert "secret" not in repr(Client(options, "https://films.example/?token=secret"))


def test_options_are_loaded_without_an_http_library() -> None:
    import subprocess
    import sys

    code = "import sys, hlsdl.transfer.options, hlsdl.transfer.client; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
