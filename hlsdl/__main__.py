"""`python -m hlsdl`: the same as the `hlsdl` command."""

from __future__ import annotations

from hlsdl.cli.app import run

if __name__ == "__main__":
    run()
