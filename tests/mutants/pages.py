"""Sabotages of the pages that operators read: what they call gone, and what they leave unsaid."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

OVERVIEW = "tests/unit/server/test_overview_page.py"
STORY = "tests/unit/server/test_pull_request_page.py"
HTTP = "tests/contract/http/test_lists.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "pages: what nobody knows the fate of is called gone",
        "src/closeout/server/pages/pull_request_page.py",
        "_GROUPS.get(one.outcome, (LEFT, one.outcome))",
        "_GROUPS.get(one.outcome, (GONE, one.outcome))",
        (f"{STORY}::test_the_last_outcome_of_each_resource_is_shown",),
    ),
    Mutant(
        "pages: an earlier success repairs a later failure",
        "src/closeout/server/pages/pull_request_page.py",
        "        and other.accepted_at > run.accepted_at\n",
        "",
        (f"{STORY}::test_a_repaired_failure_needs_nothing_more",),
    ),
    Mutant(
        "pages: a patrol that does not look is not said",
        "src/closeout/server/pages/overview_page.py",
        "    return at is not None and now - at > seconds",
        "    return False",
        (f"{OVERVIEW}::test_each_fault_is_shown_with_what_to_do",),
    ),
    Mutant(
        "pages: a run that hangs until its limit is not said",
        "src/closeout/server/pages/presentation.py",
        "self.percent >= NEAR_LIMIT",
        "self.percent >= 100",
        (f"{OVERVIEW}::test_a_run_near_its_limit_needs_attention",),
    ),
    Mutant(
        "pages: an open page is told that nothing has changed",
        "src/closeout/server/pages/rendering.py",
        '        if request.http.headers.get("if-none-match") == tag:',
        '        if "if-none-match" in request.http.headers:',
        (f"{HTTP}::test_a_live_part_is_sent_only_when_it_has_changed",),
    ),
    Mutant(
        "pages: a pause is not said",
        "src/closeout/server/pages/site.py",
        "        return visitor._replace(paused=self._views.paused(), problems=problems)",
        "        return visitor",
        (f"{HTTP}::test_every_page_says_that_closeout_is_paused",),
    ),
    Mutant(
        "a payload turns the direction of its text",
        "src/closeout/server/pages/lists.py",
        "        payload = escaped_json(found.payload)",
        "        payload = found.payload",
        ("tests/contract/http/test_lists.py::test_text_from_outside_is_escaped_on_every_page",),
    ),
    Mutant(
        "pages: a template shows what a terminal or a browser would obey",
        "src/closeout/server/pages/rendering.py",
        "    return presentation.clean(value) if type(value) is str else value",
        "    return value",
        ("tests/contract/http/test_lists.py::test_text_from_outside_is_escaped_on_every_page",),
    ),
)
