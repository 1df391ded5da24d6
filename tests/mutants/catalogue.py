"""The sabotages: one line each, with the tests that must notice it."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """Replace `old`, which stands once in `path`, by `new`; one of `tests` must fail."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


RUN = "tests/unit/run/test_run.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "live check off",
        "src/closeout/run/work.py",
        "            livecheck.check(subject, self._context.deps.github)",
        "            pass",
        (f"{RUN}::test_a_pull_request_that_is_open_again_cancels_the_run_and_nothing_is_deleted",),
    ),
    Mutant(
        "an open pull request counts as closed",
        "src/closeout/run/livecheck.py",
        'if pull.state == "open":',
        'if pull.state == "opened":',
        (f"{RUN}::test_a_pull_request_that_is_open_again_cancels_the_run_and_nothing_is_deleted",),
    ),
    Mutant(
        "an unreadable pull request counts as closed",
        "src/closeout/run/work.py",
        '            raise ServiceError(\n                f"cannot read the',
        '            return\n            raise ServiceError(\n                f"cannot read the',
        (f"{RUN}::test_an_unreadable_pull_request_is_never_read_as_closed",),
    ),
    Mutant(
        "ids of pull request and repository not compared",
        "src/closeout/run/livecheck.py",
        "if pull.id != subject.id or pull.base_repository_id != subject.repository_id:",
        "if False:",
        (f"{RUN}::test_a_reused_number_or_repository_name_is_refused",),
    ),
    Mutant(
        "account check off",
        "src/closeout/run/guards.py",
        "    if actual != target.account:",
        "    if False:",
        (f"{RUN}::test_the_wrong_account_is_refused_before_the_plan",),
    ),
    Mutant(
        "account not asked again before a change",
        "src/closeout/run/work.py",
        "            guards.check_account(self._target, self.clients)",
        "            pass",
        (f"{RUN}::test_the_account_is_asked_again_before_the_delete",),
    ),
    Mutant(
        "verify is not looked at",
        "src/closeout/run/step.py",
        'return None if answer["left"] else answer',
        "return answer",
        (f"{RUN}::test_what_verify_still_finds_is_a_failure_that_names_it",),
    ),
    Mutant(
        "limits of today's file ignored",
        "src/closeout/run/guards.py",
        "forms = (stored,) if current is None else (stored, current)",
        "forms = (stored,)",
        (f"{RUN}::test_the_stricter_of_the_stored_and_todays_limits_holds",),
    ),
    Mutant(
        "dry run applies",
        "src/closeout/run/step.py",
        'if plan["dry_run"]:',
        "if False:",
        (f"{RUN}::test_a_dry_run_plans_and_deletes_nothing",),
    ),
    Mutant(
        "pause ignored",
        "src/closeout/run/work.py",
        "        if self._held_by_pause():",
        "        if False:",
        (f"{RUN}::test_a_pause_holds_the_delete_until_it_is_lifted",),
    ),
    Mutant(
        "unguarded steps run on events without a live check",
        "src/closeout/run/guards.py",
        "if step.destructive and not has_check and not automation.unguarded:",
        "if False:",
        (f"{RUN}::test_a_destructive_step_without_a_live_check_is_refused",),
    ),
    Mutant(
        "fork's branch names are trusted",
        "src/closeout/run/matching.py",
        'return bool(pull["head"]["repo"]["id"] != pull["base"]["repo"]["id"])',
        "return False",
        (f"{RUN}::test_a_fork_is_ignored_where_a_branch_name_is_let_into_a_name",),
    ),
    Mutant(
        "names from the payload are not checked",
        "src/closeout/run/inputs.py",
        "names.check_interpolated if spec.names else None",
        "None",
        (f"{RUN}::test_a_value_that_is_no_name_never_names_anything",),
    ),
    Mutant(
        "a failed step stops the rest without being asked",
        "src/closeout/run/execute.py",
        '(outcome.state == "failure" and self._automation.on_failure == "stop")',
        '(outcome.state == "failure")',
        (f"{RUN}::test_a_step_that_fails_does_not_stop_the_others",),
    ),
    Mutant(
        "secrets stay in errors",
        "src/closeout/run/context.py",
        "                error.message = self.deps.redact.text(error.message)",
        "                pass",
        (f"{RUN}::test_secrets_are_taken_out_of_errors_and_results",),
    ),
    Mutant(
        "a cancelled run leaves its status pending",
        "src/closeout/run/execute.py",
        'return self._finish("cancelled", "error", f"cancelled: {error.message}{_gone(changed)}")',
        'return Ending("cancelled", error.message)',
        (f"{RUN}::test_a_cancel_by_hand_ends_in_an_error_status",),
    ),
    Mutant(
        "grace skipped",
        "src/closeout/run/step.py",
        '            context.durable.sleep("grace", context.automation.grace)',
        "            pass",
        (f"{RUN}::test_grace_is_waited_before_the_first_destructive_step_and_reopening_in_it_cancels",),
    ),
)
