"""What is kept out of a build by its name, and what is unless the build takes it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# These stand first: any later line can let them through again, and what the build takes by name is
# let through whole, since a package may well ship certificates or a database.
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
    "**/*.sqlite3",
    "**/docker-compose*.y*ml",
    "**/compose*.y*ml",
    "docker-build.sh",
)

# Folders and files of these names never enter, unless one is asked for by that name. The `**` at a
# folder's end is for its content: BuildKit forgets what hides a folder when another line hid it
# before, and asks again for each file in it that a line like `!*/*` has opened in between.
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
    """Tell whether a part of this path or pattern is kept out of every build by its name."""
    return any(fnmatchcase(part, name) for part in path.split("/") for name in names)
