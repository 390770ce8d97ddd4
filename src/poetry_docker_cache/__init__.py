"""Poetry plugin that builds cache-optimised Docker images.

The data goes one way: the commands read a project, plan its image as data, write that down as a
Dockerfile, and run BuildKit on it. Where to look:

  plugin, commands           the commands; only they put steps with effects in sequence

  project, root, lock        what a project is, read from its files by way of Poetry
    metadata, sources, selection
  settings                   what [tool.poetry-docker-cache] says
  credentials, auth_file     what Poetry shows to package sources, as the secret of a build
    pem, private

  planner, plan              project and settings -> the image as data; of its decisions are
    python                     which Python and which Poetry
    bases, images, image_names, platforms, alpine, debian
                               what the stages stand on
    contents, dependencies, layers, direct, known_hosts
                               what is installed, and in which layers
    wheels, runtime, servers   the project itself, and how it runs
    build_context, collisions  where files are taken from, and what several images may not share

  render, stage_commands     plan -> Dockerfile
    templating, own_template, template_files, template_parsing, dockerfile
  ignore                     plan -> ignore file
  inside                     what runs in the build, on the image's own Python
  vendor, bake_file, ci      the files that `export` leaves in a project

  buildkit, bake, arguments  plan -> the command line of BuildKit
    go_csv, tags
  engine, signals            the engine: what it is, and running it
  build_folder               the private folder of a build
    folder_locks
  caches, kept_wheels        what is read and written beside the image
  summary, metadata_file     what a build did, for people and for machines

  sizes, proposal            `poetry docker layers`: what packages weigh, and a better split
    layer_table, pyproject_edit

  errors, wording            how a mistake is told
  compat                     what differs between Pythons
"""
