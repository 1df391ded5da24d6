"""Run the fake GitHub as a process: prints its URL on the first line, serves until it is stopped.

A process of its own lets crash tests kill closeout and keep GitHub.
"""

from __future__ import annotations

import argparse
import signal
import sys

from closeout.testing.github.server import TOKEN, FakeGitHub


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m closeout.testing.github", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--token", default=TOKEN, help="the token that the API accepts")
    parser.add_argument("--full", action="store_true", help="payloads of a real one's size, about 24 KB")
    options = parser.parse_args()
    fake = FakeGitHub(host=options.host, port=options.port, token=options.token, full=options.full).start()
    # Before the first line, which tells others that they may stop it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: fake.stopping.set())
    sys.stdout.write(f"{fake.url}\n")
    sys.stdout.flush()
    fake.stopping.wait()
    fake.stop()


if __name__ == "__main__":
    main()
