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
STACK = "tests/unit/actions/aws/test_delete_stack_moto.py"

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
        'if answer["left"]:\n                return None',
        "if False:\n                return None",
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
        "check if spec.names else None",
        "None",
        (f"{RUN}::test_a_value_that_is_no_name_never_names_anything",),
    ),
    Mutant(
        "a call is not held against today's file",
        "src/closeout/run/work.py",
        "guards.check_plan(self._planned, stored, current, self._before)",
        "pass",
        (f"{RUN}::test_a_file_that_became_stricter_while_a_run_waited_holds_before_the_next_call",),
    ),
    Mutant(
        "a payload may speak of two pull requests",
        "src/closeout/run/livecheck.py",
        "            _check_one_subject(payload, pull, base)\n",
        "",
        (f"{RUN}::test_a_payload_that_speaks_of_two_pull_requests_deletes_nothing",),
    ),
    Mutant(
        "what is acted on is redacted like what is read",
        "src/closeout/run/step.py",
        "context.safe(lambda: self._plan(planned_before), self._redact_shown)",
        "context.safe(lambda: self._plan(planned_before))",
        (f"{RUN}::test_what_is_acted_on_is_what_was_planned_even_where_it_looks_like_a_secret",),
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
        "        undelivered = self._context.status.final(state, text)",
        '        undelivered = self._context.status.final(state, text) if verdict != "cancelled" else None',
        (f"{RUN}::test_a_cancel_by_hand_ends_in_an_error_status",),
    ),
    Mutant(
        "grace skipped",
        "src/closeout/run/context.py",
        '        self.durable.sleep("grace", grace)',
        "        pass",
        (f"{RUN}::test_grace_is_waited_before_the_first_destructive_step_and_reopening_in_it_cancels",),
    ),
    Mutant(
        "any signature is right",
        "src/closeout/core/signature.py",
        "    if not matched:",
        "    if False:",
        ("tests/unit/core/test_signature.py",),
    ),
    Mutant(
        "only the first secret is tried",
        "src/closeout/core/signature.py",
        "    for secret in secrets:",
        "    for secret in secrets[:1]:",
        ("tests/unit/core/test_signature.py",),
    ),
    Mutant(
        "an empty secret opens the door",
        "src/closeout/core/signature.py",
        "        matched |= hmac.compare_digest(expected, given) and bool(secret)",
        "        matched |= hmac.compare_digest(expected, given)",
        ("tests/unit/core/test_signature.py",),
    ),
    Mutant(
        "401 becomes 202",
        "src/closeout/core/errors.py",
        '    code = "unauthorized"\n    status = 401',
        '    code = "unauthorized"\n    status = 202',
        ("tests/acceptance/test_receiver.py::test_every_bad_signature_gets_the_same_answer",),
    ),
    Mutant(
        "commits are not synced",
        "src/closeout/adapters/ledger/connection.py",
        'connection.execute("PRAGMA synchronous = FULL")',
        'connection.execute("PRAGMA synchronous = OFF")',
        ("tests/unit/ledger/test_file.py::test_commits_are_synced_to_disk",),
    ),
    Mutant(
        "a duplicate is not noticed",
        "src/closeout/adapters/ledger/accepting.py",
        "            return Accepted(found[0], runs, True, ())",
        "            return Accepted(found[0], runs, False, ())",
        ("tests/unit/ledger/test_accept.py::test_the_same_delivery_again_is_a_duplicate",),
    ),
    Mutant(
        "the same event through a second hook runs again",
        "src/closeout/adapters/ledger/accepting.py",
        "        fresh = tuple(run for run in acceptance.runs if run.run_id not in runs)",
        "        fresh = tuple(acceptance.runs)",
        ("tests/unit/ledger/test_accept.py::test_the_same_event_through_another_hook_starts_nothing_new",),
    ),
    Mutant(
        "first in, last out",
        "src/closeout/engine/lanes.py",
        "        insort(lane, number)",
        "        lane.insert(min(1, len(lane)), number)",
        ("tests/unit/engine/test_lanes.py",),
    ),
    Mutant(
        "two runs of one key at once",
        "src/closeout/engine/lanes.py",
        "        return lane[0] == number and len(lane) == 1",
        "        return True",
        ("tests/unit/engine/test_lanes.py",),
    ),
    Mutant(
        "a run that killed its process twice is tried for ever",
        "src/closeout/core/runs.py",
        "MAX_CRASHES = 2\n",
        "MAX_CRASHES = 2_000\n",
        ("tests/unit/engine/test_durable.py",),
    ),
    Mutant(
        "a stack is deleted by its name",
        "src/closeout/actions/aws/teardown.py",
        "                StackName=self.doomed.stack_id, ClientRequestToken",
        "                StackName=self.doomed.name, ClientRequestToken",
        (f"{STACK}::TestInterruptions::test_stack_created_anew_under_the_name",),
    ),
    Mutant(
        "any ValidationError means that the stack is gone",
        "src/closeout/actions/aws/stacks.py",
        'if error.reason == "ValidationError" and absent in error.message:',
        'if error.reason == "ValidationError":',
        (f"{STACK}::TestPlan::test_an_error_is_not_absence",),
    ),
    Mutant(
        "buckets are emptied although the plan did not list them",
        "src/closeout/actions/aws/teardown.py",
        "if item.not_empty} & set(self.doomed.buckets))",
        "if item.not_empty})",
        (f"{STACK}::TestApply::test_bucket_that_the_plan_did_not_list",),
    ),
    Mutant(
        "emptying goes on when the stack is no longer ours",
        "src/closeout/actions/aws/teardown.py",
        'if stack is None or stack["StackStatus"] != "DELETE_FAILED":',
        "if False:",
        (f"{STACK}::TestInterruptions::test_stack_created_anew_under_the_name",),
    ),
    Mutant(
        "a refused look counts as absent",
        "src/closeout/actions/aws/physical.py",
        "        if error.reason in look.absent:",
        "        if True:",
        (f"{STACK}::TestVerify::test_a_refused_look_is_not_absence",),
    ),
    Mutant(
        "a prefix need not end in its delimiter",
        "src/closeout/actions/aws/s3_delete_objects.py",
        "    if not prefix.endswith(delimiter):",
        "    if False:",
        ("tests/unit/actions/aws/test_s3_delete_objects.py::test_prefix",),
    ),
    Mutant(
        "objects written after the plan are deleted, too",
        "src/closeout/actions/aws/s3_delete_objects.py",
        'delete_batch(work.clients.aws("s3"), place, frozen.has)',
        'delete_batch(work.clients.aws("s3"), place)',
        ("tests/unit/actions/aws/test_s3_delete_objects_moto.py::test_what_came_since_stays",),
    ),
    Mutant(
        "a CEL error is read as a value",
        "src/closeout/config/cel.py",
        '    if kind in {"ERROR", "UNKNOWN"}:',
        "    if False:",
        ("tests/unit/config/test_cel.py",),
    ),
    Mutant(
        "any value of a condition counts",
        "src/closeout/config/cel.py",
        "    if not isinstance(value, bool):",
        "    if False:",
        ("tests/unit/config/test_cel.py::test_a_condition_that_is_not_a_truth_value_is_an_error",),
    ),
    Mutant(
        "a Details link is good without its signature",
        "src/closeout/server/details.py",
        '    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):',
        "    if False:",
        ("tests/unit/server/test_details.py",),
    ),
    Mutant(
        "a Details link is good for ever",
        "src/closeout/server/details.py",
        "now >= int(expires)",
        "False",
        ("tests/unit/server/test_details.py::test_a_link_expires_after_thirty_days",),
    ),
    Mutant(
        "the token follows a redirect to another host",
        "src/closeout/adapters/github.py",
        "            if _origin(url) != _origin(self._base):",
        "            if False:",
        ("tests/unit/adapters/test_github.py::test_no_token_leaves_the_origin",),
    ),
    Mutant(
        "plans of any size pass",
        "src/closeout/core/limits.py",
        "    if len(counted) > max_changes:",
        "    if False:",
        ("tests/unit/core/test_limits.py",),
    ),
    Mutant(
        "nothing is protected",
        "src/closeout/core/protect.py",
        "            if any(fnmatchcase(name, pattern) for name in shown):",
        "            if False:",
        ("tests/unit/core/test_protect.py",),
    ),
)
