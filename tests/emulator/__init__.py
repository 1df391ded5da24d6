"""An AWS account on loopback to deploy to: ministack with IAM enforced, its patches, and a Lambda Runtime API.

Tests, the demo and the benchmarks use it; it is not in the wheel. `launcher` starts and ends the account, and `patches` runs
inside its process, in an environment without closeout.
"""
