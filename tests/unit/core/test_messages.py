"""The texts of messages: each kind, one problem and many, and their links."""

from __future__ import annotations

from closeout.core.messages import LONGEST, SHOWN, Links, Text, text
from closeout.core.problems import Message, Problem
from closeout.core.units import DAY

SINCE = 5 * DAY
LINKS = Links(lambda execution: f"https://c.example/b/runs/{execution}", "https://c.example/b")
ORPHANS = Problem(
    "teardown", "5/7/x", "orphans", "nothing has deleted it", "nothing has deleted it", SINCE,
    left=("a", "b"), public_left=("a", "b"), repository="acme/shop", number=17, login="ada",
)  # fmt: skip
FAILED = ORPHANS._replace(kind="failure", execution="abc-1", step="stack", left=(), public_left=())
STALE = Problem("", "patrol/lists", "stale", "patrol has not ended", "", SINCE)


def words(event: str, *problems: Problem, links: Links = LINKS, now: float = SINCE) -> Text:
    """Return the words about problems."""
    return text(Message("env:A", event, problems), links, str, now)  # type: ignore[arg-type]


def test_orphans() -> None:
    """Their pull request, that they are left, and the command that deletes them."""
    assert words("orphans", ORPHANS, now=SINCE + 2 * DAY) == Text(
        "closeout: left behind by acme/shop#17",
        "acme/shop#17, a pull request by ada\nWhat is left: a, b\nWhy: nothing has deleted it (for 48 h)\n"
        "https://c.example/b/orphans\nTo do: clean it up there (sign in with `closeout open`) or with `closeout orphans --clean`.",
    )


def test_closeout_itself_needs_attention() -> None:
    """What is late, for how long, and where to look."""
    assert words("stale", STALE, now=SINCE + 2 * DAY) == Text(
        "closeout needs you: patrol has not ended",
        "Why: patrol has not ended (for 48 h)\nhttps://c.example/b/health\n"
        "To do: run `closeout doctor` on the server, and follow what it says.",
    )


def test_text_that_a_chat_would_turn_into_a_link_is_escaped() -> None:
    """A link with its own text hides its target."""
    one = FAILED._replace(public="see <https://evil.example|the run> or [the run](https://evil.example)")
    body = words("failure", one).body
    assert "<\u200bhttps://evil.example|the run>" in body
    assert "[the run]\u200b(https://evil.example)" in body


def test_recoveries() -> None:
    """What is gone, or why it no longer matters."""
    bodies = [
        words("recovered", one._replace(closed_at=1.0, closed_by=by)).body.splitlines()[1]
        for one, by in ((ORPHANS, "patrol"), (FAILED, "patrol"), (FAILED, "abc-2"), (FAILED, "reopened"))
    ]
    assert bodies == [
        "a, b are gone now",
        "nothing is left now",
        "teardown has succeeded now",
        "the pull request is open again",
    ]
    assert words("recovered", STALE._replace(closed_at=1.0, closed_by="patrol")).body.startswith(
        "this is over: patrol has not ended"
    )


def test_many_causes_together() -> None:
    """How many are open, how many recovered, and where the list is."""
    over = FAILED._replace(closed_at=1.0, closed_by="abc-2")
    said = words("many", *[FAILED] * 11, over, STALE)
    assert said.title == "closeout: 12 more problems, 1 repaired"
    assert said.body.splitlines()[SHOWN : SHOWN + 2] == ["and 3 more", "https://c.example/b/"]
    most = words("many", over, *[FAILED] * (SHOWN - 1)).body.splitlines()
    assert most[0] == "acme/shop#17 (ada): teardown has succeeded now"
    assert most[SHOWN] == "https://c.example/b/", "none is left to count"


def test_a_run_of_another_event_and_a_server_without_a_url() -> None:
    """No pull request, no link; the command stays."""
    other = FAILED._replace(number=None, login=None, repository="acme/shop")
    said = words("failure", other, links=Links(lambda _execution: None, None))
    assert said.title == "closeout: teardown failed for acme/shop, step stack"
    assert said.body.splitlines() == [
        "acme/shop",
        "Why: nothing has deleted it",
        "To do: Remove the cause. Then rerun it with `closeout runs rerun abc`.",
    ]
    own = words(
        "failure",
        other._replace(private=True, code="wrong-account"),
        links=Links(lambda _execution: None, None),
    )
    assert own.body.splitlines()[2].startswith("To do: Give closeout the credentials of the account")
    page_alone = words("failure", other, links=LINKS._replace(base=None)).body.splitlines()
    assert page_alone[2:] == [
        "https://c.example/b/runs/abc-1",
        "To do: Remove the cause. Then rerun it with `closeout runs rerun abc`.",
    ]
    denied = FAILED._replace(private=True, text="stack: AccessDenied")
    assert "To do: Allow what the message names" in words("failure", denied, denied).body
    assert "To do: Remove the cause. Then rerun each." in words("many", denied, other).body
    assert words("failure", other, other).title == "closeout: teardown failed for 2 problems, step stack"


def test_a_line_is_short_and_never_broken() -> None:
    """Whatever the name of a stack contains."""
    said = words("orphans", ORPHANS._replace(public_left=("a\nb" * 500,)))
    assert all(len(line) <= LONGEST for line in said.body.splitlines())
    assert len(said.body.splitlines()) == 5


def test_a_message_mentions_nobody() -> None:
    """Names may be an outsider's, and a chat would notify everybody."""
    said = words(
        "orphans", ORPHANS._replace(public_left=("pr-@everyone", "<!channel>", "<@U1>", "ada@example.com"))
    )
    assert said.body.splitlines()[1] == (
        "What is left: pr-@\u200beveryone, <\u200b!\u200bchannel>, <\u200b@U1>, ada@example.com"
    )


def test_a_lasting_problem_can_be_dismissed_and_names_who_did() -> None:
    """Otherwise it would be reported forever."""
    run = "abcdefghijklmnopqrstuvwxyz"
    lasting = FAILED._replace(execution=f"{run}-1")
    assert words("failure", lasting, now=SINCE + DAY - 1).body.count("dismiss") == 0
    assert words("failure", lasting, now=SINCE + DAY).body.endswith(f"`closeout runs dismiss {run}`.")
    over = lasting._replace(closed_at=1.0, closed_by="dismissed by ada: by hand")
    assert words("recovered", over).title == "closeout: dismissed: acme/shop#17"
    assert words("recovered", over).body.splitlines()[1:] == [
        "dismissed by ada: by hand",
        f"https://c.example/b/runs/{run}-1",
    ]
