"""Run pages over HTTP: who can see what, and what no page may contain."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from closeout.core import ids
from closeout.ports import DeliveryId
from closeout.server import details
from closeout.testing import deliveries
from tests.contract.http import page_world
from tests.contract.http.action_site import action_site
from tests.contract.http.page_world import NOW, World, step
from tests.contract.http.serving import KEY, Answer, Running, serving
from tests.contract.http.signed_in import signed_in
from tests.until import until

DAY = 86_400


class Clock:
    """The server's clock."""

    now = NOW + 100

    def __call__(self) -> float:
        return self.now


class Site:
    """A server with pages, its world and its clock."""

    def __init__(self, server: Running, world: World, clock: Clock) -> None:
        self.server = server
        self.world = world
        self.clock = clock

    def link(self, execution: str) -> str:
        """Path and query of a run's Details link."""
        parts = urlsplit(details.link("http://x", KEY, execution, NOW))
        return f"{parts.path}?{parts.query}"

    def page(self, execution: str) -> Answer:
        """A run's page."""
        return self.server.send("GET", self.link(execution))

    def live(self, execution: str, after: int = 0) -> Answer:
        """What an open run page requests, with the lines after the last one that it has."""
        path = self.link(execution).replace("?", "/live?")
        return self.server.send("GET", f"{path}&after={after}")


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """One server for all tests here."""
    world, clock = World(), Clock()
    with serving(views=world, clock=clock) as server:
        yield Site(server, world, clock)


@pytest.fixture
def site(shared: Site) -> Site:
    """The shared server at the usual time."""
    shared.clock.now = NOW + 100
    return shared


def test_a_link_opens_its_run(site: Site) -> None:
    """Verdict, subject, steps with their plans, log and delivery are on one page."""
    answer = site.page(page_world.failure(site.world))
    text = answer.body.decode()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for part in ("Failed", "acme/shop", "#17", "feature/basket", "6dcb09b5b5", "Still there", "preview-17-assets", "octo-dev", "400001", "its <code>if</code> is false", "DELETE_FAILED", "What to do", "closeout runs rerun "):  # fmt: skip
        assert part in text, part
    assert "<caption>" in text
    assert "http-equiv" not in text


@pytest.mark.parametrize("heard", ["webhook", "closed-list"])
def test_a_page_says_how_closeout_learned_of_its_event(site: Site, heard: str) -> None:
    """So that nobody searches GitHub for a delivery that was never sent."""
    text = site.page(site.world.add("heard", "finished", "success", heard=heard)).body.decode()
    assert f"<dt>Heard by</dt><dd>{heard}</dd>" in text


def test_an_open_page_refreshes_without_script(site: Site) -> None:
    """The refresh is in `noscript`: with script, the page requests only what has changed."""
    text = site.page(page_world.waiting(site.world)).body.decode()
    assert re.search(r'<noscript><meta http-equiv="refresh" content="\d+"></noscript>', text)
    assert "/live?" in text


@pytest.mark.parametrize(("lines", "after"), [((), 0), (((None, "a"), (None, "b")), 2)])
def test_an_open_page_without_lines_gets_all_of_them(
    site: Site, lines: tuple[tuple[str | None, str], ...], after: int
) -> None:
    """It has no last line to continue from."""
    execution = site.world.add("follow", "running", lines=lines)
    last = site.world.lines[ids.parse_execution(execution)[0]][-1].id if lines else 0
    assert f'data-after="{last}"' in site.page(execution).body.decode()
    assert (last > 0) is (after > 0)


def test_every_page_has_the_headers_that_protect_it(site: Site) -> None:
    """No referrer, no cache, no framing, no indexing; and no script runs but the one whose hash the page allows."""
    good, bad = site.page(page_world.success(site.world)), site.server.send("GET", "/runs/nothing")
    for answer in (good, bad):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"


def test_a_wrong_link_reveals_nothing(site: Site) -> None:
    """Without a link, with a wrong one, and for an unknown run, the 404 is the same byte for byte."""
    execution = page_world.success(site.world)
    run_id, _ = ids.parse_execution(execution)
    right = site.link(execution)
    other = site.link(f"{ids.run_id('nobody', 'x')}-1")
    paths = [f"/runs/{run_id}", f"/runs/{run_id}?signature=x", right[:-2], right.replace("attempt=1", "attempt=2"),
             other, site.link(f"{run_id}-9"), "/runs/", "/runs/x/y/z", f"/runs/{run_id}/live", "/runs/%2e%2e/x"]  # fmt: skip
    answers = [site.server.send("GET", path) for path in paths]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1
    assert site.server.send("GET", "/runs").status == 404


def test_an_expired_link_shows_the_verdict_only(site: Site) -> None:
    """410: no log, no plan, no names."""
    execution = page_world.failure(site.world)
    site.clock.now = NOW + 31 * DAY
    answer = site.page(execution)
    text = answer.body.decode()
    assert answer.status == 410
    assert "Failed" in text
    for part in ("preview", "acme", "stack", "octo"):
        assert part not in text.partition("<body>")[2]
    assert site.server.send("GET", site.link(execution).replace("?", "/live?")).status == 404


def test_a_public_repositorys_log_is_hidden(site: Site) -> None:
    """Steps are shown. Log lines and a step's last message are not, neither on the page nor in its updates."""
    world = site.world
    execution = world.add(
        "a",
        "finished",
        "success",
        payload=deliveries.pull_request(private=False),
        steps=(step("one", "success", summary="done here", public="done here"),),
        lines=(("one", "internal host db-7.corp"),),
    )
    text = site.page(execution).body.decode()
    assert "done here" in text
    assert "public-logs" in text
    assert "db-7.corp" not in text
    answer = site.live(execution)
    assert "db-7.corp" not in answer.body.decode()
    assert answer.json["again"] is None


def test_a_public_repositorys_scripts_are_hidden(site: Site) -> None:
    """Their plan, output, reason to wait and requester. The plan of a built-in action stays, even while it runs."""
    world = site.world
    script = page_world.change("run", "./drop db-7.corp", "with HOST=db-7.corp")
    steps = (
        step("one", "failure", uses="shell", summary="failed", reason="exit code 3: db-7.corp", public="exit code 3", changes=(script,)),
        step("two", "waiting", reason="two: no answer from db-7.corp", changes=page_world.PLAN),
        step("three", "success", uses="of/another-version", summary="db-7.corp", changes=(script,)),
    )  # fmt: skip
    said = {"summary": "one: exit code 3: db-7.corp", "public": "one: exit code 3"}
    public = deliveries.pull_request(private=False)
    execution = world.add("a", "waiting", payload=public, steps=steps, requested_by="root@db-7.corp", reason="root@db-7.corp asked to cancel it")  # fmt: skip
    pages = [site.page(execution).body.decode()]
    world.change(execution, state="finished", verdict="failure", **said)
    pages.append(site.page(execution).body.decode())
    pages.append("".join(map(str, site.live(execution).json.values())))
    for text in pages:
        assert "db-7.corp" not in text
        assert "exit code 3" in text
        assert "stack preview-17" in text
    assert pages[1].count("exit code 3") == 1
    assert "What to do" not in pages[1]


def test_public_logs_shows_them() -> None:
    """The configuration can make logs public."""
    world = World()
    execution = world.add("a", "finished", "success", payload=deliveries.pull_request(private=False), lines=((None, "a line"),))  # fmt: skip
    with serving(views=world, clock=Clock(), public_logs=True) as server:
        assert "a line" in Site(server, world, Clock()).page(execution).body.decode()


HOSTILE = "<img src=x onerror=alert(1)>'\"&</title><script>alert(2)</script>{{7*7}}"


def test_hostile_texts_are_escaped(site: Site) -> None:
    """Titles, branches, senders, log lines and resources, on the page and in its updates."""
    payload = deliveries.pull_request(title=HOSTILE, head=HOSTILE, base=HOSTILE, sender=HOSTILE)
    change = page_world.change("delete", HOSTILE, HOSTILE)
    execution = site.world.add(
        "a",
        "running",
        payload=payload,
        reason=HOSTILE,
        guid=HOSTILE,
        steps=(step("one", "failure", name=HOSTILE, reason=HOSTILE, left=({"resource": HOSTILE, "reason": HOSTILE},), changes=(change,)),),
        lines=(("one", HOSTILE), (None, "\x1b[31m" + HOSTILE + "\u202e")),
    )  # fmt: skip
    text = site.page(execution).body.decode()
    assert "<img" not in text
    assert text.count("<script") == 1
    assert "49" not in re.sub(r"[^ ]*sha256[^ ]*", "", text.split("<body>")[1])
    assert "\x1b" not in text
    assert "\u202e" not in text
    site.world.change(execution, state="finished", verdict="success", summary=HOSTILE)
    asked = "".join(map(str, site.live(execution).json.values()))
    assert "<img" not in asked
    assert "<script" not in asked


def test_an_open_page_gets_only_what_is_new(site: Site) -> None:
    """Lines after its last one, the run's state, and whether to ask again."""
    execution = site.world.add(
        "a",
        "finished",
        "success",
        summary="all gone",
        steps=(step("one", "success"),),
        lines=tuple((None, f"line {number}") for number in range(1, 6)),
    )
    told = site.live(execution, 3).json
    assert "line 4" in told["log"]
    assert "line 3" not in told["log"]
    assert "all gone" in told["banner"]
    assert (told["after"], told["again"]) == (5, None)
    told = site.live(execution, 5).json
    assert (told["log"], told["after"]) == ("", None)
    assert site.live(site.world.add("b", "running")).json["again"] == 1


def test_a_long_log_shows_its_end(site: Site) -> None:
    """The last two thousand lines, and how to read the others."""
    execution = site.world.add(
        "a", "finished", "success", lines=tuple((None, f"line-{n}.") for n in range(2500))
    )
    text = site.page(execution).body.decode()
    assert "line-2499." in text
    assert "line-499." not in text
    assert "(500 earlier)" in text


def test_the_links_of_a_long_log_page_through_all_of_it(site: Site) -> None:
    """From the newest window to the first line and back; a window in the middle does not follow the run."""
    execution = site.world.add("a", "running", lines=tuple((None, f"line-{n}.") for n in range(4500)))
    path: str | None = site.link(execution)
    seen: list[str] = []
    while path is not None:
        text = site.server.send("GET", path).body.decode()
        lines = re.findall(r"line-\d+\.", text)
        assert len(lines) <= 2000
        assert ("data-after" in text) is (path == site.link(execution))
        assert ("Show the newest lines" in text) is (path != site.link(execution))
        seen = lines + seen
        link = re.search(r'href="(\?[^"]*before=[^"]*)"', text)
        path = site.link(execution).partition("?")[0] + html.unescape(link[1]) if link else None
    assert seen == [f"line-{n}." for n in range(4500)]


def test_a_payload_is_decoded_once_for_all_reads_of_its_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have 25 MB, and each open page reads its run once a second."""
    read: list[object] = []
    real = site.world.body

    def counted(delivery: DeliveryId) -> bytes:
        read.append(delivery)
        return real(delivery)

    monkeypatch.setattr(site.world, "body", counted)
    execution = page_world.success(site.world)
    assert site.page(execution).body.decode() == site.page(execution).body.decode()
    site.live(execution)
    assert len(read) == 1


def test_an_open_page_catches_up_a_window_at_a_time(site: Site) -> None:
    """A page that was away while thousands of lines came gets every line, and asks until it has the last."""
    lines = tuple((None, f"line-{n}.") for n in range(4500))
    execution = site.world.add("a", "finished", "success", lines=lines)
    told = [site.live(execution, 100).json]
    while told[-1]["again"] is not None:
        assert told[-1]["again"] == 0
        told.append(site.live(execution, told[-1]["after"]).json)
    assert [part["log"].count("<li id=") for part in told] == [2000, 2000, 400]
    assert re.findall(r"line-\d+\.", "".join(part["log"] for part in told)) == [
        f"line-{n}." for n in range(100, 4500)
    ]


def test_a_search_shows_the_lines_that_contain_it(site: Site) -> None:
    """In the whole log, ignoring case, without script; the search text is escaped."""
    lines = tuple(("stack", f"line-{n} <b>" + ("Denied" if n % 1000 == 7 else "")) for n in range(4500))
    execution = site.world.add("a", "running", lines=lines)
    text = site.server.send("GET", f"{site.link(execution)}&search=%20DENIED").body.decode()
    assert re.findall(r"line-(\d+) &lt;b&gt;<mark>Denied</mark>", text) == [
        "7",
        "1007",
        "2007",
        "3007",
        "4007",
    ]
    assert "5 lines contain “DENIED”" in text
    assert "data-after" not in text, "a search does not follow the run"
    assert all(f'name="{name}"' in text for name in ("attempt", "expires", "signature", "search"))
    none = site.server.send("GET", f"{site.link(execution)}&search={quote(HOSTILE)}").body.decode()
    assert "0 lines contain" in none
    assert "<img" not in none


def test_a_search_of_a_long_log_has_pages(site: Site) -> None:
    """The link to earlier lines keeps the search."""
    lines = tuple((None, f"line-{n}. x") for n in range(2500))
    execution = site.world.add("a", "finished", "success", lines=lines)
    text = site.server.send("GET", f"{site.link(execution)}&search=x").body.decode()
    link = re.search(r'href="(\?[^"]*before=[^"]*)"', text)
    assert link
    assert link[1].endswith("&amp;search=x")
    earlier = site.server.send(
        "GET", site.link(execution).partition("?")[0] + html.unescape(link[1])
    ).body.decode()
    assert re.findall(r"line-\d+\.", earlier) == [f"line-{n}." for n in range(500)]


def test_the_hidden_log_of_a_public_repository_cannot_be_searched(site: Site) -> None:
    """What a search finds would reveal the log."""
    payload = deliveries.pull_request(private=False)
    execution = site.world.add("a", "finished", "success", payload=payload, lines=((None, "db-7"),))
    plain = site.page(execution).body
    assert b'name="search"' not in plain
    assert site.server.send("GET", f"{site.link(execution)}&search=db-7").body.count(b"<mark>") == 0


def test_attempts_link_to_each_other(site: Site) -> None:
    """A run's link opens its other attempts until it expires, and says which attempt came later."""
    first = page_world.again(site.world)
    text = site.page(first).body.decode()
    assert "A later attempt has this result" in text
    assert "closeout runs rerun" not in text, "the later attempt was the rerun"
    link = re.search(r'<a href="(\?attempt=2[^"]*)">Attempt 2</a>', text)
    assert link
    assert (
        parse_qs(link[1].lstrip("?").replace("&amp;", "&"))["expires"]
        == parse_qs(site.link(first))["expires"]
    )
    second = site.server.send("GET", site.link(first).partition("?")[0] + html.unescape(link[1]))
    assert second.status == 200
    assert '<strong aria-current="page">Attempt 2</strong>' in second.body.decode()
    assert "A later attempt" not in second.body.decode()


def test_the_newest_ten_attempts_are_listed(site: Site) -> None:
    """Each with its verdict or its state, the oldest first."""
    run_id, _ = ids.parse_execution(site.world.add("a", "finished", "failure"))
    for attempt in range(2, 12):
        state, verdict = ("running", None) if attempt == 11 else ("finished", "success")
        site.world.add("a", state, verdict, run_id=run_id, attempt=attempt)
    text = site.page(f"{run_id}-11").body.decode()
    assert re.findall(r"Attempt (\d+)<", text) == [str(attempt) for attempt in range(2, 12)]
    assert (text.count("Succeeded"), text.count("Failed")) == (9, 0)


def test_a_public_repositorys_run_does_not_show_its_calls(site: Site) -> None:
    """Its timeline has only what the page shows elsewhere: when steps began and ended."""
    execution = page_world.failure(site.world)
    (number,) = [run.delivery for run in site.world.runs.values() if run.execution == execution]
    site.world.bodies[number] = deliveries.encode(deliveries.pull_request(private=False), form=False)
    text = site.page(execution).body.decode().partition("<body>")[2]
    assert "Time line" in text
    for part in ("looked 12 times", "Survived a crash", "Grace", "at most", "console.aws"):
        assert part not in text, part


@pytest.mark.parametrize("before", ["0", "-1", "x", "9" * 16, "1e3", "%20", "٣"])
def test_an_invalid_window_is_the_newest(site: Site, before: str) -> None:
    """A number after the last line shows the end, one before the first line an empty window."""
    execution = site.world.add("a", "finished", "success", lines=((None, "line-1."),))
    text = site.server.send("GET", f"{site.link(execution)}&before={quote(before)}").body.decode()
    assert ("line-1." in text) is (before != "0")


def test_a_run_whose_payload_is_unreadable_still_has_a_page(site: Site) -> None:
    """What the ledger knows of the run is shown, without the log: it might belong to a public repository."""
    execution = page_world.success(site.world)
    (number,) = [run.delivery for run in site.world.runs.values() if run.execution == execution]
    site.world.bodies[number] = b"nonsense"
    text = site.page(execution).body.decode()
    assert "Succeeded" in text
    assert "emptied" not in text


def test_a_links_signature_never_reaches_the_log(site: Site) -> None:
    """The access log has the path and `[redacted]`."""
    execution = page_world.success(site.world)
    signature = site.link(execution).rpartition("=")[2]
    site.page(execution)
    until("its line", lambda: any(execution.partition("-")[0] in line for line in site.server.log))
    assert not any(signature in line for line in site.server.log)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_signed_link_only_reads(site: Site, method: str) -> None:
    """A visitor with a link can send nothing."""
    assert site.server.send(method, site.link(page_world.success(site.world))).status == 404


def test_an_attempt_has_a_link_of_its_own(site: Site) -> None:
    """A rerun's page says which attempt it is, and who asked for it."""
    execution = site.world.add("again", "queued", attempt=2, requested_by="alex", reason="queued behind x for the concurrency key 17")  # fmt: skip
    text = site.page(execution).body.decode()
    for part in ("attempt 2", "requested by alex", "Queued", "queued behind x"):
        assert part in text


def test_an_operator_is_offered_the_actions_of_a_run() -> None:
    """Rerun after a failure, cancel while it runs; a reader learns who can do it, and gets no such link."""
    with action_site() as site:
        ended, going = site.store.finished("ended"), site.store.queued("going")
        operator = {run: site.get(f"/runs/{run}").body.decode() for run in (ended, going)}
        assert f'href="/runs/{ended}/rerun"' in operator[ended]
        assert f'href="/runs/{going}/cancel"' in operator[going]
        assert "/cancel" not in operator[ended]
        assert "/rerun" not in operator[going]
        for run in (ended, going):
            text = site.get(f"/runs/{run}", "reader").body.decode()
            assert not re.search(r'href="[^"]*/(rerun|cancel)"', text)
        assert (
            "You may only read here; a person who may act can do this"
            in site.get(f"/runs/{ended}", "reader").body.decode()
        )
        link = urlsplit(details.link("http://x", KEY, f"{ended}-1", time.time()))
        anybody = site.server.send("GET", f"{link.path}?{link.query}").body.decode()
        assert "To sign in, run <code>closeout open</code> on the server" in anybody
        assert not re.search(r'href="[^"]*/(rerun|cancel)"', anybody)


def test_a_session_shows_a_public_repositorys_whole_run() -> None:
    """Its log, timeline and advice; links to other pages include the base path."""
    with signed_in(base="https://ops.example/closeout") as site:
        execution = page_world.failure(site.world)
        run_id, _ = ids.parse_execution(execution)
        (number,) = [run.delivery for run in site.world.runs.values() if run.execution == execution]
        site.world.bodies[number] = deliveries.encode(deliveries.pull_request(private=False), form=False)
        text = site.text(f"/runs/{run_id}")
        for part in (
            "DELETE_FAILED: bucket",
            "looked 12 times",
            "What to do",
            "console.aws.amazon.com",
            "closeout permissions",
        ):
            assert part in text, part
        assert '<a href="/closeout/runs">Runs</a>' in text
        assert 'href="/closeout/pull-requests/acme/shop/17"' in text
        assert "This link opens this run only" not in text
        assert "<mark>DELETE_FAILED</mark>" in site.text(f"/runs/{run_id}?attempt=1&search=delete_failed")
        assert '<a href="?attempt=1">Show the whole log</a>' in site.text(f"/runs/{run_id}?search=x")
