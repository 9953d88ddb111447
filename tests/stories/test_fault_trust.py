"""Bundles that somebody else made, other users of this machine, and secrets that are told to nobody.

The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import hlsdl
from faults import playlist, serve

from hlsdl.testing import ScriptedOrigin, Status


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        yield server


@pytest.fixture
def foreign(origin: ScriptedOrigin, tmp_path: Path) -> Path:
    """A whole bundle, to be bent."""
    bundle = tmp_path / "b.movpkg"
    assert hlsdl("fetch", serve(origin), "-o", bundle).code == 0
    return bundle


def test_a_segment_of_a_terabyte_of_nothing_is_found_without_reading_it(foreign: Path) -> None:
    """Row S12: a sparse file costs its maker nothing; its size alone is wrong already."""
    segment = sorted(foreign.glob("0-*/0*.ts"))[2]
    try:
        os.truncate(segment, 1 << 40)
    except OSError as error:
        pytest.skip(f"this file system holds no such file: {error}")
    done = hlsdl("verify", foreign, "--json", timeout=20)
    assert done.code == 8
    assert "size-mismatch" in done.out


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>'
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'


@pytest.mark.parametrize("text", [BOMB, OUTSIDE], ids=["entities", "a file of this machine"])
def test_xml_of_a_foreign_bundle_is_never_expanded(foreign: Path, text: str) -> None:
    """Row S14: the package files are for other players; hlsdl only compares their hashes."""
    (foreign / "boot.xml").write_text(text)
    for words in (("info", foreign), ("verify", foreign)):
        done = hlsdl(*words, "--json", timeout=20)
        assert done.code == (8 if words[0] == "verify" else 0)
        assert "hahaha" not in done.out + done.err
        assert "Traceback" not in done.err


def test_another_user_reads_neither_keys_nor_anything_else(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row S10."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    origin.add("/v/k", bytes(16))
    origin.add("/v/0.ts", bytes(160))
    text = playlist(["0.ts"], tags='#EXT-X-KEY:METHOD=AES-128,URI="k"\n')
    origin.add("/v/index.m3u8", text)
    folder = Path("/tmp") / f"hlsdl-{os.getpid()}-{tmp_path.name}"
    folder.mkdir(mode=0o755)
    bundle = folder / "b.movpkg"
    try:
        assert hlsdl("fetch", origin.url("/v/index.m3u8"), "-o", bundle).code == 0
        [key] = (bundle / "keys").iterdir()
        os.chmod(bundle, 0o755)
        for path in (key, bundle / "keys"):
            read = subprocess.run(
                ["cat" if path == key else "ls", str(path)], capture_output=True, user=65534, check=False
            )
            assert b"Permission denied" in read.stderr
        assert (bundle.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o755, 0o600)
    finally:
        subprocess.run(["rm", "-r", str(folder)], check=True)


def test_no_secret_is_said_anywhere(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row S16: with everything that can be said, in success and in failure; the arguments show only file names."""
    serve(origin)
    origin.script("/v/4.ts", Status(500))
    secrets = ("Q7token", "Q7header", "Q7cookie")
    (tmp_path / "headers").write_text("Authorization: Bearer Q7header\n")
    (tmp_path / "jar").write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tid\tQ7cookie\n")
    url = origin.url("/v/index.m3u8?token=Q7token")
    given = ("-H", f"@{tmp_path / 'headers'}", "--cookies", tmp_path / "jar", "-v", "-v", "--json")
    said = []
    for progress in ("lines", "json"):
        done = hlsdl("fetch", url, "-o", tmp_path / f"{progress}.movpkg", *given, "--progress", progress)
        assert done.code == 0, done.err
        # The document of a bundle names its source whole, since resuming needs it.
        said += [re.sub(r'"source": "[^"]*"', "", done.out), done.err]
    origin.always("/v/3.ts", Status(403))
    failed = hlsdl("fetch", url, "-o", tmp_path / "c.movpkg", *given, HLSDL_DEBUG="1")
    assert (failed.code, failed.document["kind"]) == (4, "http-permanent")
    said += [failed.out, failed.err]
    assert not [secret for secret in secrets for text in said if secret in text]
    request = origin.requests[-1]
    assert (request.headers["authorization"], request.headers["cookie"]) == ("Bearer Q7header", "id=Q7cookie")
