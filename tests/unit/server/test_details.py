"""A Details link opens one run for 30 days, and cannot be turned into another link."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core import ids
from closeout.core.errors import UsageError
from closeout.server import details

KEY = b"k" * 32
RUN = ids.run_id("guid", "cleanup")
NOW = 1_790_000_000.5


def query_of(url: str) -> str:
    """The query of a link."""
    return urlsplit(url).query


def test_a_link_is_good_for_its_run_and_attempt() -> None:
    """What was made is accepted, and says which attempt it is for."""
    url = details.link("https://closeout.example.com/", KEY, f"{RUN}-3", NOW)
    assert url.startswith(f"https://closeout.example.com/runs/{RUN}?attempt=3&expires=")
    link = details.check(KEY, RUN, query_of(url), NOW + 60)
    assert link is not None
    assert (link.run_id, link.attempt, link.expired, link.query) == (RUN, 3, False, query_of(url))


def test_a_base_address_may_have_a_path() -> None:
    """A proxy may have closeout below a path."""
    assert details.link("https://x.example/tools", KEY, f"{RUN}-1", NOW).startswith(
        "https://x.example/tools/runs/"
    )


def test_a_link_expires_after_thirty_days() -> None:
    """Expired is not wrong: the page then says the verdict only."""
    query = query_of(details.link("http://x", KEY, f"{RUN}-1", NOW))
    expires = int(NOW) + 30 * 86_400
    before = details.check(KEY, RUN, query, expires - 0.001)
    after = details.check(KEY, RUN, query, expires)
    assert before is not None
    assert after is not None
    assert (before.expired, after.expired) == (False, True)


@pytest.mark.parametrize("part", ["attempt", "expires", "signature"])
def test_a_changed_part_makes_the_link_wrong(part: str) -> None:
    """Neither another attempt nor a later expiry can be had with the same signature."""
    query = query_of(details.link("http://x", KEY, f"{RUN}-1", NOW))
    pairs = dict(pair.split("=", 1) for pair in query.split("&"))
    for value in ("2", "1" + pairs[part], "", pairs[part].swapcase() + "A"):
        changed = "&".join(f"{name}={value if name == part else kept}" for name, kept in pairs.items())
        assert details.check(KEY, RUN, changed, NOW) is None


def test_another_run_or_key_makes_the_link_wrong() -> None:
    """A signature belongs to one run of one ledger."""
    query = query_of(details.link("http://x", KEY, f"{RUN}-1", NOW))
    assert details.check(KEY, ids.run_id("guid", "other"), query, NOW) is None
    assert details.check(b"x" * 32, RUN, query, NOW) is None


def test_a_part_given_twice_makes_the_link_wrong() -> None:
    """What counts must not depend on which of two a reader takes."""
    query = query_of(details.link("http://x", KEY, f"{RUN}-1", NOW))
    for more in ("&attempt=1", "&attempt="):
        assert details.check(KEY, RUN, query + more, NOW) is None


def test_a_link_leads_to_the_other_attempts_at_its_run() -> None:
    """For as long as it works itself; somebody who is signed in needs no signature."""
    link = details.check(KEY, RUN, query_of(details.link("http://x", KEY, f"{RUN}-3", NOW)), NOW)
    assert link is not None
    other = details.check(KEY, RUN, details.query_of(KEY, link, 2), NOW)
    assert other is not None
    assert (other.attempt, other.expires) == (2, link.expires)
    assert details.query_of(KEY, link._replace(whole=True), 2) == "attempt=2"


@pytest.mark.parametrize(("text", "line"), [("0", 0), ("12", 12), ("", None), ("-1", None), ("1" * 16, None)])
def test_the_id_of_a_log_line_is_a_number(text: str, line: int | None) -> None:
    """Anything else is none."""
    assert details.line_id(text) == line


def test_a_link_needs_an_executions_name() -> None:
    """A run id alone has no attempt."""
    with pytest.raises(UsageError):
        details.link("http://x", KEY, RUN, NOW)


@given(st.text(max_size=60), st.text(max_size=120))
def test_any_text_is_a_wrong_link(run_id: str, query: str) -> None:
    """Whatever is typed, the answer is None and never an error."""
    assert details.check(KEY, run_id, query, NOW) is None


def test_a_signature_is_kept_out_of_logs() -> None:
    """Who reads the log must not be able to open the page."""
    query = query_of(details.link("http://x", KEY, f"{RUN}-1", NOW))
    signature = query.rpartition("=")[2]
    assert signature not in details.redacted(query + "&after=1")
    assert details.redacted("a=1&signature=x&b=2") == "a=1&signature=[redacted]&b=2"
    encoded = query.replace("signature=", "%73ignature=")
    assert details.check(KEY, RUN, encoded, NOW) is not None
    assert signature not in details.redacted(encoded)
    assert details.redacted("c%6Fde=x") == "c%6Fde=[redacted]"
