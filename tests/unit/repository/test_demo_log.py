"""The steps that the demo counts as built."""

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


def test_cancelled_and_cached_steps_are_not_counted() -> None:
    """BuildKit may not report the end of a cancelled step, and may report that of a cached one."""
    for log in (LOG, f"{LOG}#10 DONE 0.1s\n"):
        row = demo_log.read(log, edit="x", seconds=1.0)
        assert (row.installed, row.built, row.layers) == (1, 1, 4)
