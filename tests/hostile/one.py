"""Play one scene in a process of its own: `python -m tests.hostile.one NAME FOLDER SEED SCALE`; prints the row as JSON.

A process for each scene, so that limits, memory and Python's interpreter lock are its own, and so that a scene that
does not end can be ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.hostile.scenes import named, play
from tests.hostile.stage import Stage

MARK = "\x1e"
"""Begins the row on standard output, after whatever else was printed."""


def main() -> None:
    """Play and print."""
    name, folder, seed, scale = sys.argv[1:]
    began = time.monotonic()
    report = play(named([name])[0], Stage(Path(folder), int(seed), float(scale)))
    report.seconds = time.monotonic() - began
    print(f"{MARK}{report.to_json()}", flush=True)


if __name__ == "__main__":
    main()
