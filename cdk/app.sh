#!/bin/sh
# What cdk.json calls: app.py in the environment that `make setup-aws` makes.
python=../.venv-aws/bin/python
test -x "$python" || { echo "the AWS side is not set up: run make setup-aws, one folder up" >&2; exit 1; }
exec "$python" app.py
