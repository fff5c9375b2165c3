"""Files of others, fetched from their public URLs and checked against a recorded SHA-256.

They land in `cache/` (env NRSED_CACHE), laid out as the URLs. A folder with the same layout can
stand in for the network (env NRSED_MIRROR). What is there with the right hash is not fetched again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

import pandas as pd
import pooch
import requests
from tqdm import tqdm

from nrsed_lib.errors import DownloadError
from nrsed_lib.paths import DATA, cache_root

NB_RETRIES = 2  # of a download that failed; pooch waits between them


def fetch(url: str, sha256: str) -> Path:
    """The local path of the file at `url`, downloaded if it is not in the cache yet.

    Raises DownloadError naming the file, its URL, the expected hash and what to do.
    """
    mirror = os.environ.get("NRSED_MIRROR")
    name = unquote(urlparse(url).path).lstrip("/")
    cache = cache_root()
    (cache / name).parent.mkdir(parents=True, exist_ok=True)  # pooch's own way fails when two threads do it at once

    def copy(url: str, output_file: str, pooch: object) -> None:  # in place of a download
        shutil.copyfile(Path(str(mirror), name), output_file)

    store = pooch.create(
        path=cache,
        base_url="",
        registry={name: f"sha256:{sha256}"},
        urls={name: url},
        retry_if_failed=0 if mirror else NB_RETRIES,
    )
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(store.fetch(name, downloader=copy if mirror else None))
    except (ValueError, OSError, requests.RequestException) as error:  # pooch: a wrong hash is a ValueError
        remedy = (
            f"check NRSED_MIRROR={mirror} (or unset it to use the network)"
            if mirror
            else "check the connection and run again (what is done is kept), or set NRSED_MIRROR to a folder of copies"
        )
        raise DownloadError(
            f"cannot get {name}\n  from {url}\n  with sha256 {sha256}\n  because {error}\n  remedy: {remedy}"
        ) from error


def fetch_all(files: Iterable[tuple[str, str]], nb_threads: int = 8, title: str = "download") -> list[Path]:
    """Paths of many (url, sha256), in order. The first failure stops what has not started yet."""
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
    return pd.read_csv(DATA / "published.csv").set_index("name")


def fetch_published(name: str) -> Path:
    """The local path of a file of `data/published.csv`. Raises DownloadError for an unknown name."""
    table = published()
    if name not in table.index:
        raise DownloadError(f"no file {name!r} in {DATA / 'published.csv'}; e.g. {table.index[0]!r} is")
    row = table.loc[name]
    return fetch(str(row.url), str(row.sha256))
