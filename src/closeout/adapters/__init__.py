"""Everything outside the process, each behind a port."""
