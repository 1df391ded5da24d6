"""Sabotages of what makes a resource an orphan."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

SOURCE = "src/closeout/orphans"
VERDICT = "tests/unit/orphans/test_verdict.py"
READING = "tests/unit/orphans/test_reading.py"
AUDIT = "tests/unit/orphans/test_audit.py"
CLEANING = "tests/unit/wiring/test_cleaning.py"
REPAIR = "tests/unit/orphans/test_repair.py"
COMMAND = "tests/acceptance/test_cli_orphans.py"
INVENTORIES = "tests/unit/actions/aws/test_inventories_moto.py"
INVERSE = "tests/unit/core/test_inverse.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a run deletes what its audit spared",
        "src/closeout/orphans/audit.py",
        '        spared = frozenset(row.target for row in judged if row.state != "orphan")',
        "        spared: frozenset[Target] = frozenset()",
        ("tests/unit/orphans/test_audit.py::test_what_owns_something_that_is_no_orphan_is_spared",),
    ),
    Mutant(
        "a stack that somebody adopted is an orphan",
        "src/closeout/actions/aws/listing.py",
        "        changed=updated.timestamp() if updated else None,",
        "        changed=None,",
        (f"{INVENTORIES}::test_a_stack_that_was_updated_recently_is_not_an_orphan",),
    ),
    Mutant(
        "a name that the step does not give is an orphan's",
        f"{SOURCE}/verdict.py",
        "    if other:",
        "    if False:",
        (f"{VERDICT}::test_only_exactly_this_name_counts",),
    ),
    Mutant(
        "any state but open is closed",
        f"{SOURCE}/verdict.py",
        '    if pull.answer["state"] != "closed":',
        "    if False:",
        (f"{VERDICT}::test_only_closed_is_closed",),
    ),
    Mutant(
        "an open pull request does not count",
        f"{SOURCE}/verdict.py",
        '        return Verdict("open", "the pull request is open")',
        '        pull.answer["state"] = "closed"',
        (f"{VERDICT}::test_only_closed_is_closed",),
    ),
    Mutant(
        "what was there before the pull request is its",
        f"{SOURCE}/verdict.py",
        "    if existing.created < opened - SLACK:",
        "    if False:",
        (f"{VERDICT}::test_it_was_created_while_the_pull_request_lived",),
    ),
    Mutant(
        "what came long after the close is the pull request's",
        f"{SOURCE}/verdict.py",
        "    if max(existing.created, existing.changed or 0) > closed + last + SLACK:",
        "    if False:",
        (f"{VERDICT}::test_it_was_created_while_the_pull_request_lived",),
    ),
    Mutant(
        "what was written into it later does not count",
        f"{SOURCE}/verdict.py",
        "    if max(existing.created, existing.changed or 0) > closed + last + SLACK:",
        "    if existing.created > closed + last + SLACK:",
        (f"{VERDICT}::test_what_was_written_into_it_long_after_the_close_is_not_the_pull_requests",),
    ),
    Mutant(
        "triggers and the automation's `if` do not count",
        f"{SOURCE}/verdict.py",
        '    if row["outcome"] != explain.RUN:',
        "    if False:",
        (f"{VERDICT}::test_a_label_keeps_it",),
    ),
    Mutant(
        "the step's `if` does not count",
        f"{SOURCE}/verdict.py",
        "        if condition is not None and not cel.condition(condition, payload, cel.NOTHING_YET):",
        "        if condition is not None and cel.condition(condition, payload, cel.NOTHING_YET) is None:",
        (f"{VERDICT}::test_the_steps_own_condition_counts",),
    ),
    Mutant(
        "a condition on what the API does not give is decided",
        f"{SOURCE}/verdict.py",
        "    if untold:",
        "    if False:",
        (f"{VERDICT}::test_an_automation_that_would_not_delete_it_leaves_it_unknown",),
    ),
    Mutant(
        "what a list lacks counts as absent",
        f"{SOURCE}/verdict.py",
        "    if not pull.whole and _words(find) & _ONLY_ALONE:",
        "    if False:",
        (f"{VERDICT}::test_what_a_list_lacks_is_read_by_itself",),
    ),
    Mutant(
        "protected names are orphans",
        f"{SOURCE}/verdict.py",
        "        rule = protect.protected_by(change, find.automation.protect_names)",
        "        rule = None",
        (f"{VERDICT}::test_an_automation_that_would_not_delete_it_leaves_it_unknown",),
    ),
    Mutant(
        "a page that fails is an empty one",
        f"{SOURCE}/reading.py",
        "            self.failure = self.failure or error.message\n            return 0",
        "            return 0",
        (f"{READING}::test_a_page_that_fails_makes_unknown_what_it_may_hold",),
    ),
    Mutant(
        "pull requests of another repository count",
        f"{SOURCE}/reading.py",
        '                and pull["base"]["repo"]["id"] == self.id',
        "                and True",
        (f"{READING}::test_another_repository_is_no_answer",),
    ),
    Mutant(
        "a name of two pull requests is one's",
        f"{SOURCE}/audit.py",
        "    if len(owners) > 1:",
        "    if False:",
        (f"{AUDIT}::test_a_name_that_may_be_of_two_pull_requests_is_nobodys",),
    ),
    Mutant(
        "an unfinished run does not count",
        f"{SOURCE}/audit.py",
        '                verdict = Verdict("unknown", why) if why else verdict',
        "                pass",
        (f"{AUDIT}::test_a_pull_request_with_an_unfinished_run_is_left_alone",),
    ),
    Mutant(
        "any account is listed",
        f"{SOURCE}/audit.py",
        "            guards.check_account(target, clients)",
        "            pass",
        (f"{AUDIT}::test_the_wrong_account_is_not_listed",),
    ),
    Mutant(
        "a digit may be next to the number",
        "src/closeout/core/inverse.py",
        "        if before[-1] in _DIGITS or after[:1] in tuple(_DIGITS):",
        "        if False:",
        (f"{INVERSE}::test_an_ambiguous_name_has_no_pattern",),
    ),
    Mutant(
        "what is open again is cleaned up",
        "src/closeout/wiring/cleaning.py",
        '        if closed.state != "closed":',
        "        if False:",
        (f"{CLEANING}::test_a_pull_request_that_is_open_again_starts_nothing",),
    ),
    Mutant(
        "every automation of the closing starts",
        "src/closeout/wiring/cleaning.py",
        "        runs = [run for run in decision.runs if run.automation == target.automation]",
        "        runs = [*decision.runs]",
        (f"{CLEANING}::test_one_run_of_the_orphans_automation_starts",),
    ),
    Mutant(
        "a cleaning takes the closing's own name",
        "src/closeout/wiring/cleaning.py",
        "heard=HEARD, at=now, guid=guid)",
        "heard=HEARD, at=now)",
        (f"{CLEANING}::test_the_closing_itself_is_still_to_be_heard",),
    ),
    Mutant(
        "a run that goes on gets another attempt",
        "src/closeout/wiring/cleaning.py",
        '        if before.state != "finished":',
        "        if False:",
        (f"{CLEANING}::test_one_run_of_the_orphans_automation_starts",),
    ),
    Mutant(
        "patrol starts any number of runs",
        f"{SOURCE}/repair.py",
        "    elif len(targets) > limit:",
        "    elif False:",
        (f"{REPAIR}::test_above_the_limit_none_is_started",),
    ),
    Mutant(
        "patrol starts runs after half an audit",
        f"{SOURCE}/repair.py",
        "    if targets and errors:",
        "    if False:",
        (f"{REPAIR}::test_half_an_audit_starts_nothing",),
    ),
    Mutant(
        "patrol repairs what it should report",
        f"{SOURCE}/repair.py",
        'if modes.get(row.automation) == "repair"]',
        "if True]",
        (f"{REPAIR}::test_only_repair_starts_anything",),
    ),
    Mutant(
        "patrol tries an orphan again and again",
        "src/closeout/wiring/cleaning.py",
        "        if once and for_an_orphan:",
        "        if False:",
        (f"{CLEANING}::test_patrol_tries_once",),
    ),
    Mutant(
        "each start makes an audit",
        "src/closeout/wiring/patrols.py",
        '        return max(0.0, float(last["ended_at"]) + DAY - self._now())',
        "        return 0.0",
        ("tests/unit/wiring/test_patrol_audits.py::test_an_audit_is_due_a_day_after_the_last",),
    ),
    Mutant(
        "patrol repairs what was closed before it began",
        f"{SOURCE}/repair.py",
        "    recent = {row.target for row in owned if begun(row)}",
        "    recent = {row.target for row in owned}",
        (f"{REPAIR}::test_history_is_a_persons",),
    ),
    Mutant(
        "patrol has always begun",
        "src/closeout/wiring/orphans.py",
        "                and row.automation in mark.begun_for(int(row.closed))",
        "                and True",
        (f"{COMMAND}::test_patrol_tells_of_orphans_and_starts_nothing_from_before_it_began",),
    ),
)
