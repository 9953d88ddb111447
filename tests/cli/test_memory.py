"""What the command line tells the C library about its memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKS = """
import resource, sys
from hlsdl.cli.memory import keep_freed_blocks
if sys.argv[1] == "kept":
    keep_freed_blocks()
piece = bytes(16384)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(50):
    blocks = [b"".join([piece] * 64) for _ in range(8)]
    del blocks
print(faults() - before)
"""


def faults(how: str) -> int:
    """Pages that the system had to give for fifty times eight blocks of 1 MiB (256 pages each)."""
    done = subprocess.run([sys.executable, "-c", BLOCKS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def has_huge_pages() -> bool:
    """Whether one page fault may bring 2 MiB, so that their number says nothing."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return "hugetlb" in os.environ.get("GLIBC_TUNABLES", "") or (
        setting.is_file() and "[always]" in setting.read_text(encoding="ascii")
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about the allocator of glibc")
@pytest.mark.skipif(has_huge_pages(), reason="huge pages hide how often memory is given back")
def test_freed_blocks_are_used_again() -> None:
    """The pages of the first eight, and few more; without it, most of them again and again."""
    assert faults("kept") < 2 * 8 * 256
    assert faults("as ever") > 10 * 8 * 256
