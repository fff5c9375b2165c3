"""Writes smoke_manifest.json: the SHA-256 of what stage 01 makes in the smoke profile.

`python tests/data/make_manifest.py`, after a change that is meant to change the data.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

MANIFEST = Path(__file__).with_name("smoke_manifest.json")


def manifest(folder: Path) -> dict[str, str]:
    """File name → SHA-256 of its bytes, of the audio and the labels."""
    files = sorted([*folder.glob("*.npy"), *folder.glob("*.tsv")])
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as results:
        os.environ["NRSED_RESULTS"] = results
        from nrsed_lib.artefacts import open_run
        from nrsed_lib.data.prepare import prepare

        run = open_run("01", "smoke")
        prepare(run)
        MANIFEST.write_text(json.dumps(manifest(run.folder), indent=1) + "\n")
