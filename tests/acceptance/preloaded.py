"""What the process that others fork from has imported and read: nothing of it is about one test."""

import gc
import importlib
from pathlib import Path

import closeout
from tests.service_models import keep_models, read_models

gc.disable()  # what is imported stays: there is no garbage among it
ELSEWHERE = ("closeout.__main__", "closeout.lambdas", "closeout.testing", "closeout.cli.demo")
"""What no process that is forked runs. `pkgutil.walk_packages` would import the packages of them, and with them moto."""

for root in closeout.__path__:
    for file in sorted(Path(root).rglob("*.py")):
        name = ".".join(("closeout", *file.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        if not name.startswith(ELSEWHERE):
            importlib.import_module(name)
for name in ("boto3", "cel_expr_python.cel", "encodings.idna", "ruamel.yaml", "uvloop"):
    importlib.import_module(name)
importlib.import_module("tests.acceptance.engine_process")
keep_models()
read_models()
gc.collect()
gc.freeze()
gc.enable()
