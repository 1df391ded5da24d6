"""`make demo-aws`: the write-up's demonstration on the real template, with every promise checked."""
