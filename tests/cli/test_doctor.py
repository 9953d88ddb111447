"""`hlsdl doctor` says whose connections are used, and when they are not libcurl's, why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hlsdl.cli.app import main
from hlsdl.transfer import transport


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*flags: str) -> str:
        assert main(["doctor", "--no-config", *flags]) == 0
        return capsys.readouterr().out

    return run


def line_of(shown: str) -> str:
    return next(line for line in shown.splitlines() if line.startswith("transport"))


@pytest.mark.parametrize("http3", [True, False])
def test_libcurl_is_named_with_its_version(doctor: Any, monkeypatch: pytest.MonkeyPatch, http3: bool) -> None:
    pytest.importorskip("pycurl", reason="not installed: pycurl")
    from hlsdl.transfer import curl_handle

    monkeypatch.setattr(curl_handle, "has_http3", lambda: http3)
    found = json.loads(doctor("--json"))["transport"]
    assert found == {"name": "libcurl", "version": curl_handle.version(), "http3": http3, "why_not_libcurl": None}
    assert found["version"][0].isdigit()
    assert line_of(doctor()).endswith(f"libcurl {found['version']}, {'with' if http3 else 'without'} HTTP/3")


def test_without_libcurl_the_reason_is_given(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hlsdl.transfer.curl_handle", raising=False)
    monkeypatch.delattr("hlsdl.transfer.curl_handle", raising=False)
    monkeypatch.setitem(sys.modules, "pycurl", None)
    found = json.loads(doctor("--json"))["transport"]
    assert (found["name"], found["http3"], found["why_not_libcurl"]) == ("httpx", False, "pycurl is not installed")
    assert line_of(doctor()).endswith(f"httpx {found['version']}, since pycurl is not installed")


def test_what_the_doctor_says_is_what_a_job_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    from hlsdl.transfer.client import Client
    from hlsdl.transfer.options import TransferOptions

    for reason in (transport.why_not_libcurl(), "the moon is full"):
        monkeypatch.setattr(transport, "why_not_libcurl", lambda reason=reason: reason)
        client = Client(TransferOptions(proxy=""), "https://films.example/")
        kind = type(client._door).__name__
        assert kind == {"libcurl": "CurlDoor", "httpx": "GenericDoor"}[transport.transport_in_use().name]


SPELLINGS = [
    "anna:SECRETPW@127.0.0.1:3128", "http://anna:SECRETPW@127.0.0.1:3128", "http://anna:a/SECRETPW@127.0.0.1:3128",
    "socks5://anna:SECRETPW/a@127.0.0.1:3128", "anna:a/SECRETPW@127.0.0.1:3128", "http://anna:a@SECRETPW/@127.0.0.1:3128",
    "http:/anna:SECRETPW@127.0.0.1:3128", "://anna:?SECRETPW#@127.0.0.1:3128", "anna:a://SECRETPW@127.0.0.1:3128",
]  # fmt: skip


@pytest.mark.parametrize("proxy", SPELLINGS)
def test_the_password_of_a_proxy_is_shown_in_no_spelling(
    proxy: str, doctor: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HLSDL_PROXY", proxy)
    for shown in (doctor(), doctor("--json")):
        assert "SECRETPW" not in shown
        assert "127.0.0.1:3128" in shown
