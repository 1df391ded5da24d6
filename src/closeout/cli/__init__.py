"""The command line: one module per command group, thin over `closeout.wiring`.

Importing this package costs nothing, and a command's module is imported only when that command is called:
`closeout --help` has to answer while a person is still looking at it.
"""
