"""Sabotages of what leaves this machine: origins, redirects, redaction."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_LAW = "tests/properties/test_redirects.py::test_no_location_takes_a_secret_to_another_origin"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a secret follows a redirect to another origin",
        "src/closeout/core/url.py",
        "        return found if found.origin == self.origin else None",
        "        return found",
        (_LAW, "tests/unit/adapters/test_github.py::test_no_token_leaves_the_origin"),
    ),
    Mutant(
        "a backslash may stand in a URL",
        "src/closeout/core/url.py",
        '_VISIBLE = re.compile(r"[!-\\[\\]-~]*")',
        '_VISIBLE = re.compile(r"[!-~]*")',
        ("tests/unit/core/test_url.py",),
    ),
    Mutant(
        "a value may name another host of a URL",
        "src/closeout/run/inputs.py",
        "    return cel.interpolate(host, event, _label) + cel.interpolate(rest, event, check)",
        "    return cel.interpolate(text, event, check)",
        ("tests/unit/run/test_inputs.py::test_no_value_changes_the_host_of_a_url",),
    ),
    Mutant(
        "an address from the environment is taken unread",
        "src/closeout/wiring/clients.py",
        "        parse_base(value)",
        "        pass",
        ("tests/unit/wiring/test_runtime.py::test_an_invalid_address_from_the_environment_is_refused",),
    ),
    Mutant(
        "a server starts without knowing the secrets of its steps",
        "src/closeout/wiring/runtime.py",
        "    clients.step_secrets.learn()",
        "    pass",
        ("tests/unit/wiring/test_runtime.py::test_the_secrets_of_steps_are_known_before_a_step_runs",),
    ),
    Mutant(
        "a step on AWS runs before the secrets of later ones are known",
        "src/closeout/run/workflow.py",
        "        context.deps.learn()  # after `pending`, so that a slow store of secrets does not delay it",
        "        pass",
        (
            "tests/unit/wiring/test_stack_runtime.py::test_the_secrets_of_steps_are_known_before_the_first_step",
        ),
    ),
    Mutant(
        "a secret in the environment is what the locale makes of it",
        "src/closeout/adapters/secrets.py",
        "            return (Active(os.fsencode(self.environment[name]).decode()),)",
        "            return (Active(self.environment[name]),)",
        ("tests/acceptance/test_cli_serve.py::test_a_secret_beyond_ascii_works_in_any_locale",),
    ),
    Mutant(
        "a path writes a line of its own into the log",
        "src/closeout/server/log.py",
        '        lines = [escaped(self._redact(f"{at}closeout: {what}{words}"))]',
        '        lines = [self._redact(f"{at}closeout: {what}{words}")]',
        (
            "tests/unit/server/test_log.py::test_no_text_forges_a_line_or_reaches_a_terminal",
            "tests/contract/http/test_endpoints.py::test_a_request_cannot_forge_a_line_of_the_log",
        ),
    ),
    Mutant(
        "what a library logs goes raw to stderr",
        "src/closeout/server/log.py",
        "        logging.getLogger().addHandler(_Foreign(self))",
        "        pass",
        ("tests/unit/server/test_log.py::test_what_libraries_log_and_what_ends_a_thread_comes_here",),
    ),
    Mutant(
        "a command prints a fact as it is",
        "src/closeout/cli/output.py",
        '    return "\\n".join(_keeping_ours(line, "\\x1b[") for line in text.split("\\n"))',
        '    return text.replace(_OURS, "\\x1b[")',
        ("tests/unit/cli/test_output.py::test_only_our_own_colours_reach_a_terminal",),
    ),
    Mutant(
        "runs show prints a fact as it is",
        "src/closeout/cli/runs.py",
        "    output.say(text.replace(colour, output.word(colour), 1) if colour else text)",
        "    click.echo(output.wrapped(sentence, first, following))",
        ("tests/acceptance/test_cli_hostile.py",),
    ),
    Mutant(
        "an encoding within an encoding hides a secret",
        "src/closeout/core/redact.py",
        "_DECODINGS = 2",
        "_DECODINGS = 1",
        ("tests/properties/test_redaction.py::test_a_secret_is_found_through_two_encodings",),
    ),
    Mutant(
        "colours inside of a secret hide it",
        "src/closeout/core/redact.py",
        '_INVISIBLE = rf"(?<=[{HIDDEN}]){INTRODUCED}(?:[{HIDDEN}]{INTRODUCED})*+"',
        '_INVISIBLE = r"(?!)"',
        ("tests/unit/core/test_redact.py::test_tokens_are_recognized_by_their_form",),
    ),
    Mutant(
        "base64 that is broken into lines hides a secret",
        "src/closeout/core/redact.py",
        "                    yield start + at, start + at + PIECE",
        "                    return",
        (
            "tests/properties/test_redaction.py::test_a_secret_in_a_file_that_is_logged_as_base64_line_by_line_goes",
        ),
    ),
)
