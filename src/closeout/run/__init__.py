"""The run, written once over the ports for every engine; `workflow` is its life from begin to final status."""
