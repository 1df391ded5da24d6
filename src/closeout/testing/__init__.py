"""Public fakes and builders for tests: a GitHub that answers over HTTP, signed deliveries, an AWS emulator.

They are part of the package, so that people can test their own automations with the same tools that the
project's own tests and `closeout demo` use.
"""
