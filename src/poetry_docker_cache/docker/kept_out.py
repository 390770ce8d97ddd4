"""Names of files and folders that are kept out of a build."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# These come first, so that any later line can include them again. What the build takes by name is
# included completely, since a package may contain certificates or a database.
UNLIKELY = (
    "dist/*.whl",
    "dist/*.tar.gz",
    "env",
    "**/venv",
    "htmlcov",
    "coverage.xml",
    "**/*.egg-info",
    "**/*.pem",
    "**/*.log",
    "**/*.sqlite",
    "**/*.sqlite3",
    "**/*.sqlite-*",
    "**/*.sqlite3-*",
    "**/docker-compose*.y*ml",
    "**/compose*.y*ml",
    "docker-build.sh",
)

# An image of the whole source tree has no such names at the top, unless the code names them.
TESTS = ("test", "tests")
DEVELOPMENT = (
    *(*TESTS, "test[_-]*", "tests[_-]*", "*[_-]tests", "testdata", "testing", "fixtures"),
    *("cypress", "e2e", "playwright", "benchmark", "benchmarks"),
    *("loadtest*", "load[_-]test*", "locust*"),
    *("doc", "docs", "documentation"),
    *("ansible", "charts", "helm", "k8s", "kubernetes", "terraform"),
    *(".circleci", ".devcontainer", ".gitea", ".github", ".gitlab", ".husky", ".storybook"),
)

# Folders and files with these names are kept out unless one is included by its name. The `**` at
# the end of a folder's name matches its content: if another line has already hidden the folder,
# BuildKit does not remember this line, and a line such as `!*/*` in between includes the files.
FOLDERS = (
    ".git**",
    ".hg**",
    ".svn**",
    ".venv**",
    ".poetry**",
    "__pycache__**",
    ".cache**",
    ".*_cache**",
    ".tox**",
    ".nox**",
    ".hypothesis**",
    ".ipynb_checkpoints**",
    "node_modules**",
    ".idea**",
    ".vscode**",
    ".ssh**",
    ".aws**",
    ".azure**",
    ".direnv**",
    ".docker**",
    ".kube**",
    "gcloud**",
)
FILES = (
    "*.py[cod]",
    ".coverage*",
    ".DS_Store",
    ".env**",
    "*.env",
    ".*_history",
    "poetry.toml",
    "auth.toml",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".boto",
    ".s3cfg",
    ".secrets*",
    "secrets.toml",
    "kubeconfig",
    "*.tfvars",
    "*.tfstate*",
    "pip.conf",
    ".npmrc",
    ".git-credentials",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*-key.pem",
    "*private*.pem",
    "privkey*.pem",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
)
NEVER = (*FOLDERS, *FILES)


def is_kept_out(path: str, names: Sequence[str] = NEVER) -> bool:
    """Return whether a part of this path or pattern has a name that is kept out."""
    return any(fnmatchcase(part, name) for part in path.split("/") for name in names)
