"""A recording day: what a real AWS account answers to the questions that documents and emulators leave open.

`make record-live` asks them, keeps the answers as fixtures, and removes what it made (docs/how-to/record-a-real-account.md).
"""
