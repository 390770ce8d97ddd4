"""Poetry plugin that builds cache-optimised Docker images.

Data goes one way: a command reads the project, plans its image as data, renders a Dockerfile and
runs BuildKit on it. `import-linter` (in pyproject.toml) keeps the arrows pointing down this list:

  plugin      registers the commands
  commands    one module for each command; only they put steps with effects in sequence
  report      what a build did
  sizes       how large packages are, and a better split into layers
  buildx      the engine, docker's command lines, caches, and running BuildKit
  render      plan -> Dockerfile, ignore file, bake file, CI files
  plan        project and settings -> the image as data
  project     what Poetry knows about the project, as plain data, and its credentials
  settings    [tool.poetry-docker-cache]
  caches      build caches as users name them
  docker      Docker's own formats and names
  inside      what runs in the build, on the image's own Python
  system      paths, private files, locks and signals of this machine
  text        wording that messages share
  errors      the exception for users
"""
