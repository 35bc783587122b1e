"""The console command `koji-amplitude`, also `python -m connector`."""

from __future__ import annotations

import sys

from connector.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
