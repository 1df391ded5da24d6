"""Ask an AWS account what documents and emulators leave open, keep the answers, and remove everything.

python -m tests.live --profile P --region R     an account (make record-live)
python -m tests.live --emulator                 the emulated account on this machine
python -m tests.live --emulator --write         and keep its answers in tests/live/emulator.json
python -m tests.live --profile P --region R --remove NAME
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path

from tests.live import comparison, record
from tests.live.account import Account, Refused
from tests.live.question import SHORT, Times
from tests.live.recorder import Recorder


def main(arguments: list[str] | None = None) -> int:
    """Record or remove; return the exit code."""
    from botocore.exceptions import BotoCoreError, ClientError

    given = _parser().parse_args(arguments)
    try:
        return _on_emulator(given) if given.emulator else _on_account(given)
    except Refused as error:
        _tell(str(error))
        return record.REFUSED
    except (BotoCoreError, ClientError) as error:
        _tell(f"AWS did not do what was asked: {error}")
        return record.FAILED
    except KeyboardInterrupt:
        return record.INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.live", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", help="a profile of your AWS configuration")
    parser.add_argument("--region", help="where to record")
    parser.add_argument("--name", help="the recording's name; one of its own by default")
    parser.add_argument("--into", type=Path, help="the folder of the fixtures; default tests/live/recorded")
    parser.add_argument("--quick", action="store_true", help=f"leave out {' and '.join(record.LONG)}")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="QUESTION",
        choices=[question.id for question in record.ALL],
        help="the questions that are asked",
    )
    parser.add_argument("--yes", action="store_true", help="begin without asking")
    parser.add_argument("--remove", metavar="NAME", help="remove what a recording of this name has left")
    parser.add_argument("--emulator", action="store_true", help="ask the emulated account on this machine")
    parser.add_argument("--write", action="store_true", help="keep the emulator's answers in the repository")
    return parser


def _options(given: argparse.Namespace, region: str, times: Times) -> record.Options:
    options = record.Options(profile=given.profile, region=region, times=times, yes=given.yes)
    left_out = record.LONG if given.quick else ()
    options.only = [name for name in given.only or options.only if name not in left_out]
    options.name = given.remove or given.name or options.name
    options.into = given.into or options.into
    return options


def _on_account(given: argparse.Namespace) -> int:
    if not given.region or not given.profile:
        raise Refused("Name the account and the region: make record-live PROFILE=… REGION=…")
    options = _options(given, given.region, Times())
    if given.remove:
        account = Account(options.profile, options.region, options.name, Recorder())
        _tell(f"Account {account.number}, region {account.region}: removing {', '.join(account.stacks)}")
        return record.remove(account, options, _tell)
    return record.record(options, _tell, _confirm)


def _on_emulator(given: argparse.Namespace) -> int:
    from tests.live import emulated

    with tempfile.TemporaryDirectory(prefix="closeout-answers-") as folder, emulated.account(_tell) as cloud:
        given.profile, given.yes = emulated.PROFILE, True
        options = _options(given, cloud.region, SHORT)
        options.skip = cloud.skip
        if not given.only:  # a few polls say nothing of the quota
            options.only = [name for name in options.only if name != record.SLOW]
        options.into = given.into or Path(folder)
        code = record.record(options, _tell, _confirm)
        if given.write and code == record.RECORDED:
            kept = [question for question in options.questions if question.id not in record.LONG]
            found = comparison.summed_up(options.into, kept)
            text = json.dumps({**comparison.emulator(), **found}, indent=1)
            comparison.EMULATOR.write_text(text + "\n", "utf-8")
        return code


def _confirm() -> bool:
    try:
        return input("Begin? Type yes: ").strip() == "yes"
    except EOFError:
        return False


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # of a terminal that was closed: the removal goes on
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
