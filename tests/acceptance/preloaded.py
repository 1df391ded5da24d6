"""What the process that others fork from has imported and read: nothing of it is about one test."""

import gc
import importlib
import pkgutil

import closeout
from tests.service_models import keep_models, read_models

ELSEWHERE = ("closeout.__main__", "closeout.lambdas", "closeout.testing", "closeout.cli.demo")
"""What no process that is forked runs."""

for module in pkgutil.walk_packages(closeout.__path__, "closeout.", onerror=lambda _name: None):
    if not module.name.startswith(ELSEWHERE):
        importlib.import_module(module.name)
for name in ("boto3", "cel_expr_python.cel", "encodings.idna", "ruamel.yaml", "uvloop"):
    importlib.import_module(name)
importlib.import_module("tests.acceptance.engine_process")
keep_models()
read_models()
gc.collect()
gc.freeze()  # no garbage that a process looks for
