"""What the process that others fork from has imported and read: nothing of it is about one test."""

import importlib

from tests.service_models import keep_models, read_models

for name in (
    "boto3",
    "closeout.adapters.aws",
    "closeout.adapters.github",
    "closeout.adapters.hooks",
    "closeout.cli.confirm",
    "closeout.cli.explain",
    "closeout.cli.findings",
    "closeout.cli.main",
    "closeout.cli.options",
    "closeout.cli.output",
    "closeout.cli.plan",
    "closeout.cli.preview",
    "closeout.cli.rotation",
    "closeout.cli.runs",
    "closeout.cli.secret",
    "closeout.cli.serve",
    "closeout.cli.webhook",
    "closeout.ledger.dynamodb",
    "closeout.ledger.sqlite",
    "closeout.server.app",
    "closeout.server.pages",
    "closeout.server.serve",
    "closeout.wiring.runtime",
    "closeout.wiring.stack",
    "closeout.wiring.stack_ledger",
    "tests.acceptance.engine_process",
    "tests.acceptance.forked",
):
    importlib.import_module(name)
keep_models()
read_models()
