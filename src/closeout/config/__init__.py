"""closeout.yaml and CEL: a file goes in, checked values with every default filled in come out.

Whatever can be known to be wrong before a delivery arrives is reported here, with its place in the file, so that a run
never fails over a mistake that `closeout check` could have shown.
"""
