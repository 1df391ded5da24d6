#!/usr/bin/env python3
"""What `cdk` runs: the parameters go in, the stack comes out, or one clear error."""

import os
import sys

# Debian's Node, which works; the banner about its age would hide our own lines. Set before jsii looks.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

from closeout_cdk.main import main

if __name__ == "__main__":
    sys.exit(main())
