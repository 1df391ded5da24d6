"""The JSON API over a real ledger, as a program with a read token sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from closeout.ports.access import READ, TOKEN
from tests.contract.http.access_world import RUN, Walk, walking
from tests.unit.ledger.sqlite.conftest import delivery as new_delivery
from tests.unit.ledger.sqlite.conftest import new_run


class Client:
    """Asks with a token."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self._headers = {"Authorization": f"Bearer {walk.credential(TOKEN, READ)}"}

    def ask(self, path: str, status: int = 200) -> Any:
        """Return the JSON of an answer with this status."""
        answer = self.walk.send("GET", path, headers=self._headers)
        assert answer.status == status, answer.body
        assert answer.headers["content-type"] == "application/json"
        return json.loads(answer.body)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One server for all tests: it has two deliveries with one run each."""
    with walking(tmp_path_factory.mktemp("api")) as walk:
        later = new_delivery("g2")._replace(number=18)
        walk.runtime.ledger.accept_wait(later, [new_run("another", "other")])
        yield Client(walk)


def test_a_program_without_a_token_learns_what_to_send(api: Client) -> None:
    """From the `WWW-Authenticate` header, which no other refusal has."""
    accept = {"Accept": "application/json"}
    refused = api.walk.send("GET", "/api/runs", headers=accept)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    token = {"Authorization": f"Bearer {api.walk.credential(TOKEN, READ)}"}
    refused = api.walk.send("POST", "/pause", headers=accept | token)
    assert (refused.status, "www-authenticate" in refused.headers) == (403, False)


def test_runs_come_in_pages(api: Client) -> None:
    """`next` leads to the older ones, `previous` back; times are ISO 8601."""
    every = api.ask("/api/runs")
    assert (every["next"], every["previous"]) == (None, None)
    assert RUN in [run["id"] for run in every["runs"]]
    assert every["runs"][0]["accepted_at"].endswith("Z")
    first = api.ask("/api/runs?limit=1")
    second = api.ask(f"/api/runs?limit=1&cursor={first['next']}")
    assert [*first["runs"], *second["runs"]] == every["runs"][:2]
    assert api.ask(f"/api/runs?limit=1&cursor={second['previous']}")["runs"] == first["runs"]


def test_lists_take_the_filters_of_the_pages(api: Client) -> None:
    """Each alone and all together; an empty filter filters nothing."""
    (run,) = api.ask("/api/runs?automation=canary-cleanup&repository=acme%2Fshop&state=&limit=1")["runs"]
    assert (run["automation"], run["repository"]) == ("canary-cleanup", "acme/shop")
    assert api.ask("/api/runs?repository=acme%2Fother")["runs"] == []
    (delivery,) = api.ask("/api/deliveries?guid=g1")["deliveries"]
    assert (delivery["guid"], delivery["runs"]) == ("g1", [RUN])
    assert api.ask("/api/deliveries?event=ping")["deliveries"] == []


@pytest.mark.parametrize(
    "query",
    ["colour=red", "verdict=good", "since=yesterday", "limit=0", "limit=x", "cursor=x", "state=&state="],
)
def test_a_bad_filter_is_refused_with_a_stable_code(api: Client, query: str) -> None:
    """The message says which values are accepted."""
    refused = api.ask(f"/api/runs?{query}", 400)
    assert refused["error"] == "bad-filter"
    assert refused["message"]


def test_a_delivery_has_its_reasons(api: Client) -> None:
    """One for each configured automation; here there is none."""
    (listed,) = api.ask("/api/deliveries?guid=g1")["deliveries"]
    told = api.ask(f"/api/deliveries/{listed['id']}")
    assert json.loads(told.pop("payload"))["number"] == 17
    assert told == {**listed, "automations": [], "payload_is_cut": False}
    for missing in ("999", "x", "9" * 30):
        assert api.ask(f"/api/deliveries/{missing}", 404)["error"] == "not-found"


def test_the_overview_is_available_as_json(api: Client) -> None:
    """What waits, when the last delivery came, and the outcome of closings by day."""
    told = api.ask("/api/overview")
    assert (told["running_count"], told["paused"], told["needs"]) == (2, None, [])
    assert {run["state"] for run in told["running"]} == {"queued"}
    assert told["last_delivery"].endswith("Z")
    assert (told["last_patrol"], told["days"]) == (None, [])


def test_a_run_and_a_pull_request_are_complete(api: Client) -> None:
    """A run with its steps; a pull request with everything known about it."""
    run = api.ask(f"/api/runs/{RUN}")
    assert (run["id"], run["attempt"]) == (RUN, 1)
    assert api.ask(f"/api/runs/{RUN}?attempt=1") == run
    assert api.ask("/api/runs/nothing", 404)["error"] == "not-found"
    assert api.ask(f"/api/runs/{RUN}?attempt=7", 404)["error"] == "not-found"
    story = api.ask(f"/api/pull-requests/{run['repository']}/{run['number']}")
    assert (story["repository"], story["number"]) == (run["repository"], run["number"])
    assert {"delivery", "queued"} <= {entry["kind"] for entry in story["entries"]}
    assert story["entries"][0]["at"].endswith("Z")
    for path in ("acme/shop/999", "acme/other/1", "acme/shop/x", "acme/shop/" + "9" * 40):
        assert api.ask(f"/api/pull-requests/{path}", 404)["error"] == "not-found"
