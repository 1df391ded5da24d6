"""What every page says over one world, as text: a crawl from the overview.

`python -m tests.contract.http.page_texts` writes it into `page_texts.txt`. Read the difference before you commit it,
with the eyes of an operator in the middle of an incident.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from closeout.core.problems import Problem
from closeout.ports import DayTally
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World
from tests.contract.http.signed_in import SignedIn, signed_in

KEPT = Path(__file__).with_name("page_texts.txt")
ENTRIES = (
    "/",
    "/runs?verdict=failure&search=x",
    "/runs?since=2020-01-01",
    "/nothing",
    "/runs?nonsense=1",
    *(f"/pull-requests/acme/shop/{number}" for number in (21, 22, 23, 99)),
    "/runs?repository=acme/shop&pull-request=21",
    "/runs?automation=queued",
    *(
        f"/api/{name}"
        for name in (
            "runs",
            "overview",
            "deliveries",
            "pull-requests/acme/shop/17",
            "runs?limit=0",
        )
    ),
)
MOST = 60


def fill(world: World) -> None:
    """Add runs of every kind, days, a pause and problems."""
    for kind in ("success", "failure", "again", "waiting", "running"):
        getattr(page_world, kind)(world)
    for number, kind in ((21, "running"), (22, "success"), (23, "waiting")):
        world.change(getattr(page_world, kind)(world), number=number)
    world.add("queued", "queued", reason="behind another")
    world.add("cancelled", "finished", "cancelled", summary="acme/shop#18 is open again", number=18)
    world.add(
        "skipped", "finished", "skipped", summary="its `if` is false", repository="acme/web", number=None
    )
    world.tallies = [DayTally(f"2026-09-{day:02d}", day, day % 3, day % 2, 1) for day in range(10, 22)]
    world.pause = "by ada: upgrade"
    failed = next(run for run in world.runs.values() if run.verdict == "failure")
    world.problems = [
        Problem(failed.automation, "1/2/x", "failure", "stack: AccessDenied", "failed", NOW - 90, "service-error", "stack",
                ("preview-17",), repository="acme/shop", number=17, login="octo-dev", execution=failed.execution),
        Problem("other", "1/3/x", "failure", "denied", "failed", NOW - 86_400 * 3, repository="acme/shop", number=18),
        Problem("other", "1/4/x", "failure", "denied", "failed", NOW - 3_600, repository="acme/shop", number=19),
        Problem("clean", "1/5/x", "orphans", "2 stacks", "2 resources", NOW - 3_600, left=("a", "b"), repository="acme/shop", number=20),
        Problem("", "patrol", "stale", "patrol was silent", "patrol was silent", NOW - 7_200),
    ]  # fmt: skip


def text_of(body: str) -> list[str]:
    """Return what a page says, a line for each piece, with the targets of its links and forms."""
    body = re.sub(r"(?s)<(script|style|svg).*?</\1>", "", body)
    body = re.sub(
        r"&#34;(updated|closed)_at&#34;: &#34;[^&]*&#34;", r"\1", body
    )  # a payload is made when it is read
    body = re.sub(r'(?s)<input type="hidden" name="form_token"[^>]*>', "", body)
    body = re.sub(r'<(?:a|form)\b[^>]*?(?:href|action)="([^"]*)"[^>]*>', r"\n[\1] ", body)
    body = re.sub(r"<(?:/?(?:a|abbr|b|code|em|small|span|strong|time|wbr)\b[^>]*)>", " ", body)
    lines = (
        " ".join(html.unescape(line).split()) for line in re.sub(r"(?s)<[^>]*>", "\n", body).splitlines()
    )
    return [re.sub(r"\?v=\w+", "", line) for line in lines if line]


def crawl(site: SignedIn) -> Iterator[tuple[str, int, str]]:
    """Yield path, status and HTML of every page that can be reached, the nearest first."""
    waiting, seen = list(ENTRIES), set(ENTRIES)
    while waiting and len(seen) - len(waiting) < MOST:
        path = waiting.pop(0)
        answer = site.get(path)
        body = answer.body.decode("utf-8", "replace")
        yield path, answer.status, body if path == "/" else body[max(body.find("<main"), 0) :]
        for found in map(html.unescape, re.findall(r'href="(/[^"#]*)', body)):
            name = found.partition("?")[0]
            if found in seen or name.startswith(("/static", "/docs")) or "." in name or "&" in found:
                continue
            if sum(one.startswith("/deliveries/") for one in seen) < 2 or not name.startswith("/deliveries/"):
                seen.add(found)
                waiting.append(found)


def told() -> str:
    """Return everything that the pages say."""
    with signed_in() as site:
        fill(site.world)
        found = [f"\n== {path} {status}\n" + "\n".join(text_of(body)) for path, status, body in crawl(site)]
    return "\n".join(found).lstrip() + "\n"


if __name__ == "__main__":
    KEPT.write_text(told(), "utf-8")
