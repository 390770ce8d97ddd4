"""Install the packages that a manifest lists: one layer of the dependencies."""

import sys

# In a build, compiled files of these scripts must not end up in a layer. Outside a build, their
# compiled files make the next command start faster.
if __name__ == "install":
    sys.dont_write_bytecode = True
