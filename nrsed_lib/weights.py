"""Where converted weights lie, what to do when they do not, and the one door that they are read through.

They are safetensors in `cache/weights/` (below NRSED_CACHE if that is set), or in the folder NRSED_WEIGHTS. Each says
in its header (`About`) which file it was made from, the sizes of its network and the digest of its tensors, and is
held to that whenever it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from nrsed_lib.errors import UserError, WeightsError, faults_of, one_line
from nrsed_lib.paths import not_a_file, weights_folder
from nrsed_lib.store import digest, read_tensors

if TYPE_CHECKING:  # a run is driven without loading it
    from torch import Tensor

Kind = Literal["beats", "audiosep", "clap"]
KINDS: tuple[str, ...] = get_args(Kind)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # of weights: of one file in the folder, wherever that is
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class About(BaseModel):
    """The header of converted weights. sha256: of the published file. digest: of all that is said beside it; files of
    before it was written have none. layout: of files to come that this library could not read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Kind
    source: str
    sha256: Sha256
    architecture: dict[str, Any]
    content_sha256: Sha256
    layout: Literal[1] = 1
    digest: str | None = None


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


def weights_path(name: str) -> Path:
    """Where the weights `name` lie if they are there. Raises WeightsError for what is no name."""
    if not NAME.fullmatch(name):
        raise WeightsError(
            f"weights {one_line(ascii(name))}: name them by letters, digits, '.', '_' and '-', no folder"
        )
    return weights_folder() / f"{name}.safetensors"


def find_weights(name: str) -> Path:
    """The converted weights `name` ("beats", "audiosep-dp", …, or of any file converted under another name).

    Raises WeightsError saying where to get the published file and how to convert it.
    """
    path = weights_path(name)
    if not path.exists():
        raise WeightsError(f"{path} is missing: {remedy(name)}")
    return path


def remedy(name: str, again: str = "") -> str:
    """How to come by the weights `name`; again: " --again" where damaged ones are to be replaced."""
    if name not in PUBLISHED:
        here = ", ".join(sorted(p.stem for p in weights_folder().glob("*.safetensors"))) or "no file"
        return (
            f"convert a checkpoint to it with `nrsed weights convert FILE --out {name}{again}`, or name another "
            f"({here} is there; {', '.join(PUBLISHED)} are published)"
        )
    kind, file, url = PUBLISHED[name]
    return f"get {file} from {url}, then run `nrsed weights convert {file} --kind {kind} --out {name}{again}`"


def about_weights(path: Path) -> dict[str, Any]:
    """What conversion wrote into the header: kind, source, sha256, architecture, … Reads no tensor.

    Raises WeightsError for a file that is damaged or was not made by `nrsed weights convert`.
    """
    from safetensors import SafetensorError, safe_open

    anew = remedy(path.stem, " --again")
    if fault := not_a_file(path):
        raise WeightsError(f"{path} {fault}: {anew}")
    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {}).get("about", "null"))
        if not about:
            raise WeightsError(f"{path} was not made by `nrsed weights convert`, which is how weights get here: {anew}")
        found = About.model_validate(about).model_dump(exclude={"layout", "digest"})
        if (said := about.pop("digest", None)) and said != digest(about):
            raise ValueError(f"its header has another digest than {said}")
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        why = faults_of(error) if isinstance(error, ValidationError) else one_line(error)
        raise WeightsError(f"{path} is damaged, or of a newer nrsed ({why}): {anew}") from error
    return found


def read_weights(path: Path, kind: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of converted weights, of any kind or the one given.

    Raises WeightsError when they are not what conversion wrote, or of another kind.
    """
    about, anew = about_weights(path), remedy(path.stem, " --again")
    if kind and about["kind"] != kind:
        raise WeightsError(f"{path} holds {about['kind']}, not {kind}: {anew}")
    tensors, _ = read_tensors(path)
    if content_sha256(tensors) != about["content_sha256"]:
        raise WeightsError(f"{path} is damaged (its tensors are not those that were written): {anew}")
    return tensors, about


def content_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and values."""
    import torch

    found = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        found.update(value.contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


@contextlib.contextmanager
def must_fit(what: str | Path, architecture: Mapping[str, Any], remedy: str) -> Iterator[None]:
    """In the block a network of the architecture is built, or filled. Raises WeightsError where that cannot be."""
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:  # what torch and we raise
        why = one_line(f"{type(error).__name__}: {error}", 200)
        sizes = one_line(dict(architecture), 300)
        raise WeightsError(f"{what}: no network fits its architecture {sizes} ({why}): {remedy}") from error


def weights_fingerprint(name: str) -> str:
    """SHA-256 of the tensors of the weights `name`, as recorded by their conversion; "" when they are not there."""
    path = weights_path(name)
    return about_weights(path)["content_sha256"] if path.is_file() else ""
