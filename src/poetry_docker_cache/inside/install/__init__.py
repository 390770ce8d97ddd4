"""Install the packages that a manifest lists: one layer of the dependencies."""

import sys

# Compiled files of these scripts must not end up in a layer.
sys.dont_write_bytecode = True
