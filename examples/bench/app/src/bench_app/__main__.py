"""Print a greeting, and import the package from the private index."""

import acme_greetings

import bench_app

print(bench_app.GREETING, acme_greetings.__name__)
