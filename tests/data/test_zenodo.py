"""Records of Zenodo, served here: by hash, resumed, unpacked, and an error that says what to do."""

import hashlib
import io
import shlex
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nrsed_lib.data import download
from nrsed_lib.data.desed import archives, zenodo
from nrsed_lib.data.desed.zenodo import fetch_record
from nrsed_lib.errors import DownloadError


def zipped(**files: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


class Server:
    """Serves `files`; cuts a connection after `limit` bytes; remembers what was asked."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.limit, self.asked = files, 1 << 30, []
        self.checksums = {name: "md5:" + hashlib.md5(content).hexdigest() for name, content in files.items()}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *args) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        import json

        name = handler.path.rpartition("/")[2]
        if name not in self.files:
            links = [
                {"key": n, "checksum": self.checksums[n], "links": {"self": f"{self.url}/files/{n}"}}
                for n in self.files
            ]
            content, start = json.dumps({"files": links}).encode(), 0
        else:
            wanted = handler.headers.get("Range", "bytes=0-")
            self.asked.append((name, wanted))
            start = int(wanted[6:-1])
            content = self.files[name][start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: self.limit] if name in self.files else content)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_DATA", str(tmp_path / "dataset"))
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "NB_RETRIES", 0)
    servers = []

    def start(**files: bytes) -> Server:
        servers.append(Server({name.replace("_", "."): content for name, content in files.items()}))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def test_a_record_is_downloaded_checked_and_unpacked_once(serve, tmp_path):
    server = serve(test10db_zip=zipped(test10db__a="A"), test5db_zip=zipped(test5db__a="B"))
    fetch_record("wild", server.url)
    assert (tmp_path / "dataset/WildDESED/test10db/a").read_text() == "A"
    assert (tmp_path / "dataset/WildDESED/test5db/a").read_text() == "B"
    fetch_record("wild", server.url)
    assert len(server.asked) == 2
    assert not list((tmp_path / "cache").rglob("*.zip")), "an archive that is unpacked takes room"


def test_a_download_goes_on_where_it_broke_off(serve, tmp_path):
    server = serve(test10db_zip=zipped(a="A" * 10_000_000))
    server.limit = (4 << 20) + 10
    with pytest.raises(
        DownloadError, match=r"test10db\.zip of Zenodo record 14013803(?s:.*)run again \(what is there is kept\)"
    ):
        fetch_record("wild", server.url)
    server.limit = 1 << 30
    fetch_record("wild", server.url)
    assert server.asked == [("test10db.zip", "bytes=0-"), ("test10db.zip", f"bytes={(4 << 20) + 10}-")]
    assert (tmp_path / "dataset/WildDESED/a").read_text() == "A" * 10_000_000


def test_a_record_without_the_file_and_no_connection_say_what_to_do(serve):
    server = serve(other_zip=zipped(a="A"))
    with pytest.raises(DownloadError, match=r"6026841 has no \['dcase_synth\.zip'\]; it has \['other\.zip'\]"):
        fetch_record("synthetic", server.url)
    with pytest.raises(DownloadError, match=r"cannot read Zenodo record 6026841(?s:.*)by hand and unpack it in"):
        fetch_record("synthetic", "http://127.0.0.1:1")
    with pytest.raises(DownloadError, match="no record 'wildest': use one of synthetic, labels"):
        fetch_record("wildest")


def test_every_record_has_a_place():
    assert all(record.isdigit() and folder for record, folder, _ in zenodo.RECORDS.values())


@pytest.fixture
def seven_zip(tmp_path, monkeypatch):
    """A command 7z that joins what it is given and lists or unpacks it as a zip: is it called with the right file?"""
    program, script = tmp_path / "bin" / "7z", tmp_path / "7z.py"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(script)])} "$@"\n')
    script.write_text(
        """import io, pathlib, sys, zipfile
command, *options, path = sys.argv[1:]
path = pathlib.Path(path)
parts = [*sorted(path.parent.glob(path.stem + ".z[0-9][0-9]")), path]
try:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(p.read_bytes() for p in parts)))
    if command == "l":
        for m in archive.infolist():
            print(f"Path = {m.filename}\\nSize = {m.file_size}\\nAttributes = A -rw-r--r--\\nEncrypted = -\\n")
    else:
        archive.extractall(options[1].removeprefix("-o"))
except zipfile.BadZipFile:
    sys.exit("ERROR: data error")
"""
    )
    program.chmod(0o755)
    monkeypatch.setattr(archives, "SEVEN_ZIP", ("7z-of-no-machine", "7z"))
    monkeypatch.setenv("PATH", str(program.parent))


def test_split_zips_and_7z_archives_are_unpacked_by_7z(serve, seven_zip, tmp_path):
    whole = zipped(FSD50K__a="sound" * 50)
    third = len(whole) // 3
    parts = {"x_z01": whole[:third], "x_z02": whole[third : 2 * third], "x_zip": whole[2 * third :]}
    server = serve(**parts, doc_zip=zipped(doc="text"), y_7z=zipped(y="more"))
    (folder,) = fetch_record("fsd50k", server.url)
    assert {p.name for p in folder.iterdir() if p.is_file()} == {"doc", "y", ".zenodo-4060432"}
    assert (folder / "FSD50K" / "a").read_text() == "sound" * 50
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()], "archives that are unpacked take room"


def test_without_7z_the_download_is_kept_and_the_remedy_said(serve, monkeypatch, tmp_path):
    monkeypatch.setattr(archives, "SEVEN_ZIP", ("7z-of-no-machine",))
    server = serve(y_7z=b"content")
    with pytest.raises(DownloadError, match=r"y.7z needs one of the commands 7z-of-no-machine(?s:.*)apt install 7zip"):
        fetch_record("clotho", server.url)
    assert [p.name for p in (tmp_path / "cache").rglob("*.7z")] == ["y.7z"]


def test_a_7z_archive_that_is_damaged_says_so(serve, seven_zip):
    with pytest.raises(DownloadError, match=r"y.7z cannot be unpacked: ERROR: data error"):
        fetch_record("clotho", serve(y_7z=b"content").url)
