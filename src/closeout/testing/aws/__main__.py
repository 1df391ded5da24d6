"""Run the emulated AWS as a process: `python -m closeout.testing.aws --port 0`.

It prints one line that ends in its address, and then serves until it is told to stop.
"""

from __future__ import annotations

import argparse
import signal
import sys

from closeout.testing.aws.app import Emulator
from closeout.testing.aws.server import make


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m closeout.testing.aws", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delete-seconds", type=float, default=1.0, help="how long a stack takes to delete")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    server = make(Emulator(delete_seconds=arguments.delete_seconds), arguments.host, arguments.port)
    print(f"emulated AWS listens on http://{arguments.host}:{server.server_port}", flush=True)  # noqa: T201
    server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
