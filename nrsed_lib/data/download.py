"""Files of others, fetched from their public URLs and checked against a recorded hash.

They land in `cache/` (env NRSED_CACHE), laid out as the URLs. A folder with the same layout can
stand in for the network (env NRSED_MIRROR). What is there with the right hash is not fetched again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PureWindowsPath
from typing import Annotated
from urllib.parse import unquote, urlparse

import pandas as pd
import pooch
import requests
from filelock import FileLock
from pooch.hashes import hash_matches
from pydantic import AfterValidator, NonNegativeInt
from tqdm import tqdm

from nrsed_lib.data.http import resume
from nrsed_lib.data.tables import Row, Sha256, Text, read_rows
from nrsed_lib.errors import DownloadError
from nrsed_lib.paths import DATA, cache_root, mirror

NB_RETRIES = 2  # of a download that failed in a way that may change; pooch waits between them


def inside(name: str) -> str:
    """`name`, a path that leads to something below the folder it is put in, on any system. Raises ValueError."""
    path = PureWindowsPath(name)  # takes / and \\ for separators, and knows drives
    if not path.parts or path.anchor or ".." in path.parts or "\0" in name:
        raise ValueError(f"{name[:80]!r} is no name of a file below a folder")
    return name


def local_name(url: str) -> str:
    """Where the file of a URL is kept, below the cache or a mirror. Raises ValueError if there is none."""
    about = urlparse(url)
    if about.scheme not in ("http", "https") or not about.netloc or not unquote(url).isprintable():
        raise ValueError(f"{url[:80]!r} is no address of a file: https://…/<name>")
    return inside(unquote(about.path).removeprefix("/"))


def _address(url: str) -> str:
    local_name(url)
    return url


Url = Annotated[str, AfterValidator(_address)]


class File(Row):
    """What is recorded of every file of others. bytes: 0 if unknown."""

    url: Url
    sha256: Sha256
    bytes: NonNegativeInt
    role: Text
    label: Text
    source: Text
    licence: Text


class Published(File):
    """A row of `data/published.csv`."""

    name: Text


def obtain(path: Path, url: str, checksum: str, nb_bytes: int = 0, mirror: Path | None = None, of: str = "") -> Path:
    """`path`, which has the content that `checksum` (<algorithm>:<digest>) says: downloaded, or copied from `mirror`.

    What is there with the right hash stays; others who want it wait for the one who gets it. What has another hash
    is removed, and what broke off is kept in the cache to go on with. Raises DownloadError naming all of this, and
    what to do.
    """
    pooch.get_logger().setLevel("CRITICAL")
    begun = cache_root() / ".parts" / hashlib.sha256(f"{url} {checksum}".encode()).hexdigest()[:16]

    def get(url: str, output_file: str, store: object) -> None:  # in place of pooch's own download
        if mirror is None:
            resume(url, begun.with_suffix(".part"), nb_bytes)
            shutil.move(begun.with_suffix(".part"), output_file)
        elif mirror.is_file() or not mirror.exists():
            shutil.copyfile(mirror, output_file)
        else:
            raise OSError(f"{mirror} is no file")

    try:
        if path.is_file() and hash_matches(path, checksum):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        begun.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is there and is no file: move it away")
        with FileLock(begun.with_suffix(".lock")):
            store = pooch.create(
                path.parent, "", registry={path.name: checksum}, urls={path.name: url},
                retry_if_failed=0 if mirror else NB_RETRIES,
            )  # fmt: skip
            store.fetch(path.name, downloader=get)
            begun.with_suffix(".lock").unlink(missing_ok=True)  # who waits for it finds the file there
        return path
    except (ValueError, OSError, requests.RequestException) as error:  # pooch: a wrong hash is a ValueError
        remedy = (
            f"check NRSED_MIRROR={os.environ['NRSED_MIRROR']} (or unset it to use the network)"
            if mirror
            else f"check the connection, and the room and rights in {path.parent}, and run again (what is there is "
            f"kept){'' if of else ', or set NRSED_MIRROR to a folder of copies'}"
        )
        raise DownloadError(
            f"cannot get {path.name}{of}\n  from {url}\n  to {path}\n  with {checksum}\n  because {error}\n"
            f"  remedy: {remedy}"
        ) from error


def fetch(url: str, sha256: str, nb_bytes: int = 0) -> Path:
    """The local path of the file at `url`, downloaded if it is not in the cache yet. nb_bytes: 0 if unknown.

    Raises DownloadError naming the file, its URL, the expected hash and what to do.
    """
    try:
        name = local_name(url)
    except ValueError as error:
        raise DownloadError(f"cannot get {url[:80]!r}: {error}; correct the address") from error
    copies = mirror()
    return obtain(cache_root() / name, url, f"sha256:{sha256}", nb_bytes, copies / name if copies else None)


def fetch_all(files: Iterable[tuple], nb_threads: int = 8, title: str = "download") -> list[Path]:
    """Paths of many (url, sha256[, nb_bytes]), in order. The first failure stops what has not started yet."""
    files = list(files)
    with ThreadPoolExecutor(nb_threads) as pool:
        futures = [pool.submit(fetch, *file) for file in files]
        try:
            return [f.result() for f in tqdm(futures, desc=title, unit="file", mininterval=1.0)]
        except DownloadError:
            pool.shutdown(cancel_futures=True)
            raise


def published() -> pd.DataFrame:
    """`data/published.csv` (annotations, predictions and weights of others), indexed by name."""
    rows = read_rows(DATA / "published.csv", Published, "name")
    return pd.DataFrame([row.model_dump() for row in rows]).set_index("name")


def fetch_published(name: str) -> Path:
    """The local path of a file of `data/published.csv`. Raises DownloadError for an unknown name."""
    table = published()
    if name not in table.index:
        raise DownloadError(f"no file {name!r} in {DATA / 'published.csv'}; e.g. {table.index[0]!r} is")
    row = table.loc[name]
    return fetch(str(row.url), str(row.sha256), int(row.bytes))
