"""Sabotages of patrol: what it may start, and what it may believe to know."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LIST = "tests/unit/patrol/test_closed_list.py"
LOG = "tests/unit/patrol/test_delivery_log.py"
OWNERS = "tests/unit/patrol/test_owners.py"
INTAKE = "tests/unit/wiring/test_api_intake.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "patrol: a new repository is taken for the one whose old name it has",
        "src/closeout/patrol/closings.py",
        "                if read.begun:\n",
        "                if False:\n",
        (f"{LIST}::test_a_new_repository_under_an_old_name_is_not_confused_with_it",),
    ),
    Mutant(
        "patrol: the daily audit spends what runs need",
        "src/closeout/wiring/orphans.py",
        '            return self._reader.read(path, asked.get("query") or {}).body',
        "            return self._github.request(method, path, **asked)",
        ("tests/unit/wiring/test_patrol_audits.py::test_an_audit_stays_within_patrols_budget",),
    ),
    Mutant(
        "patrol: an owner whose list cannot be read has no repositories",
        "src/closeout/patrol/rounds.py",
        "in missing]",
        "in ()]",
        (f"{OWNERS}::test_a_list_that_cannot_be_read_is_an_error_and_what_was_known_is_read_on",),
    ),
    Mutant(
        "patrol: a repository that is not listed for a while loses its beginning",
        "src/closeout/patrol/closings.py",
        " and not self.listened(mark.name):",
        ":",
        (f"{OWNERS}::test_a_repository_that_github_does_not_list_for_a_while_keeps_its_beginning",),
    ),
    Mutant(
        "patrol: a pattern covers what the automation takes back, or what another owner has",
        "src/closeout/patrol/coverage.py",
        "for one in self.listening if covers(one, name))",
        "for one in self.listening)",
        ("tests/unit/patrol/test_coverage.py::test_a_pattern_stands_for_what_github_lists_of_its_owner",),
    ),
    Mutant(
        "patrol: a delivery that arrived after all is offered as one that did not",
        "src/closeout/wiring/recovery.py",
        "zip(found, stored, strict=True) if not there]",
        "zip(found, stored, strict=True)]",
        (f"{LOG}::test_an_ignored_delivery_can_be_replayed_for_three_days",),
    ),
    Mutant(
        "patrol: what was closed before the beginning is started",
        "src/closeout/patrol/marks.py",
        "for name, beginning in self.beginnings.items() if moment > beginning)",
        "for name, beginning in self.beginnings.items())",
        (f"{LIST}::test_an_automation_that_comes_later_begins_later",),
    ),
    Mutant(
        "patrol: an automation that comes back keeps its old beginning",
        "src/closeout/patrol/closings.py",
        "            if mark.beginnings and mark.name not in self.repositories and not self.listened(mark.name):",
        "            if False:",
        (f"{LIST}::test_an_automation_that_is_removed_and_returns_begins_again",),
    ),
    Mutant(
        "patrol: a repository that was renamed loses its beginnings",
        "src/closeout/patrol/closings.py",
        "for mark in marks.values() if mark.id not in seen)",
        "for mark in marks.values())",
        (f"{LIST}::test_a_renamed_repository_stays_watched",),
    ),
    Mutant(
        "patrol: the watermark moves over closings of a name that nothing matches",
        "src/closeout/patrol/closed_list.py",
        "        if now.lower() != name.lower():",
        "        if False:",
        (f"{LIST}::test_a_new_name_that_is_not_configured_is_reported",),
    ),
    Mutant(
        "patrol: the watermark moves over an error",
        "src/closeout/patrol/closed_list.py",
        "    if read.error is None:\n",
        "    if True:\n",
        (f"{LIST}::test_an_incomplete_answer_is_reported_and_moves_nothing",),
    ),
    Mutant(
        "patrol: the watermark is kept before its closings are stored",
        "src/closeout/patrol/closings.py",
        "                taken = self._take_in(name, read)\n",
        "                self._save(read.mark)\n                taken = self._take_in(name, read)\n",
        (f"{LIST}::test_a_closing_that_could_not_be_stored_is_read_again",),
    ),
    Mutant(
        "patrol: what the list names counts as closed whatever its state",
        "src/closeout/patrol/closed_list.py",
        '    if item["state"] != "closed" or item.get("closed_at") is None:',
        '    if item.get("closed_at") is None:',
        (f"{LIST}::test_an_incomplete_answer_is_reported_and_moves_nothing",),
    ),
    Mutant(
        "patrol: the watermark is the newest update itself",
        "src/closeout/patrol/closed_list.py",
        "LAG = 300\n",
        "LAG = 0\n",
        (f"{LIST}::test_closings_of_one_second_and_late_ones_are_found",),
    ),
    Mutant(
        "patrol: pages are read once, however they shift",
        "src/closeout/patrol/closed_list.py",
        "                if before is None:",
        "                if True:",
        (f"{LIST}::test_a_pull_request_that_moves_to_a_page_that_was_read_is_found",),
    ),
    Mutant(
        "patrol: an unchanged first page hides the next one",
        "src/closeout/patrol/closed_list.py",
        "    return page.etag if _reaches(page, floor) else None",
        "    return page.etag",
        (f"{LIST}::test_a_page_that_has_not_changed_hides_nothing_on_the_next_one",),
    ),
    Mutant(
        "patrol: a closing that was pruned is started again",
        "src/closeout/patrol/closed_list.py",
        "    oldest = max(mark.known_to, first.date - KEPT_DAYS * DAY)",
        "    oldest = 0",
        (f"{LIST}::test_a_closing_that_was_pruned_is_not_started_again",),
    ),
    Mutant(
        "patrol: events without a live check are recovered",
        "src/closeout/patrol/delivery_log.py",
        "        if check is None or not self._checked[check.event, check.action]:",
        "        if check is not None and not self._checked[check.event, check.action]:",
        (f"{LOG}::test_events_without_a_live_check_are_only_counted",),
    ),
    Mutant(
        "patrol: a log that ends too early is no gap",
        "src/closeout/patrol/delivery_log.py",
        "            return True  # it should still be there",
        "            return False  # it should still be there",
        (f"{LOG}::test_a_log_that_ends_before_the_last_known_delivery_is_a_gap",),
    ),
    Mutant(
        "patrol: an old delivery that somebody sends again is started",
        "src/closeout/patrol/delivery_log.py",
        "        begun = mark.begun_for(moment)",
        "        begun = mark.begun_for(entry.delivered_at)",
        (f"{LOG}::test_an_old_delivery_that_is_redelivered_starts_nothing",),
    ),
    Mutant(
        "patrol: the reserve of live checks and statuses is spent",
        "src/closeout/patrol/reader.py",
        "before + min(most, free)",
        "before + most",
        (f"{LIST}::test_a_round_spends_half_of_what_is_left_and_keeps_the_reserve",),
    ),
    Mutant(
        "patrol: a webhook's headers can name a delivery of the API",
        "src/closeout/intake/recovered.py",
        'API = "closeout api"',
        'API = "api"',
        ("tests/unit/intake/test_recovered.py::test_no_header_can_name_a_delivery_of_the_api",),
    ),
    Mutant(
        "patrol: a closing whose delivery has no run counts as known",
        "src/closeout/wiring/api_intake.py",
        "        missing = [run for run in runs if run.run_id not in accepted.runs]",
        "        missing: list[NewRun] = []",
        (f"{INTAKE}::test_a_closing_whose_delivery_is_stored_without_a_run_starts",),
    ),
    Mutant(
        "patrol: a run that met an old answer is not heard of again",
        "src/closeout/patrol/closings.py",
        "self._save(replace(self._held(read, taken), told=not read.begun))",
        "self._save(replace(read.mark, told=not read.begun))",
        (f"{LIST}::test_a_closing_is_read_until_its_run_has_ended",),
    ),
    Mutant(
        "patrol: a run that ends as cancelled while a list is taken in is not heard of again",
        "src/closeout/patrol/closings.py",
        "                closed.id not in taken and self.intake.is_new(closed, begun)",
        "                False",
        (f"{LIST}::test_a_closing_whose_run_is_cancelled_while_the_list_is_taken_in_is_seen_again",),
    ),
    Mutant(
        "orphans: a run that begins during the audit does not count",
        "src/closeout/wiring/orphans.py",
        "        found = later().get(about)",
        "        found = None",
        ("tests/unit/wiring/test_busy_runs.py::test_a_run_that_begins_after_an_audit_is_busy_too",),
    ),
    Mutant(
        "patrol: an automation that asks who closed it starts without knowing",
        "src/closeout/patrol/closings.py",
        "                if sender is None and unread is not None and begun & self.asking:",
        "                if False:",
        (f"{LIST}::test_unreadable_issue_events",),
    ),
)
