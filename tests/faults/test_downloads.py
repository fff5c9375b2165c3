"""Downloads: whatever servers, mirrors, disks, records and archives do, one clear error; nothing good is harmed.

The server here sends the bytes that a case is made of, an answer a request, and what comes after a fault has ended
is tried in every case: it must succeed.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import socket
import stat
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pooch
import pytest

from nrsed_lib.data import download, http
from nrsed_lib.data.desed import archives, zenodo
from nrsed_lib.data.desed.archives import unpack
from nrsed_lib.data.desed.zenodo import fetch_record
from nrsed_lib.data.download import fetch, fetch_published
from nrsed_lib.data.tables import read_rows
from nrsed_lib.errors import DataError, DownloadError, FolderError
from nrsed_lib.run import cli

pytestmark = pytest.mark.timeout(20)  # what hangs has failed

BODY = b"a sound " * 500
SHA256 = hashlib.sha256(BODY).hexdigest()


def says(status: str = "200 OK", body: bytes = b"", length: object = None, **headers: object) -> bytes:
    """An HTTP answer, byte by byte. length: what it says of its body instead of the truth; "" for nothing."""
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", "Connection: close", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    lines += [f"Content-Length: {length}"] if length != "" else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server:
    """Answers each request with the next of `acts`, and for ever with the last; remembers what was asked for."""

    def __init__(self) -> None:
        self.acts: list[bytes | Callable[[socket.socket, str], None]] = []
        self.asked: list[str] = []  # where the body should begin
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client: socket.socket) -> None:
        with client:
            asked = b""
            while b"\r\n\r\n" not in asked and (more := client.recv(4096)):
                asked += more
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            start = asked.lower().partition(b"range: bytes=")[2].partition(b"-")[0].decode()
            self.asked.append(start)
            try:
                client.sendall(act) if isinstance(act, bytes) else act(client, asked.decode())
            except OSError:  # who asked has gone
                return


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.listening.close()


@pytest.fixture(autouse=True)
def quick(server, tmp_path, monkeypatch):
    """Folders of its own for each case, one retry without a wait, and a short patience."""
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NRSED_DATA", str(tmp_path / "dataset"))
    monkeypatch.delenv("NRSED_MIRROR", raising=False)
    monkeypatch.setattr(download, "NB_RETRIES", 1)
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(http, "PATIENCE", 0.3)
    server.asked.clear()


def drip(client: socket.socket, _: str) -> None:
    client.sendall(says(length=len(BODY)))
    for i in range(len(BODY)):
        client.sendall(BODY[i : i + 1])
        time.sleep(0.02)


def drip_of_headers(client: socket.socket, _: str) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    for i in range(300):
        client.sendall(b"X" if i % 9 else b"X: x\r\n")
        time.sleep(0.02)


def endless(client: socket.socket, _: str) -> None:
    client.sendall(says(length=""))
    while True:
        client.sendall(bytes(1 << 16))


def silent(client: socket.socket, _: str) -> None:
    time.sleep(2)


def broken(nb: int) -> Callable[[socket.socket, str], None]:
    """A whole answer, whose connection is reset after `nb` bytes of the body."""

    def act(client: socket.socket, _: str) -> None:
        client.sendall(says(body=BODY[:nb], length=len(BODY)))
        time.sleep(0.05)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset

    return act


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks)
    return says(length="", Transfer_Encoding="chunked") + parts + end


def resumed(start: int, said: object = None, body: bytes = BODY) -> bytes:
    said = f"bytes {start}-{len(body) - 1}/{len(body)}" if said is None else said
    return says("206 Partial Content", body[start:], Content_Range=said)


GOOD = says(body=BODY)
HTML = b"<!DOCTYPE html><html><body>Please sign in.</body></html>"
ELSEWHERE = says("302 Found", Location="/there")

# What the server does, words of the message, how often it is asked.
SERVERS = {
    "400": ([says("400 Bad Request")], ["400 Bad Request"], 1),
    "401": ([says("401 Unauthorized")], ["401"], 1),
    "403": ([says("403 Forbidden")], ["403 Forbidden"], 1),
    "404": ([says("404 Not Found", HTML)], ["404 Not Found"], 1),
    "410": ([says("410 Gone")], ["410"], 1),
    "451": ([says("451 Unavailable For Legal Reasons")], ["451"], 1),
    "408": ([says("408 Request Timeout")], ["408"], 2),
    "429": ([says("429 Too Many Requests", Retry_After="1000000000")], ["429"], 2),
    "500": ([says("500 Internal Server Error")], ["500"], 2),
    "502": ([says("502 Bad Gateway")], ["502"], 2),
    "503": ([says("503 Service Unavailable")], ["503"], 2),
    "504": ([says("504 Gateway Timeout")], ["504"], 2),
    "204": ([says("204 No Content", length="")], ["204"], 2),
    "304": ([says("304 Not Modified", length="")], ["304"], 2),
    "999": ([says("999 What")], ["999"], 2),
    "416 at once": ([says("416 Range Not Satisfiable")], ["416"], 1),
    "redirected in a circle": ([says("302 Found", Location="/a.wav")], ["redirects"], None),
    "redirected to a file": ([says("302 Found", Location="file:///etc/passwd")], ["file:"], None),
    "redirected to nowhere": ([says("302 Found", Location="http://127.0.0.1:1/a")], ["refused"], None),
    "redirected without an address": ([says("302 Found")], ["302"], 2),
    "no answer": ([b""], ["Connection"], 2),
    "no HTTP": ([b"hello\r\n\r\n"], ["hello"], 2),
    "a status of text": ([b"HTTP/1.1 fine\r\n\r\n"], ["fine"], 2),
    "cut in its head": ([GOOD[:30]], ["cannot get"], 2),
    "silence": ([silent], ["timed out"], 2),
    "drip": ([drip], ["bytes came in"], 2),
    "drip of headers": ([drip_of_headers], ["no whole answer"], 2),
    "endless": ([endless], ["more comes than the 4000 bytes"], 2),
    "length too long": ([says(body=BODY, length=4001)], ["has 4001 bytes of it, not 4000"], 1),
    "length too short": ([says(body=BODY, length=3999)], ["has 3999 bytes of it, not 4000"], 1),
    "length of a terabyte": ([says(body=BODY, length=10**12)], [f"has {10**12} bytes"], 1),
    "another length": ([says(body=BODY[:9])], ["has 9 bytes of it"], 1),
    "longer without a length": ([says(body=BODY + b"more", length="")], ["more comes than"], 2),
    "shorter without a length": ([says(body=BODY[:9], length="")], ["ended after"], 2),
    "empty": ([says()], ["cannot get"], 2),
    "wrong bytes": ([says(body=b"x" * 4000)], [SHA256, "hash"], 2),
    "one bit": ([says(body=b"b" + BODY[1:])], ["hash"], 2),
    "page of HTML": ([says(body=HTML)], ["bytes of it, not"], 1),
    "page of HTML without a length": ([says(body=HTML, length="")], ["ended after"], 2),
    "reset at once": ([broken(0)], ["connection"], 2),
    "cut again and again": ([says(body=BODY[:100], length=4000)], ["connection ended"], 2),
    "chunks cut": ([chunked(BODY[:100], end=b"")], ["connection ended"], 2),
    "chunk of a wrong length": ([chunked(BODY[:100], end=b"zz\r\nab\r\n")], ["connection ended"], 2),
    "resumed elsewhere": ([broken(1000), resumed(500)], ["another part"], 2),
    "resumed with other bytes": ([broken(1000), resumed(1000, body=b"x" * 4000)], ["hash"], 2),
    "resumed, then cut": ([broken(1000), says("206 Partial Content", BODY[1000:1500], 3000)], ["connection ended"], 2),
    "resumed, too long": ([broken(1000), resumed(1000, "bytes 1000-", BODY + b"x")], ["has 4001 bytes"], 2),
}  # fmt: skip

# What the server does that ends well, and where each request began.
ENDS_WELL = {
    "503 once": ([says("503 Service Unavailable"), GOOD], ["", ""]),
    "429 once": ([says("429 Too Many Requests"), GOOD], ["", ""]),
    "no answer once": ([b"", GOOD], ["", ""]),
    "reset, then resumed": ([broken(1000), resumed(1000)], ["", "1000"]),
    "cut, then resumed": ([says(body=BODY[:1000], length=4000), resumed(1000)], ["", "1000"]),
    "resumed without saying so": ([broken(1000), says("206 Partial Content", BODY[1000:])], ["", "1000"]),
    "resumed, range ignored": ([broken(1000), GOOD], ["", "1000"]),
    "wrong bytes once": ([says(body=b"x" * 4000), GOOD], ["", ""]),
    "redirected": ([ELSEWHERE, GOOD], ["", ""]),
    "no length": ([says(body=BODY, length="")], [""]),
    "length that is no number": ([says(body=BODY, length="many")], [""]),
    "chunks": ([chunked(BODY[:7], BODY[7:])], [""]),
}  # fmt: skip


def files_of(*folders: Path) -> dict[str, bytes]:
    """What is in folders, but for what is begun and who holds it."""
    found = [p for folder in folders for p in folder.rglob("*") if ".parts" not in p.parts and p.suffix != ".lock"]
    return {str(p): p.read_bytes() for p in found if stat.S_ISREG(p.lstat().st_mode)}


def refused(call: Callable[[], object], *words: str) -> str:
    with pytest.raises(DownloadError) as error:
        call()
    for word in words:
        assert word.lower() in str(error.value).lower(), str(error.value)
    assert len(str(error.value)) < 2000 and "Traceback" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("acts", "words", "nb_asked"), SERVERS.values(), ids=SERVERS)
def test_what_a_server_does_is_said_and_its_end_is_enough(server, tmp_path, acts, words, nb_asked):
    server.acts, url = list(acts), f"{server.url}/x/a.wav"
    refused(lambda: fetch(url, SHA256, len(BODY)), url, SHA256, "remedy:", "run again", "NRSED_MIRROR", *words)
    assert nb_asked is None or len(server.asked) == nb_asked
    assert not files_of(tmp_path)
    server.acts = [honest]
    assert fetch(url, SHA256, len(BODY)) == tmp_path / "cache/x/a.wav"
    assert files_of(tmp_path) == {str(tmp_path / "cache/x/a.wav"): BODY}
    assert not list((tmp_path / "cache/.parts").iterdir())


def honest(client: socket.socket, asked: str) -> None:
    """A server that does what it should."""
    start = int(asked.lower().partition("range: bytes=")[2].partition("-")[0] or 0)
    if start >= len(BODY):
        client.sendall(says("416 Range Not Satisfiable"))
    else:
        client.sendall(resumed(start) if start else GOOD)


@pytest.mark.parametrize(("acts", "asked"), ENDS_WELL.values(), ids=ENDS_WELL)
def test_what_may_change_is_tried_again_and_resumed(server, acts, asked):
    server.acts = list(acts)
    assert fetch(f"{server.url}/a.wav", SHA256, len(BODY)).read_bytes() == BODY
    assert server.asked == asked


def test_what_was_all_there_when_it_broke_off_is_used(server):
    server.acts = [says(body=BODY, length=4001), honest]
    assert fetch(f"{server.url}/a.wav", SHA256).read_bytes() == BODY
    assert server.asked == ["", "4000"]


def test_nobody_listens():
    refused(lambda: fetch("http://127.0.0.1:1/a.wav", SHA256), "refused", "check the connection")


def test_what_is_there_is_not_asked_for(server, tmp_path):
    server.acts = [GOOD, b""]
    path = fetch(f"{server.url}/a.wav", SHA256)
    assert fetch(f"{server.url}/a.wav", SHA256) == path and len(server.asked) == 1


def test_a_damaged_file_stays_until_another_is_there(server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/a.wav").write_bytes(b"damaged")
    server.acts = [says("503 Service Unavailable")]
    refused(lambda: fetch(f"{server.url}/a.wav", SHA256), "503")
    assert (tmp_path / "cache/a.wav").read_bytes() == b"damaged"
    server.acts = [GOOD]
    assert fetch(f"{server.url}/a.wav", SHA256).read_bytes() == BODY


def test_endless_bytes_of_an_unknown_length_end(server, monkeypatch):
    monkeypatch.setattr(http, "LARGEST", 1 << 20)
    server.acts = [endless]
    refused(lambda: fetch(f"{server.url}/a.wav", SHA256), f"more comes than the {1 << 20} bytes")


def test_a_good_file_of_a_cache_that_cannot_be_written_will_do(server, tmp_path):
    server.acts = [GOOD]
    path = fetch(f"{server.url}/a.wav", SHA256)
    (tmp_path / "cache/.parts").rmdir()
    (tmp_path / "cache/.parts").write_text("nobody writes here")
    assert fetch(f"{server.url}/a.wav", SHA256) == path


def test_two_at_once_ask_once(server):
    def slow(client: socket.socket, _: str) -> None:
        time.sleep(0.2)
        client.sendall(GOOD)

    server.acts = [slow]
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(f"{server.url}/a.wav", SHA256), range(4)))
    assert len(set(paths)) == 1 and paths[0].read_bytes() == BODY and len(server.asked) == 1


def test_a_full_disk_is_said_and_what_came_is_kept(server, monkeypatch):
    def full(reply: object, most: int) -> Iterator[bytes]:
        yield BODY[:1000]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    server.acts = [honest]
    with monkeypatch.context() as patch:
        patch.setattr(http, "body", full)
        refused(lambda: fetch(f"{server.url}/a.wav", SHA256), "No space left on device", "the room")
    assert fetch(f"{server.url}/a.wav", SHA256).read_bytes() == BODY
    assert server.asked == ["", "1000"]


# What is in the way, how it comes to be there, words of the message. (Of the cache itself: test_folders.py.)
IN_THE_WAY = {
    "folder is a file": ("cache/x", lambda path: path.write_bytes(b"mine"), ["exists"]),
    "file is a folder": ("cache/x/a.wav", Path.mkdir, ["is no file", "move it away"]),
    "file is a pipe": ("cache/x/a.wav", os.mkfifo, ["is no file", "move it away"]),
    "parts are a file": ("cache/.parts", lambda path: path.write_bytes(b"mine"), ["exists"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "make", "words"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_is_in_the_way_is_named_and_stays(server, tmp_path, name, make, words):
    server.acts, place = [GOOD], tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    make(place)
    before = files_of(tmp_path)
    refused(lambda: fetch(f"{server.url}/x/a.wav", SHA256), str(place), *words)
    assert files_of(tmp_path) == before and os.path.lexists(place)
    place.rename(tmp_path / "away")
    assert fetch(f"{server.url}/x/a.wav", SHA256).read_bytes() == BODY


# Addresses that have no place in the cache.
ADDRESSES = {
    "climbs": "http://x/../../a.wav",
    "climbs in disguise": "http://x/%2e%2e/%2e%2e/a.wav",
    "climbs with backslashes": "http://x/..%5C..%5Ca.wav",
    "absolute": "http://x//etc/passwd",
    "drive": "http://x/C:/a.wav",
    "no name": "http://x/",
    "no path": "http://x",
    "no scheme": "x/a.wav",
    "file": "file:///etc/passwd",
    "ftp": "ftp://x/a.wav",
    "zero": "http://x/a%00.wav",
    "newline": "http://x/a%0A.wav",
    "no host": "http:///a.wav",
    "half an address": "http://[::1/a.wav",
    "empty": "",
    "only dots": "http://x/./.",
}  # fmt: skip


@pytest.mark.parametrize("url", ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_without_a_place_is_refused(tmp_path, url):
    refused(lambda: fetch(url, SHA256), repr(url[:80]), "correct the address")
    assert not list(tmp_path.iterdir())


def linked(path: Path, to: str) -> None:
    path.symlink_to(to)


# What a mirror is, and what the message says of it.
MIRRORS = {
    "missing": (None, ["No such file"]),
    "without the file": (Path.mkdir, ["No such file"]),
    "with another file": (lambda mirror: put(mirror, b"x" * 4000), ["hash"]),
    "with a cut file": (lambda mirror: put(mirror, BODY[:999]), ["hash"]),
    "with an empty file": (lambda mirror: put(mirror, b""), ["hash"]),
    "with a folder in its place": (lambda mirror: (mirror / "x/a.wav").mkdir(parents=True), ["no file"]),
    "with a pipe in its place": (lambda mirror: (put(mirror), os.mkfifo(mirror / "x/a.wav")), ["no file"]),
    "with a device in its place": (lambda mirror: (put(mirror), linked(mirror / "x/a.wav", "/dev/zero")), ["no file"]),
    "with a link in a circle": (lambda mirror: (put(mirror), linked(mirror / "x/a.wav", "a.wav")), ["link"]),
    "with a link to nothing": (lambda mirror: (put(mirror), linked(mirror / "x/a.wav", "b.wav")), ["No such file"]),
}  # fmt: skip


def put(mirror: Path, content: bytes | None = None) -> None:
    (mirror / "x").mkdir(parents=True)
    if content is not None:
        (mirror / "x/a.wav").write_bytes(content)


@pytest.mark.parametrize(("make", "words"), MIRRORS.values(), ids=MIRRORS)
def test_a_mirror_that_has_it_not_is_named(tmp_path, monkeypatch, make, words):
    mirror, url = tmp_path / "mirror", "http://nowhere.invalid/x/a.wav"
    if make:
        make(mirror)
    monkeypatch.setenv("NRSED_MIRROR", str(mirror))
    refused(lambda: fetch(url, SHA256), url, SHA256, f"check NRSED_MIRROR={mirror}", *words)
    assert not files_of(tmp_path / "cache")
    put(tmp_path / "whole", BODY)
    monkeypatch.setenv("NRSED_MIRROR", str(tmp_path / "whole"))
    assert fetch(url, SHA256).read_bytes() == BODY


# Records of Zenodo --------------------------------------------------------------------------------------------------

ENTRY = {"key": "a.txt", "checksum": "md5:" + hashlib.md5(BODY).hexdigest(), "size": len(BODY)}


def entry(**other: Any) -> dict[str, Any]:
    """An entry of a record's list of files, with a link to the server; None leaves a field out."""
    about = ENTRY | {"links": {"self": "SERVER/files/a"}} | other
    return {name: value for name, value in about.items() if value is not None}


def record(*entries: Any) -> bytes:
    return json.dumps({"files": list(entries)}).encode()


# Of an entry, what is wrong with it: field and value; the message says both.
ENTRIES = {
    "name absolute": ("key", "/etc/passwd"),
    "name climbs": ("key", "../x"),
    "name climbs within": ("key", "a/../../x"),
    "name of two folders up": ("key", "../../victim.txt"),
    "name empty": ("key", ""),
    "name a dot": ("key", "."),
    "name two dots": ("key", ".."),
    "name with a zero": ("key", "a\0.zip"),
    "name with a newline": ("key", "a\n.zip"),
    "name climbs for windows": ("key", "..\\x"),
    "name of a drive": ("key", "C:\\x"),
    "name of a drive, short": ("key", "C:x"),
    "name of a share": ("key", "\\\\host\\x"),
    "name with a folder": ("key", "folder/a.zip"),
    "name of a device": ("key", "NUL"),
    "name of a device with an ending": ("key", "com1.txt"),
    "name ends in a dot": ("key", "a.zip."),
    "name ends in a blank": ("key", "a.zip "),
    "name hidden": ("key", ".zenodo-4560759"),
    "name for a shell": ("key", "a;rm -rf x"),
    "name with escapes": ("key", "a\x1b[2J"),
    "name with a surrogate": ("key", "a\ud800.zip"),
    "name of 10,000": ("key", "a" * 10_000),
    "name a number": ("key", 7),
    "name null": ("key", None),
    "checksum missing": ("checksum", None),
    "checksum empty": ("checksum", ""),
    "checksum without its algorithm": ("checksum", "0" * 32),
    "checksum too short": ("checksum", "md5:" + "0" * 31),
    "checksum too long": ("checksum", "md5:" + "0" * 33),
    "checksum of another algorithm": ("checksum", "crc32:00000000"),
    "checksum with the length of another": ("checksum", "sha256:" + "0" * 32),
    "checksum not of digits": ("checksum", "md5:" + "g" * 32),
    "checksum a list": ("checksum", ["md5:" + "0" * 32]),
    "size negative": ("size", -1),
    "size a fraction": ("size", 0.5),
    "size of text": ("size", "large"),
    "links missing": ("links", None),
    "links empty": ("links", {}),
    "links a text": ("links", "there"),
    "link a number": ("links", {"self": 1}),
    "link to a file": ("links", {"self": "file:///etc/passwd"}),
    "link of ftp": ("links", {"self": "ftp://x/a"}),
    "link climbs": ("links", {"self": "SERVER/../../a"}),
    "link without a host": ("links", {"self": "/api/files/a"}),
}  # fmt: skip

# What the API answers instead of a record, and words of the message.
ANSWERS = {
    "page of HTML": (HTML, ["JSON"]),
    "nothing": (b"", ["JSON"]),
    "null": (b"null", ["Record"]),
    "a number": (b"7", ["7"]),
    "a text": (b'"files"', ["files"]),
    "a list": (b"[]", ["[]"]),
    "no files": (b'{"id": 1}', ["files"]),
    "files null": (b'{"files": null}', ["files"]),
    "files a text": (b'{"files": "a.zip"}', ["files", "a.zip"]),
    "files an object": (b'{"files": {"a.zip": {}}}', ["files"]),
    "files empty": (b'{"files": []}', ["files"]),
    "an entry null": (b'{"files": [null]}', ["files.0"]),
    "an entry a text": (b'{"files": ["a.zip"]}', ["files.0", "a.zip"]),
    "cut": (record(entry())[:-9], ["JSON"]),
    "latin-1": (b'{"files": "\xe4"}', ["JSON"]),
    "a name twice": (record(entry(), entry(checksum="md5:" + "0" * 32)), ["a.txt", "twice"]),
    "a name twice but for its case": (record(entry(), entry(key="A.TXT")), ["a.txt", "twice"]),
    "deep": (b"[" * 100_000, ["JSON"]),
}  # fmt: skip


@pytest.fixture
def owned(tmp_path) -> dict[str, bytes]:
    """What a user has, inside the folder of the data sets and outside of it."""
    for name in ("victim.txt", "dataset/layout.yaml", "dataset/metadata/own.tsv", "cache/zenodo/other/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"mine: {name}")
    return files_of(tmp_path)


def serving(server: Server, answer: bytes, content: bytes = BODY) -> None:
    """The API's answer to what asks for a record, and a content for whatever is asked of its files."""

    def act(client: socket.socket, asked: str) -> None:
        is_file = asked.startswith("GET /files/")
        client.sendall(says(body=content if is_file else answer.replace(b"SERVER", server.url.encode())))

    server.acts = [act]


def of_record(server: Server, tmp_path: Path, owned: dict[str, bytes], answer: bytes, *words: str) -> None:
    """That an answer is refused, and a good one then is not."""
    serving(server, answer)
    fetching = lambda: fetch_record("public-eval", f"{server.url}/api")  # noqa: E731
    refused(fetching, "Zenodo record 4560759", "remedy:", "https://zenodo.org/records/4560759", *words)
    assert files_of(tmp_path) == owned
    serving(server, record(entry()))
    assert fetching() == [tmp_path / "dataset"]
    done = {str(tmp_path / "dataset" / name): content for name, content in
            (("a.txt", BODY), (".zenodo-4560759", b"\na.txt"))}  # fmt: skip
    assert files_of(tmp_path) == owned | done


@pytest.mark.parametrize(("field", "value"), ENTRIES.values(), ids=ENTRIES)
def test_an_entry_of_a_record_that_breaks_a_rule_is_named(server, tmp_path, owned, request, field, value):
    shown = value["self"] if isinstance(value, dict) and value else value
    words = ["JSON" if "surrogate" in request.node.name else field]  # which knows no such thing
    if shown not in (None, {}, "there"):  # of what is not there the entry is shown
        words.append(repr(shown)[:30].replace("SERVER", server.url) if words == [field] else "a.txt"[:1])
    of_record(server, tmp_path, owned, record(entry(**{field: value})), *words)


@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_no_record_is_refused(server, tmp_path, owned, answer, words):
    of_record(server, tmp_path, owned, answer, *words)


# Ways in which a good entry brings another file, and words of the message.
OTHERS = {
    "other bytes": (entry(), b"x" * len(BODY), ["hash", ENTRY["checksum"]]),
    "more bytes": (entry(), BODY + b"x", ["has 4001 bytes of it, not 4000"]),
    "fewer bytes": (entry(), BODY[:-1], ["has 3999 bytes of it, not 4000"]),
    "another size": (entry(size=5), BODY, ["has 4000 bytes of it, not 5"]),
    "another checksum": (entry(checksum="md5:" + "0" * 32), BODY, ["hash", "0" * 32]),
    "another checksum of sha256": (entry(checksum="sha256:" + "0" * 64), BODY, ["hash", "0" * 64]),
    "a page of HTML": (entry(size=None), HTML, ["hash"]),
    "nobody there": (entry(links={"self": "http://127.0.0.1:1/a"}), BODY, ["refused"]),
}  # fmt: skip


@pytest.mark.parametrize(("listed", "content", "words"), OTHERS.values(), ids=OTHERS)
def test_another_file_than_the_record_says_is_refused(server, tmp_path, owned, listed, content, words):
    serving(server, record(listed), content)
    refused(lambda: fetch_record("public-eval", f"{server.url}/api"), "a.txt of Zenodo record 4560759", *words)
    assert files_of(tmp_path) == owned


def test_an_api_without_end_ends(server, tmp_path, owned, monkeypatch):
    monkeypatch.setattr(zenodo, "LONGEST", 1 << 20)
    server.acts = [endless]
    refused(lambda: fetch_record("public-eval", f"{server.url}/api"), f"more comes than the {1 << 20} bytes")


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "429 Too Many Requests", "500 Oh", "204 None"])
def test_an_api_that_refuses_is_said(server, status):
    server.acts = [says(status, length="" if status.startswith("204") else 0)]
    refused(lambda: fetch_record("public-eval", f"{server.url}/api"), status[:3], "record 4560759", "by hand")


def test_what_is_unpacked_is_not_fetched_again(server, tmp_path):
    names = ["test10db.zip", "test5db.zip"]
    content = {name: zipped([(name, name)]) for name in names}
    sums = {name: "md5:" + hashlib.md5(content[name]).hexdigest() for name in names}
    answer = record(*(entry(key=n, checksum=sums[n], size=None, links={"self": f"SERVER/files/{n}"}) for n in names))
    works = [names[0]]

    def act(client: socket.socket, asked: str) -> None:
        name = asked.split()[1].rpartition("/")[2]
        if name in names and name not in works:
            client.sendall(says("404 Not Found"))
        else:
            client.sendall(says(body=content.get(name, answer.replace(b"SERVER", server.url.encode()))))

    server.acts = [act]
    refused(lambda: fetch_record("wild", f"{server.url}/api"), "test5db.zip")
    works[:] = [names[1]]
    folder = fetch_record("wild", f"{server.url}/api")[0]
    assert sorted(p.name for p in folder.iterdir()) == [".zenodo-14013803", *names]


def test_two_at_once_fetch_a_record_once(server, tmp_path):
    serving(server, record(entry()))
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: fetch_record("public-eval", f"{server.url}/api"), range(3)))
    assert found == [[tmp_path / "dataset"]] * 3 and len(server.asked) == 2  # what it has, and the file


@pytest.mark.parametrize("killed", ["_extract", "_put", "shutil"])
def test_what_was_killed_while_unpacking_is_done_again(server, tmp_path, owned, monkeypatch, killed):
    content = zipped([("metadata/own.tsv", "mine: dataset/metadata/own.tsv"), ("a.wav", "a"), ("b.wav", "b")])
    answer = record(entry(key="x.zip", checksum="md5:" + hashlib.md5(content).hexdigest(), size=len(content)))
    serving(server, answer, content)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        moving = SimpleNamespace(**vars(shutil) | {"move": stop})
        patch.setattr(archives, killed, moving if killed == "shutil" else stop)
        fetch_record("public-eval", f"{server.url}/api")
    left = {path: content for path, content in files_of(tmp_path).items() if not path.endswith("x.zip")}
    assert left == owned
    fetch_record("public-eval", f"{server.url}/api")
    names = {"a.wav": b"a", "b.wav": b"b", ".zenodo-4560759": b"\nx.zip"}
    assert files_of(tmp_path) == owned | {str(tmp_path / "dataset" / name): what for name, what in names.items()}
    assert len(server.asked) == 3  # the archive was there already


def test_the_place_of_a_record_is_a_file(server, tmp_path):
    serving(server, record(entry()))
    (tmp_path / "dataset").write_text("mine")
    with pytest.raises(FolderError, match=r"NRSED_DATA=.*dataset is no folder; name a folder, or unset NRSED_DATA"):
        fetch_record("public-eval", f"{server.url}/api")
    assert (tmp_path / "dataset").read_text() == "mine"


# Archives -----------------------------------------------------------------------------------------------------------


def zipped(members: list[tuple[str, str]], mode: int = 0, pack: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", pack) as archive:
        for name, content in members:
            about = zipfile.ZipInfo(name)
            about.filename = name  # as it is, not as it should be
            about.external_attr = mode << 16
            about.compress_type = pack
            with pytest.warns(UserWarning) if name in archive.namelist() else io.BytesIO():
                archive.writestr(about, content)
    return file.getvalue()


def tarred(*members: tuple[str, bytes], content: bytes = b"x", link: str = "", gz: bool = False) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz" if gz else "w") as archive:
        for name, kind in members:
            about = tarfile.TarInfo(name)
            about.type, about.linkname, about.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(about, io.BytesIO(content))
    return file.getvalue()


REG, LNK, SYM, CHR, BLK, DIR, FIFO = (bytes([code]) for code in b"0123456")  # types of a member of a tar file
GOOD_ZIP = zipped([("folder/a.wav", "a" * 1000), ("folder/b.wav", "b" * 1000)])
GOOD_TAR = tarred(("folder", DIR), ("folder/a.wav", REG), content=b"a" * 1000)
ENCRYPTED = GOOD_ZIP.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0")
UNKNOWN = GOOD_ZIP.replace(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x63\0")
WRONG_CRC = GOOD_ZIP.replace(b"a" * 1000, b"a" * 999 + b"c")

ARCHIVES = {
    "zip climbs": ("x.zip", zipped([("../out.txt", "x")]), ["'../out.txt'", "elsewhere"]),
    "zip climbs far": ("x.zip", zipped([("../../victim.txt", "x")]), ["'../../victim.txt'"]),
    "zip climbs within": ("x.zip", zipped([("a/../../out.txt", "x")]), ["'a/../../out.txt'"]),
    "zip absolute": ("x.zip", zipped([("/tmp/out.txt", "x")]), ["'/tmp/out.txt'"]),
    "zip climbs for windows": ("x.zip", zipped([("..\\out.txt", "x")]), ["out.txt"]),
    "zip with a drive": ("x.zip", zipped([("C:/out.txt", "x")]), ["C:/out.txt"]),
    "zip with a share": ("x.zip", zipped([("//host/x/out.txt", "x")]), ["//host/x/out.txt"]),
    "zip with a link": ("x.zip", zipped([("a", "/etc/passwd")], stat.S_IFLNK | 0o777), ["'a'", "no file"]),
    "zip with a pipe": ("x.zip", zipped([("a", "")], stat.S_IFIFO | 0o666), ["'a'", "no file"]),
    "zip with a device": ("x.zip", zipped([("a", "")], stat.S_IFCHR | 0o666), ["'a'", "no file"]),
    "zip, good then climbs": ("x.zip", zipped([("a.wav", "x"), ("../out.txt", "x")]), ["'../out.txt'"]),
    "zip with a name twice": ("x.zip", zipped([("a.wav", "x"), ("a.wav", "y")]), ["'a.wav'", "twice"]),
    "zip with a name twice, written otherwise": ("x.zip", zipped([("a", "x"), ("./a", "y")]), ["'./a'", "twice"]),
    "zip with a file for a folder": ("x.zip", zipped([("a", "x"), ("a/b", "y")]), ["cannot be unpacked"]),
    "zip encrypted": ("x.zip", ENCRYPTED, ["encrypted"]),
    "zip with a wrong sum": ("x.zip", WRONG_CRC, ["CRC"]),
    "zip of an unknown method": ("x.zip", UNKNOWN, ["cannot be unpacked"]),
    "zip that is a bomb": ("x.zip", zipped([("a", "0" * 200_000)], pack=zipfile.ZIP_DEFLATED), ["200000 bytes"]),
    "zip of many small bombs": ("x.zip", zipped([(str(i), "0" * 50_000) for i in range(4)], pack=8), ["'2'", "150000"]),
    "zip larger than the disk": ("x.zip", GOOD_ZIP, ["1500 are free", "make room"]),
    "zip with an empty name": ("x.zip", zipped([("", "x")]), ["cannot be unpacked"]),
    "zip over my file": ("x.zip", zipped([("mine.txt", "yours")]), ["mine.txt", "move it away"]),
    "zip over my file, later": ("x.zip", zipped([("a", "a"), ("own/mine.txt", "yours")]), ["mine.txt", "move it away"]),
    "zip over my folder": ("x.zip", zipped([("own", "yours")]), ["own", "move it away"]),
    "zip below my file": ("x.zip", zipped([("mine.txt/a", "yours")]), ["mine.txt"]),
    "zip over my link": ("x.zip", zipped([("link", "yours")]), ["link", "move it away"]),
    "tar climbs": ("x.tar", tarred(("../../out.txt", REG)), ["'../../out.txt'", "elsewhere"]),
    "tar absolute": ("x.tar", tarred(("/etc/out.txt", REG)), ["'/etc/out.txt'"]),
    "tar climbs by a folder": ("x.tar", tarred(("../up", DIR)), ["'../up'"]),
    "tar with a link out": ("x.tar", tarred(("a", SYM), link="../../victim.txt"), ["'a'", "no file"]),
    "tar with a link within": ("x.tar", tarred(("b", REG), ("a", SYM), link="b"), ["'a'", "no file"]),
    "tar with a hard link out": ("x.tar", tarred(("a", LNK), link="../../victim.txt"), ["'a'", "no file"]),
    "tar through a link": ("x.tar", tarred(("a", SYM), ("a/out.txt", REG), link="/tmp"), ["'a'", "no file"]),
    "tar with a pipe": ("x.tar", tarred(("a", FIFO)), ["'a'", "no file"]),
    "tar with a device": ("x.tar", tarred(("a", CHR)), ["'a'", "no file"]),
    "tar with a disk": ("x.tar", tarred(("a", BLK)), ["'a'", "no file"]),
    "tar with a name twice": ("x.tar", tarred(("a", REG), ("a", REG)), ["'a'", "twice"]),
    "tar.gz that is a bomb": ("x.tar.gz", tarred(("a", REG), content=bytes(200_000), gz=True), ["200000 bytes"]),
    "tar cut": ("x.tar", GOOD_TAR[:1300], ["cannot be unpacked"]),
    "tar.gz cut": ("x.tar.gz", tarred(("a", REG), content=os.urandom(3000), gz=True)[:-900], ["cannot be unpacked"]),
    "tar over my file": ("x.tar", tarred(("mine.txt", REG)), ["mine.txt", "move it away"]),
    "file over my file": ("mine.txt", b"yours", ["mine.txt", "move it away"]),
    "file over my folder": ("own", b"yours", ["own", "move it away"]),
    "7z of text": ("x.7z", b"no archive", ["needs one of the commands"]),
    "part without its program": ("y.zip", GOOD_ZIP, ["needs one of the commands"]),
}  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """Bombs of 200,000 bytes will do, and a disk has room for 300,000."""
    monkeypatch.setattr(archives, "SMALL", 100_000)
    monkeypatch.setattr(archives, "EXPANSION", 10)
    monkeypatch.setattr(archives, "SEVEN_ZIP", ("7z-of-no-machine",))


@pytest.mark.parametrize(("name", "content", "words"), ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_is_unpacked_whole_or_not_at_all(small, tmp_path, monkeypatch, request, name, content, words):
    target, path = tmp_path / "a" / "target", tmp_path / "packed" / name
    for mine in (target / "mine.txt", target / "own/mine.txt", tmp_path / "victim.txt", path, path.with_name("y.z01")):
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text("mine")
    (target / "link").symlink_to(target / "mine.txt")
    path.write_bytes(content)
    if "disk" in request.node.name and "zip" in request.node.name:
        monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1500))
    before, names = files_of(tmp_path), sorted(map(str, tmp_path.rglob("*")))
    refused(lambda: unpack(path, target), str(path), *words)
    assert files_of(tmp_path) == before and sorted(map(str, tmp_path.rglob("*"))) == names
    assert not Path("/tmp/out.txt").exists() and not Path("/etc/out.txt").exists()


# What is unpacked, though it looks strange: the archive, and the files that come of it.
UNPACKED = {
    "zip": ("x.zip", GOOD_ZIP, {"folder/a.wav", "folder/b.wav"}),
    "tar": ("x.tar", GOOD_TAR, {"folder/a.wav"}),
    "tar.gz": ("x.tar.gz", tarred(("a.wav", REG), gz=True), {"a.wav"}),
    "tar of a folder called .": ("x.tar", tarred((".", DIR), ("./a.wav", REG)), {"a.wav"}),
    "zip called tar": ("x.tar", GOOD_ZIP, {"folder/a.wav", "folder/b.wav"}),
    "tar called zip": ("x.zip", GOOD_TAR, {"folder/a.wav"}),
    "zip cut: no archive, but a file": ("x.zip", GOOD_ZIP[:-30], {"x.zip"}),
    "a zip in a zip stays one": ("x.zip", zipped([("y.zip", "PK")]), {"y.zip"}),
    "what is there already": ("x.zip", zipped([("own/mine.txt", "mine"), ("b", "b")]), {"own/mine.txt", "b"}),
    "text": ("x.txt", b"text", {"x.txt"}),
    "my link to the same": ("x.zip", zipped([("link", "mine")]), {"link"}),
    "what a Mac adds": ("x.zip", zipped([("__MACOSX/._a", "x"), ("own/.DS_Store", "x"), ("a", "x")]), {"a"}),
    "blanks and accents": ("x.zip", zipped([("a b/é 🐕.wav", "x")]), {"a b/é 🐕.wav"}),
    "names like options": ("x.zip", zipped([("-rf", "x")]), {"-rf"}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "files"), UNPACKED.values(), ids=UNPACKED)
def test_a_strange_archive_is_unpacked(small, tmp_path, name, content, files):
    target, path = tmp_path / "target", tmp_path / name
    (target / "own").mkdir(parents=True)
    (target / "own/mine.txt").write_text("mine")
    (target / "link").symlink_to("own/mine.txt")
    (target / ".unpacking").mkdir()  # of a killed run
    (target / ".unpacking/left").write_text("over")
    path.write_bytes(content)
    unpack(path, target)
    found = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()}
    assert found == files | {"own/mine.txt", "link"} and (target / "link").is_symlink()


# What `7z l` says of a member that must not be unpacked, and words of the message.
SEVEN = {
    "climbs": ("Path = ../out.txt\nSize = 1\nAttributes = A -rw-r--r--", ["'../out.txt'", "elsewhere"]),
    "absolute": ("Path = /etc/out.txt\nSize = 1\nAttributes = A", ["'/etc/out.txt'"]),
    "link": ("Path = a\nSize = 1\nAttributes = A lrwxrwxrwx", ["'a'", "no file"]),
    "pipe": ("Path = a\nSize = 0\nAttributes = A prw-r--r--", ["'a'", "no file"]),
    "encrypted": ("Path = a\nSize = 1\nAttributes = A\nEncrypted = +", ["encrypted"]),
    "bomb": ("Path = a\nSize = 99999999999\nPacked Size = 10\nAttributes = A", ["99999999999 bytes"]),
    "second": ("Path = d\nSize = \nAttributes = D drwxr-xr-x\n\nPath = d/../../x\nAttributes = A", ["d/../../x"]),
    "no list": ("what?", ["''"]),
}  # fmt: skip


@pytest.mark.parametrize(("listing", "words"), SEVEN.values(), ids=SEVEN)
def test_a_7z_archive_is_looked_at_before_it_is_unpacked(small, tmp_path, monkeypatch, listing, words):
    program, path = tmp_path / "bin" / "7z", tmp_path / "x.7z"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n[ $1 = l ] && printf '%s\\n' '{listing}' || touch {tmp_path}/unpacked\n")
    program.chmod(0o755)
    monkeypatch.setattr(archives, "SEVEN_ZIP", (str(program),))
    path.write_bytes(b"archive")
    refused(lambda: unpack(path, tmp_path / "target"), str(path), *words)
    assert not (tmp_path / "unpacked").exists() and not list((tmp_path / "target").iterdir())


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nosuch", "", "../x", "Wild", "wild ", "x" * 5000, "a\nb"])
def test_a_record_that_nobody_knows_is_one_line(monkeypatch, capsys, name):
    monkeypatch.setattr(sys, "argv", ["nrsed", "data", "fetch", "--", name])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.count("\n") == 1 and len(said) < 400
    assert said.startswith(f"nrsed: no record {name[:80]!r}: use one of synthetic, labels")


def test_a_file_that_nobody_published_is_named():
    refused(lambda: fetch_published("nosuch"), "no file 'nosuch'", "published.csv", "e.g.")


KNOWN = ("a", "1", "x", "")
KNOWN_ROWS = {
    "record of text": ("record", "ten"),
    "record empty": ("record", ""),
    "record climbs": ("record", "../1"),
    "folder climbs": ("folder", "../x"),
    "folder absolute": ("folder", "/etc"),
    "folder empty": ("folder", ""),
    "name empty": ("name", ""),
}  # fmt: skip


@pytest.mark.parametrize(("column", "value"), KNOWN_ROWS.values(), ids=KNOWN_ROWS)
def test_a_row_of_the_known_records_that_breaks_a_rule_is_named(tmp_path, column, value):
    header, path = ("name", "record", "folder", "only"), tmp_path / "zenodo.csv"
    row = [value if name == column else old for name, old in zip(header, KNOWN, strict=True)]
    path.write_text(f"{','.join(header)}\n{','.join(row)}\n")
    with pytest.raises(DataError) as error:
        read_rows(path, zenodo.Known, "name")
    assert all(word in str(error.value) for word in (f"{path}, line 2", column, repr(value), "correct it"))
