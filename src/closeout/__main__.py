"""`python -m closeout` is `closeout`.

It stands apart from `cli.main` so that the demo and the tests can start the program with whichever
interpreter they run on, installed or not.
"""

from __future__ import annotations

import sys

from closeout.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
