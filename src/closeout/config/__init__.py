"""closeout.yaml and CEL: read a file and return checked values with every default filled in.

Every mistake that can be found before a delivery arrives is reported here, with its place in the file, so that no run
fails because of a mistake that `closeout check` could have shown.
"""
