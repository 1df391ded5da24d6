"""Sabotages of patrol on AWS: who works, what a late process keeps, what is started, and which rights there are."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LEASE = "tests/contract/test_patrol_lease.py"
PATROLS = "tests/unit/wiring/test_stack_patrols.py"
MARKS = "src/closeout/ledger/dynamodb/marks.py"
WIRING = "src/closeout/wiring/stack_patrols.py"
DRILL = "tests/unit/wiring/test_stack_drills.py"
DRILLS = "src/closeout/wiring/stack_drills.py"
CDK = "cdk/tests/test_patrol.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "patrol on AWS: a late process moves a mark",
        MARKS,
        "        if self.lease is not None:",
        "        if False:",
        (f"{LEASE}::test_an_execution_that_was_killed_continues_at_once",),
    ),
    Mutant(
        "patrol on AWS: two work at a time",
        MARKS,
        "        return self._table.change(put(self._key | to_item(names), free, values))",
        "        return self._table.change(put(self._key | to_item(names))) or bool(free and values)",
        (f"{LEASE}::test_one_patrol_at_a_time",),
    ),
    Mutant(
        "patrol on AWS: whoever ends frees another's lease",
        MARKS,
        '        self._table.change(update(self._key, {"free_at": 0.0}, MINE, {":me": self.token}))',
        '        self._table.change(update(self._key, {"free_at": 0.0}, "attribute_exists(pk)"))',
        (f"{LEASE}::test_an_execution_that_was_killed_continues_at_once",),
    ),
    Mutant(
        "patrol on AWS: a removed stack starts runs",
        WIRING,
        "            if self.ledger.deployed.is_removed():",
        "            if False:",
        (f"{PATROLS}::test_a_stack_that_is_being_deleted_starts_nothing",),
    ),
    Mutant(
        "patrol on AWS: whoever may invoke its function has an old delivery start its runs",
        "src/closeout/wiring/recovery.py",
        "entry, payload, frozenset())",
        'entry, payload, frozenset(("preview-cleanup",)))',
        ("tests/unit/wiring/test_stack_recovery.py::test_the_function_stores_it_and_a_replay_starts_it",),
    ),
    Mutant(
        "patrol on AWS: what was stored and not started stays so",
        WIRING,
        "        for execution, accepted_at in self.ledger.attempts.unstarted(since, now - LEFT):",
        "        for execution, accepted_at in self.ledger.attempts.unstarted(now, now - LEFT):",
        (f"{PATROLS}::test_a_run_that_could_not_be_started_is_started_by_the_next_patrol",),
    ),
    Mutant(
        "patrol on AWS: a run that Lambda refuses for a day is forgotten",
        WIRING,
        "                known_to = min(known_to, accepted_at)",
        "                known_to = min(known_to, now)",
        (f"{PATROLS}::test_a_run_that_lambda_refuses_for_days_is_not_forgotten",),
    ),
    Mutant(
        "patrol on AWS: a round of many errors cannot be kept",
        "src/closeout/wiring/rounds.py",
        "first(report.errors, MOST_ERRORS,",
        "first(report.errors, 10_000,",
        (f"{PATROLS}::test_a_round_with_many_errors_can_be_stored",),
    ),
    Mutant(
        "patrol on AWS: an attempt from a definition that was not deployed",
        WIRING,
        "        if self._ledger.table.get(known_key(definition_digest(definition))) is None:",
        "        if False:",
        (f"{PATROLS}::test_a_definition_that_was_not_deployed_gets_no_attempt",),
    ),
    Mutant(
        "patrol on AWS: an audit that was killed is repeated at once",
        WIRING,
        '                rounds.keep("audit", {"ended_at": self.clock.now()})',
        "                pass",
        (f"{PATROLS}::test_an_audit_that_lambda_killed_is_not_repeated_at_once",),
    ),
    Mutant(
        "patrol on AWS: each round lists all webhooks",
        WIRING,
        "        if self._kept is None or self._kept[0] != digest:",
        "        if digest:",
        (f"{PATROLS}::test_a_warm_process_lists_webhooks_for_a_few_owners_only",),
    ),
    Mutant(
        "patrol on AWS: a warm process goes by what was deployed before",
        WIRING,
        "        if self._kept is None or self._kept[0] != digest:",
        "        if self._kept is None:",
        (f"{PATROLS}::test_a_warm_process_uses_the_current_deployment",),
    ),
    Mutant(
        "patrol on AWS: the audit assumes the roles of steps",
        "src/closeout/wiring/orphans.py",
        "one.reason is None and (self.assumes or one.step.assume_role is None)",
        "one.reason is None",
        (f"{PATROLS}::test_the_audit_assumes_no_role_of_a_step",),
    ),
    Mutant(
        "patrol on AWS: a new automation begins an hour late",
        WIRING,
        '        if last.get("config", {}).get("digest") != digest or now - lists >= settings.state:',
        "        if now - lists >= settings.state:",
        (f"{PATROLS}::test_another_configuration_begins_at_once",),
    ),
    Mutant(
        "drill on AWS: what could not be asked counts as fine",
        DRILLS,
        '        return DrillFigures(states.count("wrong"), states.count("unknown") + unfinished, age)',
        '        return DrillFigures(states.count("wrong"), int(unfinished), age)',
        (f"{DRILL}::test_a_check_without_an_answer_is_unknown_and_not_fine",),
    ),
    Mutant(
        "drill on AWS: one that fails ends the round",
        DRILLS,
        "        except Exception as error:  # noqa: BLE001 - a round must survive any error of a drill",
        "        except CloseoutError as error:",
        (f"{DRILL}::test_a_failed_drill_delays_no_round",),
    ),
    Mutant(
        "drill on AWS: what was not asked before the invocation ends is wrong",
        DRILLS,
        "transient=True)",
        "transient=False)",
        (f"{DRILL}::test_an_invocation_that_ends_leaves_the_rest_unknown",),
    ),
    Mutant(
        "drill on AWS: a broken link is told by no metric",
        "src/closeout/wiring/stack_patrols.py",
        "        return RoundResult(report, rounds, self.drills.round(loaded, self._marks, self._remaining))",
        "        return RoundResult(report, rounds)",
        (f"{DRILL}::test_a_broken_link_is_reported_once_a_day_by_log_and_metric",),
    ),
)
STACK: tuple[Mutant, ...] = (
    Mutant(
        "patrol's role has what the worker may do",
        "cdk/closeout_cdk/patrol.py",
        "            *permissions.of_actions(self._config.audit),",
        "            *permissions.of_actions(self._config.statements),",
        (f"{CDK}::test_patrol_has_none_of_the_rights_to_delete",),
    ),
    Mutant(
        "patrol's role assumes the roles of steps",
        "cdk/closeout_cdk/config.py",
        '    return tuple(one for one in found if one.role is None and one.actions != ("sts:AssumeRole",))',
        "    return tuple(one for one in found if one.role is None)",
        (f"{CDK}::test_patrol_has_none_of_the_rights_to_delete",),
    ),
    Mutant(
        "patrol's silence is no alarm",
        "cdk/closeout_cdk/alarms.py",
        "            treat_missing_data=missing.BREACHING if silence else missing.NOT_BREACHING,",
        "            treat_missing_data=missing.NOT_BREACHING,",
        (f"{CDK}::test_silence_is_an_alarm",),
    ),
    Mutant(
        "drill on AWS: a failed check is no alarm",
        "cdk/closeout_cdk/alarms.py",
        '            metric("DrillFailed", "Maximum"),',
        '            metric("DrillUnknown", "Maximum"),',
        (f"{CDK}::test_a_failed_check_of_the_drill_is_an_alarm",),
    ),
)
