"""Overview, list of runs and page of a pull request over HTTP: filters, live parts, base path, and escaping."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.problems import Problem
from closeout.patrol.marks import REPORT
from closeout.ports import DayTally
from closeout.ports.access import READ
from closeout.testing import deliveries
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW
from tests.contract.http.signed_in import SignedIn, signed_in

PAGES = ("/", "/runs", "/pull-requests/acme/shop/17")


@pytest.fixture(scope="module")
def shared() -> Iterator[SignedIn]:
    """One server for all tests here, with a run in each state."""
    with signed_in() as site:
        for kind in ("success", "failure", "waiting", "running"):
            getattr(page_world, kind)(site.world)
        yield site


@pytest.fixture
def site(shared: SignedIn) -> SignedIn:
    """The shared server, with nothing wrong."""
    shared.world.problems.clear()
    shared.world.pause = None
    return shared


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_frame(site: SignedIn, path: str) -> None:
    """A skip link, the navigation with the current part marked, who is signed in, and a way to sign out."""
    text = site.text(path)
    assert text.index('class="skip" href="#content"') < text.index("<nav")
    assert text.count('aria-current="page"') >= 1
    assert "ada@desk" in text
    assert re.search(r'<form method="post" action="/logout">\s*<input type="hidden" name="form_token"', text)
    assert text.count("<h1") == 1


@pytest.mark.parametrize("path", PAGES)
def test_no_link_leads_nowhere(site: SignedIn, path: str) -> None:
    """Every absolute path on a page is answered; a page links to groups of pages only if they are served."""
    paths = {html.unescape(found) for found in re.findall(r'(?:href|action)="(/[^"]*)"', site.text(path))}
    paths -= {"/logout"}
    assert len(paths) > 3
    deliveries = {found for found in paths if found.startswith("/deliveries/")}
    assert {found: site.get(found).status for found in paths - deliveries} == dict.fromkeys(
        paths - deliveries, 200
    )


@pytest.mark.parametrize("path", PAGES)
def test_a_live_part_is_sent_only_when_it_has_changed(site: SignedIn, path: str) -> None:
    """An open page sends the tag of what it shows: the same is 304 without a body, a change sends that part only."""
    first = site.get(path + "?part=live")
    assert first.status == 200
    assert b"<html" not in first.body
    assert b"acme/shop#17" in first.body or b"Everything in order" in first.body
    again = site.get(path + "?part=live", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    page_world.running(site.world)
    changed = site.get(path + "?part=live", If_None_Match=first.headers["etag"])
    assert changed.status == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_runs_are_filtered_by_the_url(site: SignedIn) -> None:
    """The form shows the URL's filters, and the list has only those runs."""
    text = site.text("/runs?verdict=failure&repository=acme/shop")
    assert text.count('<span class="chip tone-failure">') == 1
    assert 'chip tone-success"' not in text
    assert '<option value="failure" selected>' in text
    assert 'value="acme/shop"' in text
    assert 'href="/runs?verdict=failure"' in text


def test_the_form_offers_all_known_automations(tmp_path: Path) -> None:
    """Those configured, those that have had runs, and the one in the URL; without script."""
    (tmp_path / "closeout.yaml").write_text(
        "version: 1\nsecrets: { webhook: env:X }\nautomations:\n  in-force:\n    repositories: [acme/shop]\n"
        "    on: { pull_request: { types: [closed] } }\n"
        "    steps: [{ id: say, uses: shell, with: { run: 'true' } }]\n"
    )
    with signed_in(loaded=load(tmp_path / "closeout.yaml", builtin())) as site:
        page_world.success(site.world)
        text = site.text("/runs?automation=was-renamed")
        offered = re.findall(
            r'<option value="([a-z-]*)"( selected)?>', text.partition("filter-automation")[2]
        )
        assert offered[:4] == [
            ("", ""), ("in-force", ""), ("preview-cleanup", ""), ("was-renamed", " selected")
        ]  # fmt: skip


def test_a_list_has_one_url(site: SignedIn) -> None:
    """The form also sends its empty fields: the answer redirects to the URL without them, in the order of the form."""
    answer = site.get("/runs?verdict=failure&search=&repository=acme%2Fshop&since=")
    assert (answer.status, answer.headers["location"]) == (
        303,
        "/runs?repository=acme%2Fshop&verdict=failure",
    )


def test_an_invalid_filter_is_an_error_on_the_page(site: SignedIn) -> None:
    """Status 400, the message, and the form as it was sent; so is an invalid cursor."""
    answer = site.get("/runs?since=yesterdayish&repository=acme/shop")
    text = html.unescape(answer.body.decode())
    assert answer.status == 400
    assert "since is a time such as 2026-03-14" in text
    assert 'value="acme/shop"' in text
    assert "Nothing here" not in text


def test_an_empty_list_offers_to_remove_each_filter(site: SignedIn) -> None:
    """And all of them at once."""
    text = site.text("/runs?verdict=cancelled&repository=acme/none")
    assert "No run meets all of these filters together." in text
    assert 'href="/runs?repository=acme%2Fnone">Drop Verdict: Cancelled' in text
    assert 'href="/runs">Drop all' in text


def test_the_overview_shows_what_needs_attention(site: SignedIn) -> None:
    """A problem with its run, and a pause; the problem of a missing ledger is shown alone."""
    assert "Nothing needs you." in site.text("/")
    run = next(iter(site.world.runs.values()))
    site.world.problems.append(
        Problem("preview-cleanup", "1/2/x", "failure", "a <b>bucket</b> is left", "x", NOW, "left", "stack",
                repository="acme/shop", number=17, execution=run.execution)
    )  # fmt: skip
    site.world.pause = "by ada@desk: incident"
    text = site.text("/")
    assert "preview-cleanup failed for acme/shop#17" in text
    assert "a &lt;b&gt;bucket&lt;/b&gt; is left" in text
    assert f'href="/runs/{run.id}">Open the run' in text
    assert "Paused by ada@desk: incident." in text


def test_every_page_says_how_many_problems_are_open(site: SignedIn) -> None:
    """Next to the link to the overview, in words for a screen reader; counting stops at a limit."""
    assert "open problems" not in site.text("/runs")
    for count, said in ((2, "2"), (150, "99+")):
        site.world.problems[:] = [
            Problem("a", str(number), "failure", "x", "x", NOW) for number in range(count)
        ]
        for path in PAGES:
            assert f'<span class="count">{said}<span class="hidden"> open problems' in site.text(path)


def test_every_page_says_that_closeout_is_paused(site: SignedIn) -> None:
    """Once, and on the overview among what needs attention."""
    site.world.pause = "by ada@desk: incident 4711"
    assert [site.text(path).count("Destructive calls are paused") for path in PAGES] == [1, 1, 1]
    run = next(iter(site.world.runs.values()))
    assert "incident 4711" in site.text(f"/runs/{run.id}")


def test_the_chart_has_a_text_and_a_table(site: SignedIn) -> None:
    """A visitor who cannot see it reads the same figures."""
    site.world.tallies[:] = [DayTally("2026-09-20", 5, 3, 1, 1)]
    text = site.text("/")
    assert re.search(r'<svg [^>]*role="img" aria-labelledby="chart-title chart-text"', text)
    assert "The busiest day was 20 Sep, with 5." in text
    assert '<th scope="row">2026-09-20</th><td class="end">5</td>' in text
    assert "style=" not in text.split("</style>")[1]


def test_an_unknown_pull_request_gets_an_explanation(site: SignedIn) -> None:
    """The page says that it is unknown; a path without a number is 404."""
    text = site.text("/pull-requests/acme/shop/4711")
    assert "closeout knows nothing of this pull request" in text
    assert site.get("/pull-requests/acme/shop/x").status == 404


@pytest.mark.parametrize("path", PAGES)
def test_without_a_session_nothing_is_shown(site: SignedIn, path: str) -> None:
    """A browser is redirected to sign in, a program gets instructions; a live part is no way around it."""
    for asked in (path, path + "?part=live"):
        browser = site.server.send("GET", asked, headers={"Accept": "text/html"})
        assert (browser.status, browser.headers["location"]) == (303, "/login")
        program = site.server.send("GET", asked)
        assert program.status == 401
        assert b"acme" not in program.body


def test_links_honour_a_base_path_and_the_first_page_shows_the_next_step() -> None:
    """Behind a proxy that serves closeout below a path. For an empty ledger there are no zeros."""
    with signed_in(base="https://x.example/close/out", secrets_named="env:HOOK, env:OLD", right=READ) as site:
        text = site.text("/")
        assert "https://x.example/close/out/webhook" in text
        assert "--secret env:HOOK --sample" in text
        assert "The last 30 days" not in text
        assert "(read only)" in text
        page_world.failure(site.world)
        for path in PAGES:
            links = re.findall(r'(?:href|action)="(/[^"]*)"', site.text(path))
            assert links
            assert all(link.startswith("/close/out/") for link in links)


@pytest.mark.parametrize("path", PAGES)
def test_the_policy_allows_scripts_only_by_their_hash(site: SignedIn, path: str) -> None:
    """Nothing else inline, and nothing from elsewhere."""
    answer = site.get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    text = answer.body.decode()
    assert not re.search(r"\son\w+=", text.split("</style>")[1].split("<script>")[0])


HOSTILE = "<img src=x onerror=alert(1)>'\"&</title><script>alert(2)</script>\x1b[31m\u202e"
ROW = {
    "resource": HOSTILE,
    "reason": HOSTILE,
    "repository": HOSTILE,
    "pull_request": 17,
    "automation": HOSTILE,
    "created": NOW,
}
ROUND = {"ended_at": NOW, "errors": [HOSTILE]}
ROWS = [{**ROW, "state": state} for state in ("orphan", "unknown")]
MARKS: dict[str, dict[str, dict[str, Any]]] = {
    REPORT: {
        "lists": ROUND,
        "logs": ROUND,
        "orphans": {"ended_at": NOW, "found": 1, "unknown": 1, "rows": ROWS},
    }
}


def test_text_from_outside_is_escaped_on_every_page() -> None:
    """Titles, branches, names, summaries, errors of services, and what a visitor types into a filter."""
    typed = quote(HOSTILE)
    paths = [
        "/",
        "/health",
        "/orphans",
        "/runs",
        "/deliveries",
        "/pull-requests/acme/shop/17",
        "/deliveries/1",
    ]
    paths += [f"{path}?part=live" for path in ("/", "/runs", "/deliveries", "/pull-requests/acme/shop/17")]
    paths += [
        f"/runs?search={typed}",
        f"/runs?since={typed}",
        f"/deliveries?guid={typed}",
        f"/deliveries?until={typed}",
    ]
    with signed_in(marks=lambda kind: MARKS.get(kind, {})) as site:
        payload = deliveries.pull_request(title=HOSTILE, head=HOSTILE, base=HOSTILE, sender=HOSTILE)
        payload["pull_request"]["html_url"] = payload["repository"]["html_url"] = "javascript:alert(3)"
        one = page_world.step(
            "one", "failure", name=HOSTILE, reason=HOSTILE, left=({"resource": HOSTILE, "reason": HOSTILE},)
        )
        for state, verdict in (("finished", "failure"), ("running", None)):
            site.world.add(HOSTILE, state, verdict, payload=payload, reason=HOSTILE, summary=HOSTILE, guid=HOSTILE,
                           requested_by=HOSTILE, steps=(one,))  # fmt: skip
        site.world.problems.append(
            Problem(
                HOSTILE,
                "1/2/x",
                "failure",
                HOSTILE,
                HOSTILE,
                NOW,
                HOSTILE,
                HOSTILE,
                (HOSTILE,),
                repository=HOSTILE,
            )
        )
        site.world.pause = HOSTILE
        real = site.world.delivery
        site.world.delivery = lambda delivery_id: real(delivery_id)._replace(guid=HOSTILE, action=HOSTILE)  # type: ignore[method-assign]
        for path in paths:
            text = site.get(path).body.decode()
            assert "&lt;img src=x" in text, path
            for part in ("<img", "alert(2)</script>", 'href="javascript', "\x1b", "\u202e"):
                assert part not in text, (path, part)
        assert "\\u202e" in site.text("/deliveries/1"), "a payload is shown as it came"
        for path in ("/api/runs", "/api/pull-requests/acme/shop/17", "/api/overview"):
            answer = site.get(path)
            assert "alert(2)" in answer.body.decode(), path
            assert "\u202e" not in answer.body.decode(), path
            assert answer.headers["content-type"] == "application/json"
