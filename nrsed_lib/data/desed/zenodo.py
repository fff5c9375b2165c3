"""Records of Zenodo: every file by the hash that the record states, resumed where it broke off, and unpacked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasPath, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from nrsed_lib.data.desed.archives import PART, parts_of, unpack
from nrsed_lib.data.download import Url, inside, obtain
from nrsed_lib.data.http import ask, body
from nrsed_lib.data.tables import Row, Text, read_rows
from nrsed_lib.errors import DownloadError, faults_of
from nrsed_lib.paths import DATA, cache_root, data_root
from nrsed_lib.store import one_at_a_time

API = "https://zenodo.org/api/records"
LONGEST = 16 << 20  # bytes of what the API says of a record
DEVICES = r"(?i:con|prn|aux|nul|com\d|lpt\d)(\.|$)"  # of Windows: no names of files there


class Known(Row):
    """What `nrsed data fetch` knows: the folder under the root of the data to unpack a record in, and the files that
    are needed of it, separated by spaces (else all)."""

    name: Text
    record: Annotated[str, Field(pattern=r"^\d+$")]
    folder: Annotated[str, AfterValidator(lambda folder: folder if folder == "." else inside(folder))]
    only: str


RECORDS = {row.name: (row.record, row.folder, row.only) for row in read_rows(DATA / "zenodo.csv", Known, "name")}


class Listed(BaseModel):
    """A file as the API has it. key: a name that leads nowhere and is one on every system."""

    model_config = ConfigDict(regex_engine="python-re")  # which can look ahead

    key: Annotated[str, Field(pattern=rf"^(?!{DEVICES}|[. ])[\w .+()@,=&~-]{{1,200}}(?<![. ])\Z")]
    checksum: Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})\Z")]
    size: NonNegativeInt = 0  # 0: not said
    url: Annotated[Url, Field(validation_alias=AliasPath("links", "self"))]


class Record(BaseModel):
    """What the API says of a record."""

    files: Annotated[list[Listed], Field(min_length=1)]


def fetch_record(name: str, api: str = API) -> list[Path]:
    """Download and unpack what a name of RECORDS stands for; the folders or files it became.

    Archives stay in the cache until they are unpacked; what is unpacked is not fetched again. Raises DownloadError
    naming record, file, reason, remedy.
    """
    if name not in RECORDS:
        raise DownloadError(f"no record {name[:80]!r}: use one of {', '.join(RECORDS)}")
    record, folder, only = RECORDS[name]
    target, cache = data_root() / folder, cache_root() / "zenodo" / record
    mark, begun = target / f".zenodo-{record}", target / f".zenodo-{record}.part"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(cache.with_suffix(".lock"), f"Zenodo record {record}: another process fetches it"):
            if not mark.exists():
                files = _files(f"{api}/{record}")
                if absent := sorted(set(only.split()) - set(files)):
                    raise DownloadError(
                        f"Zenodo record {record} has no {absent}; it has {sorted(files)}: unpack it in {target} by hand"
                    )
                for key in sorted(set(only.split()) or files):  # .z01 … before .zip
                    _bring(files[key], cache, target, begun)
                begun.replace(mark)
            cache.with_suffix(".lock").unlink(missing_ok=True)  # who waits for it finds the mark there
    except (OSError, ValueError) as error:
        said = faults_of(error) if isinstance(error, ValidationError) else error
        raise DownloadError(
            f"cannot read Zenodo record {record} because {said}\n  remedy: check the connection, and the room and "
            f"rights in {target}, and run again, or download https://zenodo.org/records/{record} by hand and unpack it "
            f"in {target}"
        ) from error
    return [target]


def _files(url: str) -> dict[str, Listed]:
    """The files of a record, by name. Raises OSError when there is no answer, ValueError for one that breaks a rule."""
    with ask(url) as reply:
        listed = Record.model_validate_json(b"".join(body(reply, LONGEST))).files
    files = {file.key.casefold(): file for file in listed}
    if twice := [file.key for file in listed if file is not files[file.key.casefold()]]:
        raise ValueError(f"it has {twice[0]} twice")
    return {file.key: file for file in listed}


def _bring(file: Listed, cache: Path, target: Path, begun: Path) -> None:
    """Download a file of a record and unpack it; a part of a zip waits for the last. begun: lists what is done."""
    if begun.exists() and file.key in begun.read_text().splitlines():
        return
    path = obtain(cache / file.key, file.url, file.checksum, file.size, of=f" of Zenodo record {cache.name}")
    if not re.fullmatch(PART, path.suffix):
        archives = [path, *parts_of(path)]
        unpack(path, target, data_root() / f".unpacking-{cache.name}")
        with begun.open("a") as done:
            done.writelines(f"\n{archive.name}" for archive in archives)
        for archive in archives:
            archive.unlink()
