"""The entry point: the table of commands, and the code that turns an error into a message and an exit code.

Commands do not report errors themselves. All errors arrive here, so every command fails in the same way.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

import click

from closeout import __version__
from closeout.cli import exits
from closeout.cli.commands import CONTEXT, Entry, LazyGroup
from closeout.core.errors import CloseoutError, ConfigError

SECTIONS = {
    "Begin": {
        "demo": Entry("demo", "Run the main job on this machine, without any account."),
        "init": Entry("init", "Write a commented closeout.yaml to start from."),
        "completion": Entry("completion", "Complete commands, runs and automations with Tab."),
        "schema": Entry("init", "Print the JSON Schema of closeout.yaml, for editors."),
        "check": Entry("check", "Check a configuration; report every error with its line."),
        "actions": Entry("actions", "List the actions that steps can use, and describe one."),
    },
    "Understand": {
        "doctor": Entry("doctor", "Check the set-up, from the file to GitHub and AWS."),
        "explain": Entry("explain", "Explain which automations an event starts, and why."),
        "plan": Entry("plan", "Show what the steps would change; change nothing."),
        "orphans": Entry("orphans", "Find what closed pull requests left behind."),
        "deliver": Entry("deliver", "Sign a payload and send it as GitHub would."),
    },
    "Operate": {
        "serve": Entry("serve", "Receive deliveries and run automations."),
        "guard": Entry("guard", "Say whether a pull request is open, before or after a deploy."),
        "open": Entry("access", "Print a link that signs you in to the server's pages."),
        "token": Entry("access", "Make and revoke tokens for the JSON API."),
        "session": Entry("access", "List and revoke sessions of the pages."),
        "status": Entry("status", "Say what needs you, and what is running."),
        "runs": Entry("runs", "List and show runs, follow their logs, cancel, rerun."),
        "deliveries": Entry("deliveries", "List, show and replay deliveries."),
        "patrol": Entry("patrol", "Find closed pull requests and deliveries that were missed."),
        "drill": Entry("doctor", "Check the set-up as the server, with a ping from GitHub."),
        "notify": Entry("notify", "Send a test message to each notifier."),
        "pause": Entry("upkeep", "Stop destructive calls until `closeout resume`."),
        "resume": Entry("upkeep", "Allow destructive calls again after `closeout pause`."),
        "prune": Entry("upkeep", "Remove finished runs and deliveries that are old."),
    },
    "On AWS": {
        "permissions": Entry("permissions", "Print the IAM policy that a configuration needs."),
        "webhook": Entry("webhook", "Manage the webhook of a deployed stack."),
        "secret": Entry("secret", "Store a deployed stack's secrets; never shows them."),
    },
}


class Root(LazyGroup):
    """The root group; its help ends with the exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then what each exit code means."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in exits.MEANINGS])


@click.command(
    cls=Root,
    sections=SECTIONS,
    context_settings=CONTEXT,
    examples=(
        "closeout demo",
        "closeout init && closeout check closeout.yaml",
        "closeout serve --config closeout.yaml --port 8080",
    ),
)
@click.version_option(__version__, "--version", message="closeout %(version)s")
def closeout() -> None:
    """Run durable automation on GitHub events, first of all when a pull request closes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Never raises."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a ✓ that the locale does not have is no reason to fail
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`head`, a pager) has closed the pipe. What is still buffered must not raise at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    return code


def _run(arguments: list[str]) -> int:
    try:
        result = closeout.main(args=arguments, prog_name="closeout", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return exits.USAGE if isinstance(error, click.UsageError) else error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _note("interrupted")
        return exits.INTERRUPTED
    except ConfigError as error:
        return _show_config_error(error)
    except CloseoutError as error:
        _note(f"closeout: {error.message}")
        return exits.code_for(error)
    except SystemExit as error:
        return _exited(error)
    except BrokenPipeError:
        raise
    except UnicodeEncodeError as error:
        if all(map(_is_text, arguments)):
            return _defect(error)
        _note("closeout: an argument is not UTF-8 text; encode it as UTF-8")
        return exits.USAGE
    except Exception as error:  # noqa: BLE001  the last resort: a sentence instead of a traceback
        return _defect(error)
    return result if isinstance(result, int) else exits.OK


def _exited(error: SystemExit) -> int:
    # click exits with 0 after a completion, and with 1 on EPIPE; nothing here calls sys.exit.
    if error.code == exits.OK:
        return exits.OK
    raise BrokenPipeError from None


def _is_text(argument: str) -> bool:
    # Python keeps bytes that it cannot decode as halves of surrogate pairs.
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def _note(text: str) -> None:
    from closeout.cli import output  # not for --help

    output.note(output.wrapped(text) if sys.stderr.isatty() else text)


def _show_config_error(error: ConfigError) -> int:
    """Show the findings as `closeout check` does; an error without any is a sentence."""
    from closeout.cli import output

    found = getattr(error, "findings", ())
    output.print_findings(found, err=True)
    if not found:
        _note(f"closeout: {error.message}")
    return exits.FAILED


def _defect(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _note(f"closeout: cannot write: {error.strerror}; free some space, or write elsewhere")
        return exits.UNAVAILABLE
    if os.environ.get("CLOSEOUT_DEBUG"):
        import traceback

        traceback.print_exception(error)
    _note(
        f"closeout: this is a bug in closeout ({type(error).__name__}: {error}). "
        "Set CLOSEOUT_DEBUG=1 to see where, and please report it."
    )
    return exits.INTERNAL
