"""`make hostile`: closeout under attack, with figures. `python -m tests.hostile --help` says what can be chosen."""
