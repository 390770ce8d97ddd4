"""One record of CSV as Go's encoding/csv reads it: BuildKit's options are made of such."""

from __future__ import annotations

import csv
import io


def record(*fields: str) -> str:
    """Write a record: a field is quoted as a whole, and only where it needs to be."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def fields_of(text: str) -> list[str]:
    """Read a record. Raises ValueError where its quotes do not fit."""
    try:
        records = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return records[0] if records else []
