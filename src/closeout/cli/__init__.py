"""The command line: one module per command group, thin over `closeout.wiring`.

`main.SECTIONS` names each command with its module and its summary, so a new command is a module and a row there. Importing
this package costs nothing, and a command's module is imported only when that command is called, so `closeout --help` answers
at once.

Shared by the commands: `commands` (help and examples), `options`, `ledger_option` (a file's ledger or a stack's),
`event_source` (the event that a question is about), `output`, `confirm`, `requests` (what a server is asked for), `exits` and
`suggestions` (the Tab key). `webhook_context` and `rotation` belong to `webhook`.
"""
