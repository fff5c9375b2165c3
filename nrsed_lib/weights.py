"""Where converted weights lie, and what to do when they do not.

They are safetensors in `cache/weights/` (below NRSED_CACHE if that is set), or in the folder NRSED_WEIGHTS. Each says
in its header which file it was made from (SHA-256) and the sizes of its network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from nrsed_lib.errors import WeightsError
from nrsed_lib.paths import weights_folder

KINDS = ("beats", "audiosep", "clap")


class Published(NamedTuple):
    """A file that others publish: kind of network, name of the file, and the page to get it from."""

    kind: str
    file: str
    url: str


PUBLISHED = {
    "beats": Published("beats", "BEATs_iter3_plus_AS2M.pt", "https://github.com/microsoft/unilm/tree/master/beats"),
    "audiosep": Published(
        "audiosep",
        "audiosep_base_4M_steps.ckpt",
        "https://huggingface.co/spaces/Audio-AGI/AudioSep/tree/main/checkpoint",
    ),
    "audiosep-dp": Published("audiosep", "audiosep-dp.ckpt", "https://github.com/apple-yinhan/Noise-robust-SED"),
    "clap": Published(
        "clap", "music_speech_audioset_epoch_15_esc_89.98.pt", "https://huggingface.co/lukewys/laion_clap/tree/main"
    ),
}


def find_weights(name: str) -> Path:
    """The converted weights `name` ("beats", "audiosep-dp", …, or of any file converted under another name).

    Raises WeightsError saying where to get the published file and how to convert it.
    """
    path = weights_folder() / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"{path} is missing: {remedy(name)}")
    return path


def remedy(name: str) -> str:
    """How to come by the weights `name`."""
    if name not in PUBLISHED:
        here = ", ".join(sorted(p.stem for p in weights_folder().glob("*.safetensors"))) or "no file"
        return (
            f"convert a checkpoint to it with `nrsed weights convert FILE --out {name}`, or name another "
            f"({here} is there; {', '.join(PUBLISHED)} are published)"
        )
    kind, file, url = PUBLISHED[name]
    return f"get {file} from {url}, then run `nrsed weights convert {file} --kind {kind} --out {name}`"


def about_weights(path: Path) -> dict[str, Any]:
    """What conversion wrote into the header: kind, source, sha256, architecture, … Reads no tensor.

    Raises WeightsError for a file that is damaged or was not made by `nrsed weights convert`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read ({error}): convert it again") from error
    if "kind" not in about:
        raise WeightsError(f"{path} was not made by `nrsed weights convert`, which is how weights get here: use that")
    return about


def weights_fingerprint(name: str) -> str:
    """SHA-256 of the tensors of the weights `name`, as recorded by their conversion; "" when they are not there."""
    path = weights_folder() / f"{name}.safetensors"
    return about_weights(path)["content_sha256"] if path.is_file() else ""
