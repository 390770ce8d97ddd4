"""What to do if a file cannot be written."""

from __future__ import annotations

import errno

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def suggest_space(error: OSError, otherwise: str) -> str:
    """Suggest to free space on a full disk; otherwise return the other suggestion."""
    if error.errno in _FULL:
        return "Free some space and inodes there (`df -h`, `df -i`), or choose another path."
    return otherwise
