"""Install the packages that a manifest lists: one layer of the dependencies."""

import sys

# A layer holds what its manifest says, and no traces of how it was made.
sys.dont_write_bytecode = True
