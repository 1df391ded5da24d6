#!/usr/bin/env python3
"""Write GitHub's webhook addresses into github-addresses.json: `python refresh_addresses.py [--check]`.

GitHub's advice is to read them live and often, since they are not fixed. Synthesis does not: so run this now and
then, look at the difference, and commit it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import urllib.request
from pathlib import Path

from closeout.core.errors import InputError
from closeout.core.url import parse
from closeout_cdk import addresses

FILE = Path(__file__).resolve().parent / "github-addresses.json"
META = "https://api.github.com/meta"


def fetch(url: str) -> tuple[str, ...]:
    """Read the ranges from GitHub's `/meta` (GitHub Enterprise Server: https://HOST/api/v3/meta)."""
    try:
        place = parse(url)
    except InputError as error:
        raise ValueError(error.message) from None
    if place.scheme != "https" and place.host != "127.0.0.1":
        raise ValueError(f"{url} is not an https address")
    headers = {"Accept": "application/vnd.github+json", "User-Agent": "closeout"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        value = json.loads(answer.read(5_000_000))
    return addresses.checked(value.get("hooks") if isinstance(value, dict) else None)


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` only print whether it is current. Return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the file is old")
    parser.add_argument("--url", default=META, help=f"where to read them ({META})")
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args(arguments)
    try:
        ranges = fetch(options.url)
        kept = addresses.read(options.file) if options.file.exists() else ()
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"{options.url} or {options.file.name} cannot be used: {error}", file=sys.stderr)
        return 2
    added, gone = sorted(set(ranges) - set(kept)), sorted(set(kept) - set(ranges))
    for sign, changed in (("+", added), ("-", gone)):
        for text in changed:
            print(f"{sign} {text}")
    if not added and not gone:
        print(f"{options.file.name} is current")
        return 0
    if options.check:
        return 1
    options.file.write_text(json.dumps({"source": options.url, "hooks": list(ranges)}, indent=2) + "\n")
    print(f"{options.file.name} is written; deploy it with -c githubAddresses={options.file.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
