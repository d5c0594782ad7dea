"""`python -m descentlab`: the same as the command `descentlab`."""

from __future__ import annotations

import sys

from descentlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
