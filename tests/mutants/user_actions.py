"""Sabotages of what visitors do from the pages."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ACTIONS = "src/closeout/server/pages/user_actions.py"
_ACTING = "src/closeout/server/pages/page_actions.py"
_CLEANUP = "src/closeout/server/pages/batches.py"
_CONFIRMATIONS = "src/closeout/server/pages/confirmations.py"
_PLANS = "src/closeout/server/pages/plans.py"
_BUSY = "tests/contract/http/test_endpoints.py::test_slow_pages_delay_no_probe_and_no_rotated_secret"
_TESTS = "tests/contract/http/test_user_actions.py::"
_CLEANUP_TESTS = "tests/contract/http/test_cleanup.py::"
_RERUN_TESTS = "tests/contract/http/test_reruns.py::"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a reader acts from the pages",
        _ACTING,
        '            Route("POST", path, ACT, self._explained(act, here)),',
        '            Route("POST", path, "read", self._explained(act, here)),',
        (
            _TESTS + "test_a_reader_and_an_anonymous_visitor_change_nothing",
            _CLEANUP_TESTS + "test_an_empty_selection_and_a_missing_right_change_nothing",
        ),
    ),
    Mutant(
        "each click on a form is a request",
        _ACTING,
        '        return await self._forms.once(_form_name(request), request.form["once"], ask)',
        "        return await ask()",
        (_TESTS + "test_a_form_that_is_sent_again_makes_one_request",),
    ),
    Mutant(
        "a one-time value serves any form",
        _CONFIRMATIONS,
        '        return hmac.new(self._key, f"{form}\\n{text}".encode("utf-8", "replace"), "sha256").hexdigest()',
        '        return hmac.new(self._key, text.encode("utf-8", "replace"), "sha256").hexdigest()',
        (_TESTS + "test_a_one_time_value_works_for_its_own_form_only",),
    ),
    Mutant(
        "a form without a plan is confirmed",
        _ACTIONS,
        "        if confirmed is None and visitor.form_token is None:",
        "        if confirmed is None:",
        (_TESTS + "test_every_field_of_the_form_is_required",),
    ),
    Mutant(
        "another plan than the one that was shown is confirmed",
        _ACTIONS,
        "        if plan.problem is not None or plan.digest != confirmed:",
        "        if plan.problem is not None:",
        (_TESTS + "test_a_plan_that_changed_must_be_confirmed_again",),
    ),
    Mutant(
        "a confirmation does not cover the names of what will be gone",
        _PLANS,
        '[[c["verb"], c["resource"]] for c in step["changes"]]',
        '[c["verb"] for c in step["changes"]]',
        ("tests/unit/server/test_plans.py::test_the_digest_covers_what_changes",),
    ),
    Mutant(
        "a plan that could not be made is confirmed",
        _PLANS,
        '            if word == "error":',
        "            if False:",
        (_TESTS + "test_a_plan_that_cannot_run_has_no_button",),
    ),
    Mutant(
        "a plan that a guard rejects is confirmed",
        _PLANS,
        '            if word == "refused":',
        "            if False:",
        (_TESTS + "test_a_plan_that_cannot_run_has_no_button",),
    ),
    Mutant(
        "a rerun that somebody else made meanwhile is confirmed again",
        _ACTIONS,
        '            "Rerun",\n            run.execution,',
        '            "Rerun",\n            run.id,',
        (_TESTS + "test_a_form_from_another_tab_finds_the_run_under_way",),
    ),
    Mutant(
        "a resume ends a pause that the visitor never saw",
        _ACTIONS,
        '"Resume closeout?", says, "Resume", paused, "/")',
        '"Resume closeout?", says, "Resume", "", "/")',
        (_TESTS + "test_pause_and_resume",),
    ),
    Mutant(
        "a clean-up goes by another plan than the one that was shown",
        "src/closeout/server/pages/batches.py",
        "            if plan.problem is not None or plan.digest != confirmed:",
        "            if plan.problem is not None:",
        (_CLEANUP_TESTS + "test_a_plan_that_differs_from_the_one_shown_requests_nothing",),
    ),
    Mutant(
        "an error of GitHub reaches a page with the secrets in it",
        _ACTING,
        "        return self._redact(error.message)",
        "        return error.message",
        (_TESTS + "test_an_error_from_github_reveals_no_secret",),
    ),
    Mutant(
        "a problem is dismissed although it has become another one",
        "src/closeout/server/pages/user_actions.py",
        'f"{found.since} {found.text}",',
        '"",',
        (_TESTS + "test_a_problem_is_dismissed_with_a_reason_and_a_name",),
    ),
    Mutant(
        "a rerun of several counts although somebody else reran meanwhile",
        "src/closeout/server/pages/batches.py",
        'plan_of(self._plan_again(run), f"rerun {run.execution}")',
        'plan_of(self._plan_again(run), "rerun")',
        (_RERUN_TESTS + "test_a_changed_plan_requests_nothing",),
    ),
    Mutant(
        "one confirmation starts any number of runs",
        "src/closeout/server/pages/batches.py",
        "        if not 1 <= len(chosen) <= MOST:",
        "        if not chosen:",
        (_RERUN_TESTS + "test_a_rerun_is_limited_to_the_cap",),
    ),
    Mutant(
        "the pages clean up what is no orphan besides",
        _CLEANUP,
        'orphans, targets = report.of("orphan"), report.targets()',
        'orphans = report.of("orphan"); targets = [row.target for row in orphans]',
        (_CLEANUP_TESTS + "test_the_page_names_what_it_leaves_out",),
    ),
    Mutant(
        "a request does not say who asked",
        _ACTING,
        '    return f"{visitor.name} ({',
        '    return f"pages ({',
        (_TESTS + "test_a_rerun_shows_what_will_be_gone_then_starts_the_next_attempt",),
    ),
    Mutant(
        "a header of an answer may hold a line break",
        "src/closeout/server/exchange.py",
        "        if any(_UNSAFE.search(value) for _, value in headers):",
        "        if False:",
        ("tests/unit/server/test_exchange.py::test_a_header_with_a_line_break_in_it_is_never_sent",),
    ),
    Mutant(
        "a long payload is cut inside a secret",
        "src/closeout/wiring/delivery_reasons.py",
        '        text = text[:MOST_TEXT].rpartition("\\n")[0]',
        "        text = text[:MOST_TEXT]",
        ("tests/unit/wiring/test_delivery_reasons.py::test_a_long_payload_is_cut_between_two_values",),
    ),
    Mutant(
        "pages that read for long keep a load balancer waiting",
        "src/closeout/server/health.py",
        "run_in_executor(self._thread, self._ready)",
        "run_in_executor(None, self._ready)",
        (_BUSY,),
    ),
    Mutant(
        "pages that read for long keep a rotated secret waiting",
        "src/closeout/server/webhook.py",
        "run_in_executor(self._reader, self._parts.refresh)",
        "run_in_executor(None, self._parts.refresh)",
        (_BUSY,),
    ),
)
