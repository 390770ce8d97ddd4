"""Poetry plugin that builds cache-optimised Docker images.

Data flows one way: a command reads the project, plans its image as data, renders a Dockerfile and
runs BuildKit on it. Each package imports only from those below it in this list, as `import-linter`
(in pyproject.toml) checks:

  plugin      registers the commands
  commands    the commands, which run the steps with side effects
  doctor      checks of machine, project and image
  report      the report of a build
  sizes       package sizes, and a better split into layers
  migrate     a Dockerfile written by hand -> settings
  buildx      the engine, docker's command lines, caches, and running BuildKit
  render      plan -> Dockerfile, ignore file, bake file, CI files
  no_engine   wheels -> image layers and manifests in a registry, without an engine
  sbom        plan -> what an image holds, as a CycloneDX document
  registry    images in registries
  plan        project and settings -> the image as data
  project     what Poetry knows about the project, as plain data, and its credentials
  settings    [tool.poetry-docker-cache]
  caches      build caches as users specify them
  docker      Docker's own formats and names
  inside      scripts that run in the build, with the image's Python
  system      paths, private files, locks and signals of this machine
  text        formatting of messages
  errors      the exception for users
"""
