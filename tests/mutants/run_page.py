"""Sabotages of a run's page: it must not say that something is gone which is not, nor more than its reader may see."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

OUTCOMES = "tests/unit/ledger/test_outcomes.py"
PAGES = "tests/contract/http/test_pages.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "run page: what a pause holds back is being deleted",
        "src/closeout/ledger/outcomes.py",
        "    if not calls.begun or (calls.waits and not calls.made):",
        "    if not calls.begun:",
        ("tests/unit/ledger/test_outcomes.py::test_a_call_that_waits_for_its_next_attempt_was_not_made",),
    ),
    Mutant(
        "run page: a call that had an error counts as held back",
        "src/closeout/ledger/outcomes.py",
        "last.wake is not None and not recorded_object(last.result)",
        "last.wake is not None",
        ("tests/unit/ledger/test_outcomes.py::test_a_call_that_waits_for_its_next_attempt_was_not_made",),
    ),
    Mutant(
        "what nobody could look for is called deleted",
        "src/closeout/ledger/outcomes.py",
        'looked = look is not None and look.state == "ok" and UNKNOWN_REST not in left',
        'looked = look is not None and look.state == "ok"',
        (f"{OUTCOMES}::test_a_resource_that_could_not_be_verified_is_unknown",),
    ),
    Mutant(
        "a look that failed counts as one",
        "src/closeout/ledger/outcomes.py",
        'looked = look is not None and look.state == "ok" and',
        "looked = True and",
        (f"{OUTCOMES}::test_a_resource_that_could_not_be_verified_is_unknown",),
    ),
    Mutant(
        "a dry run deleted",
        "src/closeout/ledger/outcomes.py",
        '"planned" if plan.get("dry_run") else "done"',
        '"done"',
        (f"{OUTCOMES}::test_a_dry_run_only_planned",),
    ),
    Mutant(
        "a read counts as a delete that was made",
        "src/closeout/ledger/outcomes.py",
        'operation.state == "ok" and value.keys() == {"result"}',
        'operation.state == "ok"',
        (f"{OUTCOMES}::test_a_guard_leaves_everything_untouched",),
    ),
    Mutant(
        "what is left and was not planned is not shown",
        "src/closeout/server/pages/step_rows.py",
        "    return (*rows, *besides)",
        "    return tuple(rows)",
        ("tests/unit/server/test_step_rows.py::test_what_is_left_names_no_account_to_everybody",),
    ),
    Mutant(
        "a public page says what the code of an error means",
        "src/closeout/server/pages/step_rows.py",
        'advice=advice(step.code, failure_text(step)) if whole else ""',
        "advice=advice(step.code, failure_text(step))",
        ("tests/unit/server/test_step_rows.py::test_a_public_page_shows_no_advice_and_no_console",),
    ),
    Mutant(
        "a public page keeps what a plan acts on",
        "src/closeout/server/pages/presentation.py",
        '    shown = {key: row[key] for key in ("verb", "part_of", "objects", "bytes") if key in row}',
        "    shown = dict(row)",
        ("tests/unit/server/test_presentation.py::test_limits_and_codes_are_the_operators",),
    ),
    Mutant(
        "a public page has a time line of calls",
        "src/closeout/server/pages/run_pages.py",
        "        survived = self._window(link, search=CONTINUES).lines if whole else ()",
        "        survived = self._window(link, search=CONTINUES).lines",
        (f"{PAGES}::test_a_public_repositorys_run_does_not_show_its_calls",),
    ),
    Mutant(
        "a link to another attempt outlives the link that it came from",
        "src/closeout/server/details.py",
        "_query(key, given.run_id, attempt, given.expires)",
        "_query(key, given.run_id, attempt, given.expires + LIFETIME)",
        (f"{PAGES}::test_attempts_link_to_each_other",),
    ),
    Mutant(
        "a run tells of no crash that it survived",
        "src/closeout/ledger/sqlite/executions.py",
        '                connection.execute(SQL["log_crash"], (number, now, runs.SURVIVED))',
        "                pass",
        ("tests/contract/test_ledgers.py::TestSqlite",),
    ),
)
