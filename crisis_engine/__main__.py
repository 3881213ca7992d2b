"""`python -m crisis_engine` is the console `crisis`, for a machine whose scripts are not on the PATH."""

from __future__ import annotations

import sys

from crisis_engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
