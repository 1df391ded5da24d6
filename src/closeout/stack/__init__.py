"""The AWS stack as plain values: the table's layout, signing requests, links into the console. Standard library only."""
