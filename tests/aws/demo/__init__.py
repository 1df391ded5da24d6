"""`make demo-aws`: the write-up's demonstration on the real template, with checks of all that it shows."""
