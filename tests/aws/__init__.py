"""The real template on an emulated account: `make test-aws`, `make parity` and `make demo-aws`."""
