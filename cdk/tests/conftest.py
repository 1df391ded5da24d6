"""Stacks built from parameters, for every test."""

from __future__ import annotations

import os
from typing import Any

# Before jsii is imported: its banner about Debian's Node would follow every summary.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

import aws_cdk as cdk
import pytest

from closeout_cdk.main import build
from support import COMMITTED, DELETES, FLAGS, Made, Make, SmallBundler


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that makes the stack from parameters; `config` is the configuration's text."""

    def made(*, config: str | None = None, **context: Any) -> Made:
        folder = tmp_path_factory.mktemp("stack")
        given = {**FLAGS, **COMMITTED, **context}
        if config is not None:
            (folder / "given.yaml").write_text(config)
            given["configFile"] = str(folder / "given.yaml")
        app = cdk.App(context=given, outdir=str(folder / "out"), analytics_reporting=False)
        build(app, SmallBundler(folder))
        return Made(app)

    return made


@pytest.fixture(scope="session")
def standard(make: Make) -> Made:
    """Return the stack as it is committed."""
    return make()


@pytest.fixture(scope="session")
def deleting(make: Make) -> Made:
    """Return a stack whose configuration deletes things, in this account and in another."""
    return make(config=DELETES, alarmEmail="ops@example.com")
