"""Sabotages of what people read: a list that leaves something out, and a story with somebody else's chapters."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LISTS = "tests/contract/test_lists.py"
RUNS = f"{LISTS}::test_pages_of_runs_are_the_filtered_list"
DELIVERIES = f"{LISTS}::test_pages_of_deliveries_are_the_filtered_list"
INTERLEAVED = "tests/unit/ledger/sqlite/test_reads.py"
STORY = "tests/unit/wiring/test_pull_requests.py"
SOURCE = "src/closeout/ledger/sqlite/lists.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "lists: open runs of an automation are left out",
        SOURCE,
        "    return merge(unfinished, finished, reverse=not newer)",
        "    return finished",
        (RUNS,),
    ),
    Mutant(
        "lists: numbers and runs are read at two moments",
        "src/closeout/ledger/sqlite/reads.py",
        '                connection.execute("BEGIN")',
        "                pass",
        (
            "tests/unit/ledger/sqlite/test_reads.py::test_a_run_that_gets_its_next_attempt_while_a_list_is_read_is_listed",
        ),
    ),
    Mutant(
        "rerun: two that both found the run finished start two attempts",
        "src/closeout/ledger/sqlite/attempts.py",
        '            if state != "finished":',
        "            if False:",
        ("tests/contract/test_ledgers.py::TestSqlite",),
    ),
    Mutant(
        "requests: one that ends while the list is read is taken again",
        "src/closeout/engine/requests.py",
        "        self._taken.intersection_update(request.id for request in requests)",
        "        self._taken.clear()",
        (
            "tests/unit/engine/test_requests.py::test_a_request_that_ends_while_the_list_is_read_is_not_carried_out_twice",
        ),
    ),
    Mutant(
        "lists: words do not count beside the number of a pull request",
        SOURCE,
        "        if not phrases or words.found(",
        "        if True or words.found(",
        (RUNS,),
    ),
    Mutant(
        "lists: one kind of event hides the others of its repository",
        SOURCE,
        "        return merge(*found, reverse=not newer)",
        "        return found[0] if found else iter(())",
        (DELIVERIES,),
    ),
    Mutant(
        "lists: a page begins with the row at which the one before ended",
        "src/closeout/ledger/cursors.py",
        "Start(found[-1][0])",
        "Start(found[-1][0] + 1)",
        (RUNS,),
    ),
    Mutant(
        "lists: a run that is run again is not found by what it was",
        "src/closeout/ledger/sqlite/views.sql",
        "  AND NOT EXISTS (SELECT 1 FROM run n WHERE n.run_id = r.run_id AND n.attempt > r.attempt);\n\n-- name: shown_runs_older",
        ";\n\n-- name: shown_runs_older",
        (RUNS,),
    ),
    Mutant(
        "story: a repository that took over a name gets the other one's story",
        "src/closeout/wiring/pull_requests.py",
        "        return other == identity if",
        "        return True if",
        (f"{STORY}::test_a_renamed_repository_keeps_its_timeline",),
    ),
    Mutant(
        "story: what an earlier attempt left is left for ever",
        "src/closeout/wiring/pull_requests.py",
        'one._replace(outcome="gone"',
        'one._replace(outcome="left"',
        (f"{STORY}::test_a_resource_that_a_later_success_did_not_find_is_gone",),
    ),
    Mutant(
        "days: each automation counts a closing again",
        "src/closeout/ledger/sqlite/queries.sql",
        "AND o.state = 'finished' AND o.verdict <> 'skipped') AS first",
        "AND o.state = 'none') AS first",
        ("tests/contract/test_ledgers.py::TestSqlite",),
    ),
)
