"""`closeout notify test`: one message to each notifier, and for each whether it arrived."""

from __future__ import annotations

from pathlib import Path

from closeout.cli import exits
from tests.acceptance.cli_process import Result, closeout
from tests.notified import service

CONFIG = """\
version: 1
notify: { to: [env:GOOD, env:OTHER] }
automations:
  a:
    on: { push: {} }
    steps: [{ uses: shell, destructive: false, with: { run: 'true' } }]
"""


def try_them(folder: Path, text: str = CONFIG, *arguments: str, **variables: str) -> Result:
    """Run the command with these variables."""
    (folder / "closeout.yaml").write_text(text)
    return closeout("notify", "test", *arguments, cwd=folder, env=variables)


def test_each_notifier_gets_one_message_and_the_exit_code_says_whether_all_took_it(tmp_path: Path) -> None:
    """0 if all did, 4 if one could not be reached or read, 1 if a URL has no known form."""
    with service() as told:
        done = try_them(tmp_path, GOOD=told.url(), OTHER=told.url(path="second"))
        assert (done.code, done.out) == (
            exits.OK,
            "✓ env:GOOD: took the message\n✓ env:OTHER: took the message\n",
        )
        assert sorted(one.path for one in told.taken) == ["/hook", "/second"], "in any order: all at once"
        done = try_them(tmp_path, CONFIG, "--json", GOOD=told.url(), OTHER="json://127.0.0.1:1/secret-token")
        assert done.code == exits.UNAVAILABLE
        assert [(one["ok"], one["code"]) for one in done.json] == [(True, None), (False, "notifier-failed")]
        assert "secret-token" not in done.out + done.err
        assert try_them(tmp_path, GOOD=told.url()).code == exits.UNAVAILABLE
        unknown = try_them(tmp_path, GOOD=told.url(), OTHER="nosuch://secret-token")
        assert unknown.code == exits.FAILED
        assert "secret-token" not in unknown.out + unknown.err


def test_without_a_notifier_it_says_how_to_name_one(tmp_path: Path) -> None:
    """That is a finding: somebody meant to be told."""
    done = try_them(tmp_path, CONFIG.replace("notify: { to: [env:GOOD, env:OTHER] }\n", ""))
    assert done.code == exits.FAILED
    assert "notify: { to: ['env:NAME'] }" in done.err
