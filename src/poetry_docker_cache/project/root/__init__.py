"""What the project's root is: a package that a wheel can be built from, or a source tree.

`root_package` decides, the other modules read what each kind of project declares.
"""
