"""What the checks of the token request, and how much of its limit they may use."""

from __future__ import annotations

from tests.unit.checks.scene import REPOSITORIES, Scene


def test_a_drill_does_not_use_up_a_tokens_limit(whole: Scene) -> None:
    """Reads stop at half of the remaining calls, and what was not read is unknown."""
    whole.github.remaining = 506  # six more than the reserve for runs
    found = whole.results()
    asked = [one["path"] for one in whole.github.requests() if one["path"].startswith("/repos/")]
    assert found["github-limit"].ok is True
    assert found["github-deployments"].result.state == "unknown"
    assert "are kept for runs" in found["github-deployments"].result.what
    assert [path for path in asked if path.endswith("/deployments")] == []


def test_a_missing_answer_is_requested_again(whole: Scene) -> None:
    """One error of GitHub's makes no finding."""
    whole.github.faults.add("status", path="/repos/acme/site", status=502, times=2)
    assert whole.results()["github-repositories"].ok is True


def test_the_clock_of_a_server_without_limits_is_compared_too(whole: Scene) -> None:
    """GitHub Enterprise Server may answer 404 to the request for the limit."""
    whole.github.faults.add("status", path="/rate_limit", status=404, times=0)
    found = whole.results()
    assert [found[name].ok for name in ("github-api", "github-token", "clock")] == [True] * 3
    assert "GitHub" in found["clock"].result.what
    assert found["github-limit"].result.state == "skipped"
    assert found["github-repositories"].result.what == f"the token can read {len(REPOSITORIES)} repositories"


def test_without_calls_to_github_no_token_is_needed(whole: Scene) -> None:
    """An automation on `push` that deletes nothing and posts no status."""
    whole.file.write_text(
        "version: 1\nsecrets: { webhook: 'file:hook.secret' }\nautomations:\n"
        "  a: { on: { push: {} }, status: false, steps: [{ uses: shell, destructive: false, with: { run: 'true' } }] }\n"
    )
    found = whole.results()
    assert found["secret-github"].result.state == "skipped"
    assert [one.ok for one in found.values() if one.check.group == "GitHub"] == [None] * 12


def test_without_a_readable_repository_permissions_are_unknown(whole: Scene) -> None:
    """That none is needed would be another answer."""
    whole.github.world.tokens[whole.github.token]["repositories"] = ["acme/other"]
    found = whole.results()
    assert found["github-repositories"].ok is False
    assert {found[name].result.state for name in ("github-statuses", "github-contents", "github-hooks")} == {
        "unknown"
    }
    assert found["hook-there"].ok is None
