"""Sabotages of problems and messages: who would not hear, hear twice, or hear what is not for them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "tests/unit/core/test_problems.py"
PROPERTY = "tests/properties/test_problems.py::test_each_problem_is_told_in_time_and_its_repair_once"
CONTRACT = "tests/contract/test_problems.py"
TELLS = "tests/unit/wiring/test_notifying.py"
AUDIT = "tests/unit/orphans/test_problems.py"
ABANDONED = "tests/unit/wiring/test_orphan_problems.py"
PROBLEMS = "src/closeout/core/problems.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "messages: a message about a public repository says all",
        PROBLEMS,
        "        return self.text if self.whole else self.public",
        "        return self.text",
        (f"{TELLS}::test_a_message_about_a_public_repository_has_only_public_text",),
    ),
    Mutant(
        "messages: each problem is a message of its own",
        PROBLEMS,
        "                cause = _Cause(event, problem.automation, problem.step, problem.code)",
        "                cause = _Cause(event, problem.key, problem.step, problem.code)",
        (f"{TELLS}::test_a_thousand_failures_of_one_cause_are_one_message",),
    ),
    Mutant(
        "messages: what was told is told again at every look",
        PROBLEMS,
        "        return _Need(problem, last.at + AGAIN, True)",
        "        return _Need(problem, last.at, True)",
        (PROPERTY, f"{TELLS}::test_a_restart_repeats_nothing"),
    ),
    Mutant(
        "messages: a target that was down is flooded",
        PROBLEMS,
        "    if len(messages) <= MOST_MESSAGES:",
        "    if messages:",
        (f"{TELLS}::test_a_target_that_is_down_for_a_day_then_gets_the_current_state",),
    ),
    Mutant(
        "messages: a failed message counts as told",
        "src/closeout/wiring/notifying.py",
        "            self._failed(target, self.redact(error.message), report)\n            return",
        "            self._failed(target, self.redact(error.message), report)",
        (f"{TELLS}::test_a_target_that_is_down_for_a_day_then_gets_the_current_state",),
    ),
    Mutant(
        "messages: more is sent while nothing can be marked",
        "src/closeout/wiring/notifying.py",
        "        self._mark([])\n        problems",
        "        problems",
        (f"{TELLS}::test_a_report_that_cannot_be_stored_delays_further_messages",),
    ),
    Mutant(
        "messages: what problems say is not redacted",
        "src/closeout/core/messages.py",
        "    lines = [_inert(redact(line)) for line in lines]",
        "    lines = [_inert(line) for line in lines]",
        (f"{TELLS}::test_no_message_log_or_error_contains_a_secret",),
    ),
    Mutant(
        "messages: a redirect is followed if the URL says so",
        "src/closeout/adapters/notifier.py",
        "    service.redirects = False  # whatever the URL says",
        "    pass",
        (f"{TELLS}::test_a_redirect_is_never_followed",),
    ),
    Mutant(
        "messages: a notifier may act on this machine",
        "src/closeout/adapters/notifier.py",
        "    if name in LOCAL:",
        "    if False:",
        (f"{TELLS}::test_an_invalid_notifier_url_is_refused",),
    ),
    Mutant(
        "messages: shell steps see the URL of a notifier",
        "src/closeout/config/load.py",
        "    hidden = (*secrets, *routes.targets())",
        "    hidden = secrets",
        ("tests/unit/config/test_load.py::test_every_key_has_its_value",),
    ),
    Mutant(
        "problems: a rehearsal repairs",
        "src/closeout/ledger/problems.py",
        '    repaired = ending.verdict == "success" and not rehearsed(operations)',
        '    repaired = ending.verdict == "success"',
        (CONTRACT,),
    ),
    Mutant(
        "problems: a run of an earlier closing ends those of a later one",
        PROBLEMS,
        '    return f"{pull_request}{slash}" if slash else key, key',
        '    return f"{pull_request}{slash}" if slash else key, f"{pull_request}0" if slash else key',
        (CONTRACT,),
    ),
    Mutant(
        "problems: an audit with errors ends problems",
        "src/closeout/orphans/problems.py",
        "    if report.errors:\n        return []",
        "    if False:\n        return []",
        (f"{AUDIT}::test_findings_that_close_no_problem",),
    ),
    Mutant(
        "problems: an audit of other steps ends problems",
        "src/closeout/orphans/problems.py",
        '        and problem.basis == automation.basis != ""',
        "",
        (f"{AUDIT}::test_findings_that_close_no_problem",),
    ),
    Mutant(
        "problems: what is unknown counts as gone",
        "src/closeout/orphans/problems.py",
        '            if states <= {"open"}:',
        '            if states <= {"open", "unknown"}:',
        (f"{AUDIT}::test_findings_that_close_no_problem",),
    ),
    Mutant(
        "messages: a clock that was ahead silences problems",
        PROBLEMS,
        "    return not 0 < need.at - now <= (AGAIN if need.repeated else WAIT)",
        "    return need.at <= now",
        (f"{CORE}::test_setting_the_clock_back_suppresses_no_message",),
    ),
    Mutant(
        "messages: a restart says that patrol works again",
        "src/closeout/wiring/notifying.py",
        "        elif interval is not None and ended < started:",
        "        elif False:",
        ("tests/unit/wiring/test_staleness.py::test_a_restart_closes_no_problem",),
    ),
    Mutant(
        "messages: a service that trickles holds up the end of the process",
        "src/closeout/adapters/notifier.py",
        "        service_timeout=0,  # it would",
        "        service_timeout=60,  # it would",
        (f"{TELLS}::test_an_endless_answer_does_not_delay_the_exit",),
    ),
    Mutant(
        "a message about a public repository says what the code of an error means",
        "src/closeout/core/messages.py",
        'if message.event != "failure" or not first.whole:',
        'if message.event != "failure":',
        ("tests/unit/core/test_messages.py::test_a_run_of_another_event_and_a_server_without_a_url",),
    ),
    Mutant(
        "messages: one that a service refuses keeps the others from it",
        "src/closeout/wiring/notifying.py",
        "        ordered.rotate(-self._failing[target].times if target in self._failing else 0)\n",
        "",
        (f"{TELLS}::test_a_refused_message_does_not_block_the_others",),
    ),
    Mutant(
        "messages: a text may be a link",
        "src/closeout/core/messages.py",
        "|[a-z]+:)|",
        ")|",
        ("tests/unit/core/test_messages.py::test_text_that_a_chat_would_turn_into_a_link_is_escaped",),
    ),
    Mutant(
        "problems: those of any automation are dismissed as gone",
        "src/closeout/orphans/problems.py",
        "one.automation not in names",
        "names",
        (f"{ABANDONED}::test_orphans_of_a_removed_automation_are_no_longer_reported",),
    ),
    Mutant(
        "problems: what failed before a run learned its closing is told for ever",
        "src/closeout/ledger/sqlite/queries.sql",
        "(key BETWEEN :first AND :last OR key = :also)",
        "(key BETWEEN :first AND :last OR :also IS NULL)",
        ("tests/contract/test_problems.py::TestSqlite",),
    ),
)
