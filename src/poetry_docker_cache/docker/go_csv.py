"""One CSV record as Go's encoding/csv reads it, which is the format of BuildKit's options."""

from __future__ import annotations

import csv
import io


def record(*fields: str) -> str:
    """Write a record; only fields that need it are quoted."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def fields_of(text: str) -> list[str]:
    """Read a record. Raises ValueError for invalid quotes."""
    try:
        records = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return records[0] if records else []
