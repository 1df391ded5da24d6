"""The headers of a delivery."""

from __future__ import annotations

import pytest

from closeout.core.delivery import Headers, read_headers
from closeout.core.errors import BadDelivery

GITHUB = {
    b"x-github-event": b"pull_request",
    b"x-github-delivery": b"72d3162e-cc78-11e3-81ab-4c9367dc0958",
    b"x-github-hook-id": b"292430182",
    b"x-github-hook-installation-target-type": b"repository",
    b"x-github-hook-installation-target-id": b"79929171",
    b"content-type": b"application/json",
}


def read(**changed: bytes | None) -> Headers:
    """Read GitHub's headers with some changed; None removes one."""
    headers = dict(GITHUB)
    for name, value in changed.items():
        key = name.replace("_", "-").encode()
        headers.pop(key, None)
        if value is not None:
            headers[key] = value
    return read_headers(headers.get)


def test_githubs_headers_are_read() -> None:
    """Event, GUID and hook are as GitHub sent them."""
    assert read() == Headers("pull_request", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "292430182", form=False)


def test_without_a_hook_id_the_target_identifies_the_hook() -> None:
    """Duplicates are detected per hook, so something must identify it; without both it is `unknown`."""
    assert read(x_github_hook_id=None).hook == "repository:79929171"
    assert read(x_github_hook_id=b"").hook == "repository:79929171"
    assert read(x_github_hook_id=None, x_github_hook_installation_target_id=None).hook == "unknown"
    assert read(x_github_hook_id=None, x_github_hook_installation_target_type=None).hook == "unknown"


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (b"application/x-www-form-urlencoded", True),
        (b"application/x-www-form-urlencoded; charset=utf-8", True),
        (b"Application/X-WWW-Form-Urlencoded", True),
        (b"application/json; charset=utf-8", False),
        (b"text/plain", False),
        (b"", False),
        (None, False),
        (b"\xff", False),
    ],
)
def test_a_form_is_recognized_by_its_content_type(kind: bytes | None, form: bool) -> None:
    """Anything that is not a form is treated as JSON and checked as such."""
    assert read(content_type=kind).form is form


@pytest.mark.parametrize("event", [b"invented_by_github", b"A", b"x" * 255])
def test_unknown_events_are_accepted(event: bytes) -> None:
    """GitHub adds events without notice."""
    assert read(x_github_event=event).event == event.decode()


@pytest.mark.parametrize(
    "value", [b"\xff", "é".encode(), b"x" * 256, b"a b", b"a\tb", b"a\x00b", b"a\nb", b"\x7f", b"a\x1b[31m"]
)
@pytest.mark.parametrize("name", ["x_github_event", "x_github_delivery", "x_github_hook_id"])
def test_headers_that_are_not_plain_ascii_are_refused(name: str, value: bytes) -> None:
    """These values become identifiers: printable ASCII without spaces, at most 255 characters."""
    with pytest.raises(BadDelivery) as caught:
        read(**{name: value})
    assert "X-GitHub" in caught.value.message
    assert caught.value.status == 400


@pytest.mark.parametrize("value", [None, b"", b"  "])
@pytest.mark.parametrize(("name", "shown"), [("x_github_event", "Event"), ("x_github_delivery", "Delivery")])
def test_a_missing_header_is_named(name: str, shown: str, value: bytes | None) -> None:
    """The answer says which header is missing."""
    with pytest.raises(BadDelivery, match=f"X-GitHub-{shown} is missing"):
        read(**{name: value})
