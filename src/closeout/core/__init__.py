"""Pure rules, standard library only: bytes and values in, values or named errors out.

Nothing here opens a socket, reads a clock or touches a disk, so every rule can be tested with plain
values and runs unchanged in a Lambda that carries no third-party package.
"""
