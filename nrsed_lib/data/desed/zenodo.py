"""Records of Zenodo: every file by the MD5 that the record states, resumed where it broke off, and unpacked."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pooch
import requests
from tqdm import tqdm

from nrsed_lib.errors import DownloadError
from nrsed_lib.paths import DATA, cache_root, data_root

API = "https://zenodo.org/api/records"
PART = r"\.z\d\d"  # of a zip that is split over several files
SEVEN_ZIP = ("7zz", "7z", "7za")
CHUNK = 1 << 20  # bytes
TIMEOUT = (10, 60)  # s to connect, and between bytes
# What `nrsed data fetch` knows: name -> record, the folder under the root of the data to unpack it in, and the files
# that are needed of it, separated by spaces (else all).
_TABLE = pd.read_csv(DATA / "zenodo.csv", dtype=str, keep_default_na=False)
RECORDS = {str(name): about for name, *about in _TABLE.itertuples(index=False)}


def fetch_record(name: str, api: str = API) -> list[Path]:
    """Download and unpack what a name of RECORDS stands for; the folders or files it became.

    Archives stay in the cache until they are unpacked. Raises DownloadError naming record, file, reason, remedy.
    """
    if name not in RECORDS:
        raise DownloadError(f"no record {name!r}: use one of {', '.join(RECORDS)}")
    record, folder, only = RECORDS[name]
    target = data_root() / folder
    mark = target / f".zenodo-{record}"  # written last
    if mark.exists():
        return [target]
    try:
        reply = requests.get(f"{api}/{record}", timeout=TIMEOUT)
        reply.raise_for_status()
        files = {f["key"]: (f["checksum"], f["links"]["self"]) for f in reply.json()["files"]}
    except (requests.RequestException, KeyError, ValueError) as error:
        raise DownloadError(
            f"cannot read Zenodo record {record} because {error}\n  remedy: check the connection and run again, or "
            f"download https://zenodo.org/records/{record} by hand and unpack it in {target}"
        ) from error
    wanted = set(only.split()) or set(files)
    if absent := sorted(wanted - set(files)):
        raise DownloadError(
            f"Zenodo record {record} has no {absent}; it has {sorted(files)}: unpack it in {target} by hand"
        )
    cache = cache_root() / "zenodo" / record
    cache.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("ERROR")
    for key in sorted(wanted):  # .z01 … before .zip
        checksum, url = files[key]
        try:
            store = pooch.create(cache, "", registry={key: checksum}, urls={key: url})
            path = Path(store.fetch(key, downloader=resume))
        except (ValueError, OSError, requests.RequestException) as error:  # pooch: a wrong hash is a ValueError
            raise DownloadError(
                f"cannot get {key} of Zenodo record {record}\n  from {url}\n  with {checksum}\n  because {error}\n"
                "  remedy: check the connection and the room on the disk, and run again (what is there is kept)"
            ) from error
        if re.fullmatch(PART, path.suffix):
            continue  # it is unpacked with the .zip it belongs to
        unpack(path, target)
        for done in (path, *parts_of(path)):
            done.unlink()
    mark.touch()
    return [target]


def resume(url: str, output_file: str, fetcher: pooch.Pooch) -> None:
    """A pooch downloader that goes on where an earlier call was cut off: pooch's own file is new each time."""
    part = Path(fetcher.abspath) / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    have = part.stat().st_size if part.exists() else 0
    with requests.get(url, headers={"Range": f"bytes={have}-"} if have else {}, stream=True, timeout=TIMEOUT) as reply:
        if reply.status_code != 416:  # all is there already
            reply.raise_for_status()
            have = have if reply.status_code == 206 else 0  # a server that cannot resume sends all of it
            size = have + int(reply.headers.get("Content-Length", 0))
            with (
                part.open("ab" if have else "wb") as file,
                tqdm(
                    total=size or None, initial=have, desc=Path(url).name, unit="B", unit_scale=True, mininterval=1.0
                ) as bar,
            ):
                for chunk in reply.iter_content(CHUNK):
                    bar.update(file.write(chunk))
            if size and part.stat().st_size < size:
                raise OSError(f"the connection ended after {part.stat().st_size} of {size} bytes")
    shutil.move(part, output_file)


def parts_of(path: Path) -> list[Path]:
    """The other files of a zip that is split over several: `x.z01`, … beside `x.zip`."""
    return sorted(p for p in path.parent.glob(f"{path.stem}.z*") if re.fullmatch(PART, p.suffix))


def unpack(path: Path, target: Path) -> None:
    """A zip or tar archive into `target`, nothing outside of it; any other file beside what is there.

    Zips split over several files, and 7z archives, need the command 7z. Raises DownloadError without it.
    """
    target.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".7z" or parts_of(path):
        program = next((found for name in SEVEN_ZIP if (found := shutil.which(name))), None)
        if program is None:
            raise DownloadError(
                f"{path} needs one of the commands {', '.join(SEVEN_ZIP)}, and none is installed\n  remedy: install "
                "7-Zip (e.g. `apt install 7zip`) and run again; what is downloaded is kept"
            )
        done = subprocess.run([program, "x", "-y", f"-o{target}", str(path)], capture_output=True, text=True)
        if done.returncode:
            raise DownloadError(f"{path} cannot be unpacked: {(done.stderr or done.stdout).strip()[-500:]}")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in tqdm(archive.infolist(), desc=f"unpack {path.name}", unit="file", mininterval=1.0):
                archive.extract(member, target)  # strips what would lead out
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            archive.extractall(target, filter="data")
    else:
        shutil.copyfile(path, target / path.name)
