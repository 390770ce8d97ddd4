"""What the demo's table counts as built."""

from __future__ import annotations

import demo_log

LOG = """\
#10 [pure-1 1/1] RUN install
#11 [pure-2 1/1] RUN install
#12 [linux/amd64 native-1 1/1] RUN install
#13 [own-numpy 1/1] RUN install
#10 CACHED
#11 CANCELED
#13 0.514   - Installing numpy (2.3.5)
#13 DONE 1.2s
"""


def test_what_was_begun_and_given_up_was_not_built() -> None:
    """BuildKit says so, or no more of it; what it had is not built either, and may end as well."""
    for log in (LOG, f"{LOG}#10 DONE 0.1s\n"):
        row = demo_log.read(log, edit="x", seconds=1.0)
        assert (row.installed, row.built, row.layers) == (1, 1, 4)
