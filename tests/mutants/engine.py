"""Sabotages of crashes, suspects and waiting runs."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

RUNTIME = "tests/unit/wiring/test_runtime.py"
SUSPECTS = "tests/contract/test_suspects.py"
CORE = "tests/unit/core/test_runs.py"
DURABLE = "tests/unit/engine/test_durable.py"
TURNS = "tests/properties/test_turns.py"
REMOTE = "tests/contract/test_remote_engine.py"
TRIES = "tests/unit/actions/general/test_attempts.py"
WAITING = "tests/contract/test_waiting_runs.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "every death counts, in company too",
        "src/closeout/core/runs.py",
        'run.deaths + (alone or run.alone == "now")',
        "run.deaths + 1",
        (f"{CORE}::test_only_a_death_in_its_own_turn_counts_against_a_run",),
    ),
    Mutant(
        "a suspect that had no turn yet counts as under way in the next death",
        "src/closeout/core/runs.py",
        'state="waiting", wake=0.0, crashes=crashes',
        "crashes=crashes",
        (f"{CORE}::test_a_run_in_progress_when_the_process_died_waits_for_a_turn_alone",),
    ),
    Mutant(
        "a death in another's turn doubles this one's",
        "src/closeout/core/runs.py",
        "max(run.suspected, 1) if by_another else run.suspected + 1",
        "run.suspected + 1",
        (f"{CORE}::test_a_death_in_another_runs_turn_lengthens_no_turn",),
    ),
    Mutant(
        "what only tells of a cut-off counts as progress",
        "src/closeout/core/runs.py",
        "alone=None, deaths=0) if progressed else run",
        "alone=None, deaths=0)",
        (f"{CORE}::test_a_run_that_made_progress_is_no_suspect",),
    ),
    Mutant(
        "a new try of what was cut off counts as progress",
        "src/closeout/engine/durable.py",
        "progressed=not (under_way or self._interrupted)",
        "progressed=not under_way",
        (f"{DURABLE}::test_a_new_attempt_after_an_interruption_is_no_progress",),
    ),
    Mutant(
        "that a script begins counts as progress",
        "src/closeout/engine/durable.py",
        "progressed=not (under_way or self._interrupted)",
        "progressed=not self._interrupted",
        (f"{DURABLE}::test_a_begun_effect_is_no_progress",),
    ),
    Mutant(
        "a script that was cut off fails before what is left of it is ended",
        "src/closeout/engine/durable.py",
        'kind != "sleep" and not _effect_begun(recorded)',
        'kind != "sleep"',
        (f"{DURABLE}::test_an_interrupted_operation_is_ended_before_its_step_fails",),
    ),
    Mutant(
        "others begin during a turn alone",
        "src/closeout/engine/turns.py",
        "        if self.current is not None:\n            return []\n",
        "",
        (
            f"{TURNS}::test_nobody_begins_during_a_turn_and_nobody_is_left_behind",
            f"{SUSPECTS}::test_suspects_run_one_by_one_and_the_others_after_them",
        ),
    ),
    Mutant(
        "a turn alone never ends by its time",
        "src/closeout/engine/turns.py",
        "return self.current if at >= self._until else None",
        "return None",
        (f"{SUSPECTS}::test_an_expired_turn_lets_the_others_begin",),
    ),
    Mutant(
        "what kills at once waits in each life for the turns of all before it",
        "src/closeout/engine/turns.py",
        "insort(self._suspects, (-deaths, -suspected, number))",
        "insort(self._suspects, (0, -suspected, number))",
        (f"{TURNS}::test_who_died_alone_goes_first",),
    ),
    Mutant(
        "what kills at once waits in each life for the turn of whoever is the first",
        "src/closeout/engine/turns.py",
        "return pending.alone is None, -pending.deaths, -pending.suspected",
        "return pending.alone is None, 0, 0",
        (f"{SUSPECTS}::test_a_run_that_died_in_its_turn_goes_first_and_alone",),
    ),
    Mutant(
        "others begin before it is on disk that a turn is over",
        "src/closeout/engine/local.py",
        "        self.store.join(task.number)\n",
        "",
        (
            f"{SUSPECTS}::test_a_turn_ends_only_when_its_end_is_stored",
            f"{SUSPECTS}::test_an_expired_turn_lets_the_others_begin",
        ),
    ),
    Mutant(
        "that a turn begins is not on disk",
        "src/closeout/engine/local.py",
        "wait=wait, alone=alone, beside=beside)",
        "wait=wait)",
        (f"{SUSPECTS}::test_five_deaths_in_its_own_turns_end_an_operation",),
    ),
    Mutant(
        "what ends the process at once leaves no trace of having begun",
        "src/closeout/engine/schedule.py",
        "self.fresh = not found",
        "self.fresh = True",
        (f"{SUSPECTS}::test_a_recovered_run_begins_only_after_its_start_is_stored",),
    ),
    Mutant(
        "a death in a turn counts though others were under way beside it",
        "src/closeout/core/runs.py",
        "IN_TURN[beside] if alone",
        "IN_TURN[0] if alone",
        (
            f"{SUSPECTS}::test_a_run_that_died_in_its_turn_goes_first_and_alone",
            f"{TURNS}::test_the_guilty_fail_and_the_innocent_succeed",
        ),
    ),
    Mutant(
        "a suspect that cannot be read keeps its turn on disk",
        "src/closeout/engine/local.py",
        "stored=not alone)",
        "stored=True)",
        (f"{SUSPECTS}::test_a_suspect_that_cannot_be_read_shares_no_turn_with_the_next",),
    ),
    Mutant(
        "a restart lets time go back with the system's clock",
        "src/closeout/wiring/runtime.py",
        "        _continue_time(clock, ledger, report)\n",
        "",
        (f"{RUNTIME}::test_after_a_restart_time_goes_on_where_it_was_as_long_as_runs_are_open",),
    ),
    Mutant(
        "a run's summary without a UTF-8 form is tried for ever",
        "src/closeout/engine/recorder.py",
        "ending._replace(summary=_storable(ending.summary))",
        "ending",
        ("tests/contract/test_local_engine.py::test_an_error_that_has_no_utf8_form_ends_the_run",),
    ),
    Mutant(
        "a text without a UTF-8 form fails the deliveries beside it",
        "src/closeout/ledger/sqlite/writer.py",
        "    *(UnicodeEncodeError, OverflowError),\n",
        "",
        (
            "tests/unit/ledger/sqlite/test_accept.py::test_a_value_that_cannot_be_bound_fails_only_its_own_job",
        ),
    ),
    Mutant(
        "a cancel waits for turns alone",
        "src/closeout/engine/local.py",
        "self._begin([task.number] if task.cancel else self._turns.add(task.number, died))",
        "self._begin(self._turns.add(task.number, died))",
        (f"{SUSPECTS}::test_a_cancel_does_not_wait_for_turns",),
    ),
    Mutant(
        "deaths of an invocation on AWS do not count",
        "src/closeout/engine/lambda_.py",
        "runs.Crashed(alone=True)",
        "runs.Crashed()",
        (f"{REMOTE}::test_an_operation_that_repeatedly_kills_its_process_fails",),
    ),
    Mutant(
        "a step that ended by the count of before runs again in a replay",
        "src/closeout/actions/general/attempts.py",
        'crashes += bool(outcome.get("crashed"))',
        "crashes += 0",
        (f"{TRIES}::test_a_step_that_an_earlier_version_gave_up_is_not_run_again_on_replay",),
    ),
    Mutant(
        "a parked run keeps its payload",
        "src/closeout/engine/local.py",
        "        task.running = None\n",
        "",
        (f"{WAITING}::test_a_waiting_run_holds_nothing_of_its_execution[sleep]",),
    ),
)
"""One sabotage: a line, what it becomes, and the tests that must notice it."""
