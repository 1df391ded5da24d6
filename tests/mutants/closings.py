"""Sabotages of the rule that a closing starts each automation once."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LEDGERS = "tests/contract/test_ledgers.py"
SQLITE, DYNAMODB = f"{LEDGERS}::TestSqlite", f"{LEDGERS}::TestDynamodb"
INTAKE = "tests/unit/intake/test_receiver.py"
LATE = "tests/unit/run/test_late_closing.py"
INTAKE_OF_PATROL = "tests/unit/wiring/test_api_intake.py"
RECOVERED = "tests/unit/intake/test_recovered.py"
SENDER = "tests/unit/run/test_sender_unknown.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a closing's run is named after the delivery",
        "src/closeout/intake/receiver.py",
        "                closing.run_id(rule.name) if closing else ids.run_id(guid, rule.name),",
        "                ids.run_id(guid, rule.name),",
        (f"{INTAKE}::test_a_closing_has_one_run_whatever_its_guid",),
    ),
    Mutant(
        "a pull request that is closed again has no closing of its own",
        "src/closeout/core/closing.py",
        '        return short_digest(f"closing\\n{self}\\n{automation}")',
        '        return short_digest(f"closing\\n{self[:2]}\\n{automation}")',
        (f"{INTAKE}::test_a_closing_has_one_run_whatever_its_guid",),
    ),
    Mutant(
        "SQLite finds no run of an earlier release",
        "src/closeout/ledger/sqlite/migrations/0003_closings.sql",
        "CREATE UNIQUE INDEX run_guid ON run (guid, automation, attempt);",
        "CREATE INDEX run_guid ON run (guid, automation, attempt);",
        (SQLITE,),
    ),
    Mutant(
        "DynamoDB finds no run of an earlier release",
        "src/closeout/lambdas/delivery_writer.py",
        "        former = self._former(delivery.guid, runs) if delivery.closing else {}",
        "        former: dict[str, str] = {}",
        (DYNAMODB,),
    ),
    Mutant(
        "a pruned closing is forgotten",
        "src/closeout/ledger/sqlite/prune.py",
        '        connection.execute(SQL["remember_closings"], (guid,))',
        "        pass",
        (f"{SQLITE}::test_a_closing_outlives_the_retention_of_its_delivery",),
    ),
    Mutant(
        "a closing's row expires with its delivery",
        "src/closeout/ledger/dynamodb/executions.py",
        "        if record.closing is not None and self._retention < KEPT_DAYS * DAY:",
        "        if False:",
        (f"{DYNAMODB}::test_a_closing_outlives_the_retention_of_its_delivery",),
    ),
    Mutant(
        "a group of deliveries does not see a claim",
        "src/closeout/ledger/sqlite/migrations/0003_closings.sql",
        "WHEN NEW.attempt = 1 AND EXISTS (SELECT 1 FROM closing_run WHERE run_id = NEW.run_id)",
        "WHEN NEW.attempt = 0 AND EXISTS (SELECT 1 FROM closing_run WHERE run_id = NEW.run_id)",
        (SQLITE,),
    ),
    Mutant(
        "a run takes the closing that another one has",
        "src/closeout/ledger/sqlite/attempts.py",
        "            return str(there or owner)",
        "            return owner",
        ("tests/properties/test_closings.py::test_each_automation_runs_once_on_sqlite",),
    ),
    Mutant(
        "a run goes on although another one has its closing",
        "src/closeout/run/workflow.py",
        "        if owner != context.execution.run_id:",
        "        if False:",
        (f"{LATE}::test_a_closing_that_belongs_to_another_run_is_left_to_that_run",),
    ),
    Mutant(
        "a pull request that is open is taken as closed",
        "src/closeout/run/late_closing.py",
        '    if pull["state"] != "closed":',
        "    if False:",
        (f"{LATE}::test_an_open_pull_request_is_read_again_for_a_minute",),
    ),
    Mutant(
        "another pull request of the number gives the closing",
        "src/closeout/run/late_closing.py",
        '    if (pull["id"], pull["base"]["repo"]["id"]) != (facts.pull_request_id, facts.repository_id):',
        "    if False:",
        (f"{LATE}::test_an_incomplete_or_other_pull_request_deletes_nothing",),
    ),
    Mutant(
        "a condition decides without the sender that it asks for",
        "src/closeout/config/cel.py",
        '    if not event.get("sender") and re.search(_SENDER, expression):',
        "    if False:",
        (f"{SENDER}::test_a_condition_on_the_sender_is_unknown",),
    ),
    Mutant(
        "an unknown sender passes `senders`",
        "src/closeout/run/matching.py",
        "    if triggers.sender_unknown(automation.senders, facts):",
        "    if False:",
        (f"{SENDER}::test_a_sender_filter_matches_so_far_and_the_run_reports_the_unknown_sender",),
    ),
    Mutant(
        "an unknown sender is no match, and nobody is told",
        "src/closeout/core/triggers.py",
        "    if senders and not sender_unknown(senders, facts):",
        "    if senders:",
        (f"{SENDER}::test_a_sender_filter_matches_so_far_and_the_run_reports_the_unknown_sender",),
    ),
    Mutant(
        "one of two who may have closed it is named",
        "src/closeout/core/closed_payload.py",
        "    return near[0] if len(logins) == 1 else None",
        "    return near[0] if near else None",
        ("tests/unit/core/test_closed_payload.py::test_two_possible_closers_mean_none",),
    ),
    Mutant(
        "a run that a person cancelled begins again",
        "src/closeout/ledger/views.py",
        '        reopened=run.verdict == "cancelled" and reopened(operations),',
        '        reopened=run.verdict == "cancelled",',
        ("tests/unit/wiring/test_reruns.py::test_a_run_that_ended_otherwise_gets_no_further_attempt",),
    ),
    Mutant(
        "closings: a pruned run that met its pull request open keeps the closing for ever",
        "src/closeout/ledger/sqlite/queries.sql",
        "NOT EXISTS (SELECT 1 FROM run l JOIN operation o ON o.run = l.number",
        "NOT EXISTS (SELECT 1 FROM run l JOIN operation o ON o.run = -l.number",
        ("tests/model/test_model.py::test_a_closing_whose_run_met_it_open_starts_anew_after_a_prune",),
    ),
    Mutant(
        "closings: one that a run claimed and met open stays with it",
        "src/closeout/wiring/api_intake.py",
        "        reopened += [run for run in claimed if (found := read(run.run_id)) and found.reopened]",
        "        del claimed",
        (f"{INTAKE_OF_PATROL}::test_a_closing_whose_run_found_it_open_starts_again",),
    ),
    Mutant(
        "closings: a further attempt reads the delivery that first told of its closing",
        "src/closeout/wiring/reruns.py",
        "self._attempt(found.id, run, by, delivery)",
        "self._attempt(found.id, run, by, None)",
        (
            "tests/unit/wiring/test_reruns.py::test_a_further_attempt_reads_the_latest_delivery_of_the_closing",
        ),
    ),
    Mutant(
        "closings: a further attempt goes by a name that its repository lost",
        "src/closeout/run/matching.py",
        '    return facts._replace(repository=str(found["full_name"]))',
        "    return facts",
        ("tests/unit/run/test_renamed.py::test_a_further_attempt_matches_by_the_current_name",),
    ),
    Mutant(
        "closings: the list tells of a renamed repository by the delivery of its old name",
        "src/closeout/intake/recovered.py",
        '    identity = f"{closing} {decision.delivery.repository}"',
        '    identity = f"{closing}"',
        (f"{RECOVERED}::test_a_closing_under_another_repository_name_is_another_delivery",),
    ),
)
