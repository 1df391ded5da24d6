"""The stack of the 2021 write-up, on Lambda durable functions: one module for each part of it.

Its own project: aws-cdk-lib is no dependency of closeout, and of closeout only `core`, `config` and `actions` are
imported here.
"""
