"""``python -m cameval`` is the command line."""

import sys

from cameval.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
