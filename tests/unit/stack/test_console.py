"""Links into AWS's console, as the console itself writes them."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from closeout.stack.console import run_log_url, run_pattern


def test_a_link_to_a_runs_log_is_quoted_as_the_console_does() -> None:
    """The group and the pattern twice, what is between them once, with dollars for percent signs."""
    assert run_log_url("eu-central-1", "/closeout/worker", "abc", 1_700_000_000.25) == (
        "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
        "#logsV2:log-groups/log-group/$252Fcloseout$252Fworker/log-events"
        "$3FfilterPattern$3D$257B$2520$2524.run$2520$253D$2520$2522abc$2522$2520$257D$26start$3D1700000000250"
    )


def test_the_console_reads_back_the_pattern_of_the_run() -> None:
    """Which finds the JSON lines of one run, and no others."""
    query = (
        run_log_url("us-east-1", "g", "abc", 0.0).partition("$3FfilterPattern$3D")[2].partition("$26start")[0]
    )
    assert unquote(unquote(query.replace("$", "%"))) == run_pattern("abc") == '{ $.run = "abc" }'


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "us-east-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_each_partition_has_its_own_console(region: str, host: str) -> None:
    """A link never leads into another partition."""
    assert run_log_url(region, "g", "abc", 0.0).startswith(f"https://{host}/")
