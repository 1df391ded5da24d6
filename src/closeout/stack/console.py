"""Links to a run's log in AWS's console.

Pure, because the worker's statuses and the command line must link to the same page.
"""

from __future__ import annotations

from urllib.parse import quote


def run_pattern(run_id: str) -> str:
    """Return CloudWatch Logs' filter pattern for the lines of one run."""
    return f'{{ $.run = "{run_id}" }}'


def run_log_url(region: str, group: str, run_id: str, since: float) -> str:
    """Return the page that shows a log group's lines of one run, from `since` (seconds since the epoch) on.

    The console keeps its place behind `#`, quoted twice with `$` for `%`: its own links look so; it is not documented.
    """
    domain = {"cn": "amazonaws.cn", "us-gov": "amazonaws-us-gov.com"}
    prefix = next((domain[start] for start in domain if region.startswith(f"{start}-")), "aws.amazon.com")
    query = f"filterPattern={_twice(run_pattern(run_id))}&start={int(since * 1000)}"
    fragment = f"log-group/{_twice(group)}/log-events" + _dollars(quote(f"?{query}", safe="$"))
    return f"https://{region}.console.{prefix}/cloudwatch/home?region={region}#logsV2:log-groups/{fragment}"


def _twice(text: str) -> str:
    return _dollars(quote(quote(text, safe=""), safe=""))


def _dollars(text: str) -> str:
    return text.replace("%", "$")
