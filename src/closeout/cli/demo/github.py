"""The fake GitHub of the demo, driven as a person would use github.com: open, close and reopen pull requests.

It is another process; only its control API and its public API are used here.
"""

from __future__ import annotations

from typing import Any

from closeout.cli.demo.processes import call

REPOSITORY = "acme/shop"
CONTEXT = "closeout/preview-cleanup"


class GitHub:
    """The repository acme/shop on the fake GitHub at `url`."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._heads: dict[int, str] = {}
        self._control = f"{url}/_control"
        self._repository = f"{self._control}/repositories/{REPOSITORY}"
        call("POST", f"{self._control}/repositories", {"full_name": REPOSITORY, "private": True})

    def hook(self, url: str, secret: str) -> None:
        """Add the webhook."""
        call("POST", f"{self._repository}/hooks", {"url": url, "secret": secret})

    def details(self) -> dict[str, str]:
        """Return the newest Details link of each pull request that has one, by a title."""
        found = {}
        for number, sha in self._heads.items():
            links = [status["target_url"] for status in self.statuses(sha) if status["target_url"]]
            if links:
                found[f"pull request #{number}"] = links[-1]
        return found

    def open(self, number: int, *, base: str = "develop") -> str:
        """Open a pull request; return the commit that its statuses belong to."""
        pull = call("POST", f"{self._repository}/pulls", {"number": number, "base": base})
        self._heads[number] = str(pull["head"]["sha"])
        return self._heads[number]

    def close(self, number: int) -> dict[str, Any]:
        """Close a pull request without a merge; return the delivery, once it is answered."""
        call("POST", f"{self._repository}/pulls/{number}/close", {"wait": True})
        return self.delivery(number)

    def reopen(self, number: int) -> None:
        """Open it again."""
        call("POST", f"{self._repository}/pulls/{number}/reopen", {"wait": True})

    def redeliver(self, number: int) -> dict[str, Any]:
        """Press "Redeliver" on a pull request's `closed` delivery; return the new one, once it is answered."""
        known = self.delivery(number)
        hook = f"{self.url}/repos/{REPOSITORY}/hooks/{known['hook_id']}"
        call("POST", f"{hook}/deliveries/{known['id']}/attempts", headers=self._authorization)
        call("GET", f"{self._repository}/deliveries?settle=5")
        return self.delivery(number)

    def delivery(self, number: int) -> dict[str, Any]:
        """Return the newest `closed` delivery of this pull request: headers, payload, answer."""
        kept = call("GET", f"{self._repository}/deliveries")
        return next(
            one for one in kept if one["action"] == "closed" and one["request"]["payload"]["number"] == number
        )

    def statuses(self, sha: str) -> list[dict[str, Any]]:
        """Return the commit's statuses of this automation, the oldest first."""
        url = f"{self.url}/repos/{REPOSITORY}/commits/{sha}/statuses?per_page=100"
        kept = call("GET", url, headers=self._authorization)
        return [status for status in reversed(kept) if status["context"] == CONTEXT]
