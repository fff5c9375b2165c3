"""Tables that people add rows to (data/*.csv): a row that breaks a rule is named by file, line, column and value."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from nrsed_lib.errors import DataError, faults_of

Text = Annotated[str, StringConstraints(pattern=r"\S")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Row(BaseModel):
    """A form of rows; its fields are the columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)


R = TypeVar("R", bound=Row)


def read_rows(path: Path, form: type[R], key: str) -> list[R]:
    """The rows of a CSV file, each of its `form`, no two alike in the column `key`.

    Raises DataError naming the file, and the line, column and value of the first that breaks a rule.
    """
    rows: dict[Any, tuple[int, R]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restkey="more")
            if absent := [name for name in form.model_fields if name not in (reader.fieldnames or [])]:
                raise DataError(
                    f"{path} has no column {', '.join(absent)}; it must have {', '.join(form.model_fields)}"
                )
            for values in reader:
                row = form.model_validate(values)
                line, _ = rows.setdefault(getattr(row, key), (reader.line_num, row))
                if line != reader.line_num:
                    raise DataError(f"{path}, line {reader.line_num}: {key} is that of line {line}; remove one of them")
    except ValidationError as error:
        raise DataError(f"{path}, line {reader.line_num}: {faults_of(error)}; correct it") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8 ({error.reason}); save it as such") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}; restore it") from error
    return [row for _, row in rows.values()]
