"""The hostile tour: `python -m tests.hostile [--seconds N | --long] [--seed S] [--only NAME]`.

Scenes that measure under load are played one after the other, the rest three at a time. Everything is on this
machine's loopback; each scene is bounded in time and ended with all that it started when that is over. Prints one
table; the exit code is 0 only if every scene was played and every promise held.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.hostile.one import MARK
from tests.hostile.report import HOLDS, Report
from tests.hostile.scenes import SCENES, Scene, named
from tests.hostile.table import good, render

USUAL = 200.0
"""Seconds that the usual run takes, about; `--seconds` is taken as a multiple of it."""
LONG = 25.0
"""How many times as much `--long` does: 1,000 kills."""
AT_ONCE = 3
ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Play what was asked for and print the table."""
    options = _options()
    if sys.platform != "linux":
        print(
            "hostile: this needs Linux: /proc, prlimit(2), and addresses in all of 127.0.0.0/8",
            file=sys.stderr,
        )
        return 2
    scale = LONG if options.long else options.seconds / USUAL
    began = time.monotonic()
    print(f"hostile: seed {options.seed}, {scale:g} times the usual run", flush=True)
    with tempfile.TemporaryDirectory(prefix="closeout-hostile-") as folder:
        reports = _play_all(named(options.only), partial(_play, Path(folder), options.seed, scale))
    print(f"\n{render(reports)}\n\nseed {options.seed}; {time.monotonic() - began:.0f} s in all")
    return 0 if good(reports) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=USUAL, help="about how long in all (%(default)g)")
    length.add_argument("--long", action="store_true", help=f"{LONG:g} times as much: about an hour")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="to repeat a run")
    names = [scene.name for scene in SCENES]
    parser.add_argument("--only", action="append", default=[], choices=names, help="a scene; may be repeated")
    return parser.parse_args()


def _play_all(scenes: Sequence[Scene], play: partial[Report]) -> list[Report]:
    """Play scenes that need the machine one by one, then the others side by side; in the order of `scenes`."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        playing = {scene.name: pool.submit(play, scene) for scene in scenes if scene.when == "beside"}
        reports = {scene.name: play(scene) for scene in scenes if scene.when == "alone"}
        playing |= {scene.name: pool.submit(play, scene) for scene in scenes if scene.when == "after"}
        reports |= {name: report.result() for name, report in playing.items()}
    return [reports[scene.name] for scene in scenes]


def _play(folder: Path, seed: int, scale: float, scene: Scene) -> Report:
    """Play a scene in its own process group, and end that group when the scene's time is over."""
    room = folder / scene.name
    room.mkdir()
    limit = scene.seconds * max(1.0, scale)
    began = time.monotonic()
    with (folder / f"{scene.name}.err").open("w+", encoding="utf-8", errors="replace") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.one", scene.name, str(room), str(seed), str(scale)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        )
        try:
            said, _ = process.communicate(timeout=limit)
            report = Report.from_json(said.rpartition(MARK)[2])
        except subprocess.TimeoutExpired:
            report = Report(scene.name, broken=[f"the scene did not end within {limit:g} s"])
        except ValueError:
            words.seek(0)
            last = words.read()[-500:]
            report = Report(scene.name, broken=[f"the scene ended with {process.returncode}: {last}"])
        finally:
            _end(process)
    report.seconds = report.seconds or time.monotonic() - began
    _tell(report)
    return report


def _tell(report: Report) -> None:
    """Say how a scene went, as soon as it is over."""
    why = "" if report.verdict == HOLDS else f": {(report.broken or [report.absent])[0]}"
    print(f"{report.scene}: {report.verdict}{why} ({report.seconds:.0f} s)", flush=True)


def _end(process: subprocess.Popen[str]) -> None:
    """End whatever the scene left running: all of its process group, which is nobody else's."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(10)


if __name__ == "__main__":
    sys.exit(main())
