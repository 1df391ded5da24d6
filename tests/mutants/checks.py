"""Sabotages of the checks: what a doctor may call fine."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FAULTS = "tests/unit/checks/test_faults.py"
NAMED = f"{FAULTS}::test_each_broken_link_is_named_by_its_own_check"
DRILLED = f"{FAULTS}::test_a_drill_proves_what_no_delivery_has_shown_yet"
REGISTRY = "tests/unit/checks/test_registry.py"
WEBHOOKS = "tests/unit/checks/test_webhooks.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "checks: an error that a check did not foresee is fine",
        "src/closeout/checks/registry.py",
        "        return unknown(error.message)",
        '        return Result("fine", error.message)',
        (f"{REGISTRY}::test_an_unexpected_error_in_a_check_is_unknown_and_never_fine",),
    ),
    Mutant(
        "checks: a check is asked although the one before it is wrong",
        "src/closeout/checks/registry.py",
        '        if result.state in ("wrong", "unknown"):',
        '        if result.state == "unknown":',
        (f"{REGISTRY}::test_a_check_names_the_first_cause_that_it_waits_for",),
    ),
    Mutant(
        "checks: what could not be asked does not count beside what is fine",
        "src/closeout/checks/check.py",
        'states: tuple[State, ...] = ("wrong", "unknown", "skipped")',
        'states: tuple[State, ...] = ("wrong",)',
        (f"{REGISTRY}::test_the_worst_of_several_results_counts",),
    ),
    Mutant(
        "checks: a webhook that is not active is fine",
        "src/closeout/checks/webhooks.py",
        "for hooks in leading if not any(one.hook.active for one in hooks)\n",
        "for hooks in leading if False\n",
        (f"{NAMED}[hook-active: not active]",),
    ),
    Mutant(
        "checks: a 401 in the webhook's log is fine",
        "src/closeout/checks/webhooks.py",
        "    if code == 401:\n",
        "    if False:\n",
        (f"{NAMED}[hook-secret: 401]",),
    ),
    Mutant(
        "checks: a log that cannot be read is an empty one",
        "src/closeout/checks/webhooks.py",
        "            results.append(failed(error))\n            continue",
        "            continue",
        (f"{WEBHOOKS}::test_a_log_that_cannot_be_read_is_not_good_news",),
    ),
    Mutant(
        "checks: a ping that never came counts as sent",
        "src/closeout/checks/webhooks.py",
        "    silent = _silent(world, before)",
        "    silent: list[Owned] = []",
        (f"{WEBHOOKS}::test_a_ping_that_never_appears_in_the_log_is_unknown",),
    ),
    Mutant(
        "checks: the doctor sends pings",
        "src/closeout/checks/webhooks.py",
        "    if not world.pings:",
        "    if False:",
        (f"{FAULTS}::test_every_check_passes_on_a_set_up_without_faults",),
    ),
    Mutant(
        "checks: a status that is tried could be one that GitHub takes",
        "src/closeout/checks/token.py",
        'body={"state": "asked", "context": "closeout/doctor"}',
        'body={"state": "success", "context": "closeout/doctor"}',
        (f"{FAULTS}::test_every_check_passes_on_a_set_up_without_faults",),
    ),
    Mutant(
        "checks: a right that is missing is fine",
        "src/closeout/checks/token.py",
        "        if error.http_status != 422:  # then the token may; only the status cannot be",
        "        if False:",
        (f"{NAMED}[github-statuses: statuses: write]",),
    ),
    Mutant(
        "checks: credentials of another account are fine",
        "src/closeout/checks/account.py",
        "        if account != target.account:",
        "        if False:",
        (f"{NAMED}[aws-account: 123456789012]",),
    ),
    Mutant(
        "checks: what IAM's simulation denies is allowed",
        "src/closeout/checks/account.py",
        'if one["EvalDecision"] != "allowed"}',
        'if one["EvalDecision"] == "explicitDeny"}',
        (f"{NAMED}[aws-permissions: cloudformation:DeleteStack]",),
    ),
    Mutant(
        "checks: a patrol of long ago is fresh",
        "src/closeout/checks/coverage.py",
        "return wrong(text) if age > 2 * every + SLACK else fine(text)",
        "return fine(text)",
        (f"{NAMED}[patrol-lists: 2 h]",),
    ),
    Mutant(
        "checks: a finding of a drill is told again and again",
        "src/closeout/checks/check.py",
        'if result.state == "wrong" and before.get(check.id) != "wrong":',
        'if result.state == "wrong":',
        ("tests/unit/wiring/test_drills.py::test_only_changed_findings_are_reported",),
    ),
    Mutant(
        "checks: nothing wrong and something unknown is exit code 0",
        "src/closeout/cli/doctor.py",
        'return exits.UNAVAILABLE if counts["unknown"] else exits.OK',
        "return exits.OK",
        (
            "tests/acceptance/test_cli_doctor.py::test_before_the_first_start_the_doctor_says_what_it_cannot_know",
        ),
    ),
)
