"""Archives of others: nothing in them leads out, replaces what is there, or is more than it seems."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from nrsed_lib.data.download import inside
from nrsed_lib.errors import DownloadError

PART = r"\.z\d\d"  # of a zip that is split over several files
SEVEN_ZIP = ("7zz", "7z", "7za")
EXPANSION = 100  # what is unpacked is at most so many times what is packed: sounds are 1 to 3 times, labels 10
SMALL = 100 << 20  # bytes that may always be unpacked
JUNK = {"__MACOSX", ".DS_Store"}  # in every archive made on a Mac, each time another

Member = tuple[str, int, str]  # name, bytes, what is wrong with it


def unpack(path: Path, target: Path, aside: Path | None = None) -> None:
    """A zip, tar or 7z archive into `target`; any other file beside what is there.

    It is unpacked in `aside`, on the same disk, and then put in place: what is in place is whole. Zips split over
    several files, and 7z archives, need the command 7z. Raises DownloadError, and leaves what was there as it was, for
    an archive that cannot be read, without that command, for a member that leads out, is no file or folder, is there
    twice or would replace another file, and for more than `EXPANSION` times the archive's size.
    """
    aside = aside or target / ".unpacking"
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a killed run
        aside.mkdir(parents=True)
        _extract(path, aside)
        _put(path, aside, target)
    except DownloadError:
        raise
    except Exception as error:  # what reads archives has many ways to say that one is broken
        raise DownloadError(
            f"{path} cannot be unpacked in {target}: {str(error) or type(error).__name__}; make room if the disk is "
            "full, else remove it and run again"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def parts_of(path: Path) -> list[Path]:
    """The other files of a zip that is split over several: `x.z01`, … beside `x.zip`."""
    return sorted(p for p in path.parent.iterdir() if p.stem == path.stem and re.fullmatch(PART, p.suffix))


def _extract(path: Path, folder: Path) -> None:
    if path.suffix == ".7z" or parts_of(path):
        _check(path, folder, _listed(_seven_zip(path, "l", "-slt", "-ba")))
        _seven_zip(path, "x", "-y", f"-o{folder}")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _check(path, folder, map(_zipped, archive.infolist()))
            for member in tqdm(archive.infolist(), desc=f"unpack {path.name}", unit="file", mininterval=1.0):
                archive.extract(member, folder)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            _check(path, folder, map(_tarred, archive))  # as far as it is read: a bomb is not
            archive.extractall(folder, filter="data")
    else:
        shutil.copyfile(path, folder / path.name)


def _tarred(member: tarfile.TarInfo) -> Member:
    return member.name, member.size, "folder" if member.isdir() else "" if member.isreg() else "no file"


def _zipped(member: zipfile.ZipInfo) -> Member:
    if member.is_dir():
        return member.filename, 0, "folder"
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 if no Unix wrote it
    wrong = "encrypted" if member.flag_bits & 1 else "no file" if kind not in (0, stat.S_IFREG) else ""
    return member.filename, member.file_size, wrong


def _seven_zip(path: Path, command: str, *options: str) -> str:
    program = next((found for name in SEVEN_ZIP if (found := shutil.which(name))), None)
    if program is None:
        raise DownloadError(
            f"{path} needs one of the commands {', '.join(SEVEN_ZIP)}, and none is installed\n  remedy: install "
            "7-Zip (e.g. `apt install 7zip`) and run again; what is downloaded is kept"
        )
    asked = [program, command, *options, str(path)]
    done = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise DownloadError(
            f"{path} cannot be unpacked: {(done.stderr or done.stdout).strip()[-500:]}; remove it and run again"
        )
    return done.stdout


def _listed(text: str) -> Iterator[Member]:
    """The members in what `7z l -slt -ba` says: a paragraph each, of lines `<property> = <value>`."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        about = dict(re.findall(r"^(\w[\w ]*) = (.*)$", paragraph, re.M))
        kind = about.get("Attributes", "")
        wrong = (
            "encrypted" if about.get("Encrypted") == "+" else "no file" if re.search(r"\b[lpscb][r-][w-]", kind) else ""
        )
        yield about.get("Path", ""), int(about.get("Size") or 0), "folder" if kind.startswith("D") else wrong


def _check(path: Path, folder: Path, members: Iterable[Member]) -> None:
    """Raises DownloadError for the first of the members that must not be unpacked in `folder`, before any is."""
    most = max(SMALL, EXPANSION * sum(p.stat().st_size for p in (path, *parts_of(path))))
    free, total, seen = shutil.disk_usage(folder).free, 0, set()
    for name, nb_bytes, kind in members:
        where = f"{path}: its member {name[:80]!r}"
        if kind == "folder" and os.path.normpath(name) == ".":
            continue
        if kind not in ("", "folder"):
            raise DownloadError(f"{where} is {kind}; unpack the archive by hand if you trust it")
        try:
            inside(name)
        except ValueError as error:
            raise DownloadError(f"{where} would lie elsewhere; unpack the archive by hand if you trust it") from error
        if kind == "" and os.path.normpath(name) in seen:
            raise DownloadError(f"{where} is there twice; unpack the archive by hand")
        seen.add(os.path.normpath(name))
        total += nb_bytes
        if total > most:
            raise DownloadError(f"{where} and those before it are {total} bytes, more than {most}; unpack it by hand")
        if total > free:
            raise DownloadError(f"{where} and those before it are {total} bytes, and {free} are free; make room")


def _put(path: Path, aside: Path, target: Path) -> None:
    """Move all files from `aside` to the same places in `target`, where none replaces another one."""
    found = [
        file for file in sorted(aside.rglob("*")) if not (file.is_dir() or JUNK & {*file.relative_to(aside).parts})
    ]
    files = {file: target / file.relative_to(aside) for file in found}
    for file, place in files.items():
        if file.is_symlink() or not file.is_file():
            raise DownloadError(f"{path}: its member {file.name!r} is no file; unpack the archive by hand")
        if os.path.lexists(place) and not (place.is_file() and filecmp.cmp(file, place, shallow=False)):
            raise DownloadError(f"{place} is there and is not that of {path}; move it away and run again")
    for file, place in ((file, place) for file, place in files.items() if not place.exists()):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, place)
