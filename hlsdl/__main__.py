"""`python -m hlsdl`: the same as the `hlsdl` command."""

from __future__ import annotations

import sys

from hlsdl.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
