"""Downloads from a real server on loopback, and from a mirror folder."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nrsed_lib.data import download
from nrsed_lib.data.download import fetch, fetch_all, fetch_published, published
from nrsed_lib.errors import DownloadError

BODY = b"a sound" * 100
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NRSED_MIRROR", raising=False)
    monkeypatch.setattr(download, "NB_RETRIES", 0)
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path, cache):
    """A server of one folder: (its URL, the paths asked for)."""
    (tmp_path / "site" / "some one").mkdir(parents=True)
    (tmp_path / "site" / "some one" / "a.wav").write_bytes(BODY)
    handler = type("Handler", (Handler,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "site"))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", handler.asked
        http.shutdown()


def test_a_file_is_fetched_once_and_kept(server, cache):
    url, asked = server
    path = fetch(f"{url}/some%20one/a.wav", SHA256)
    assert path == cache / "some one" / "a.wav"
    assert path.read_bytes() == BODY
    assert fetch(f"{url}/some%20one/a.wav", SHA256) == path
    assert len(asked) == 1


def test_a_damaged_file_is_fetched_again(server):
    url, asked = server
    path = fetch(f"{url}/some%20one/a.wav", SHA256)
    path.write_bytes(BODY[:50])
    assert fetch(f"{url}/some%20one/a.wav", SHA256).read_bytes() == BODY
    assert len(asked) == 2


def test_a_mirror_stands_in_for_the_network(cache, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    (mirror / "x").mkdir(parents=True)
    (mirror / "x" / "b.wav").write_bytes(BODY)
    monkeypatch.setenv("NRSED_MIRROR", str(mirror))
    assert fetch("https://nowhere.invalid/x/b.wav", SHA256).read_bytes() == BODY
    with pytest.raises(DownloadError, match=f"NRSED_MIRROR={mirror}"):
        fetch("https://nowhere.invalid/x/c.wav", SHA256)
    (mirror / "x" / "d.wav").write_bytes(b"something else")
    with pytest.raises(DownloadError, match=r"x/d\.wav"):
        fetch("https://nowhere.invalid/x/d.wav", SHA256)


def test_many_files_of_one_folder_come_into_an_empty_cache(tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / "deep" / "down"
    folder.mkdir(parents=True)
    for i in range(32):
        (folder / f"{i}.wav").write_bytes(BODY)
    monkeypatch.setenv("NRSED_MIRROR", str(tmp_path / "mirror"))
    for attempt in range(5):
        monkeypatch.setenv("NRSED_CACHE", str(tmp_path / f"cache{attempt}"))
        paths = fetch_all([(f"http://nowhere.invalid/deep/down/{i}.wav", SHA256) for i in range(32)], nb_threads=16)
        assert all(path.read_bytes() == BODY for path in paths)


def test_many_come_in_order_and_stop_at_the_first_failure(server, tmp_path):
    url, asked = server
    for i in range(20):
        (tmp_path / "site" / f"{i}.wav").write_bytes(BODY)
    paths = fetch_all([(f"{url}/{i}.wav", SHA256) for i in range(20)])
    assert [p.name for p in paths] == [f"{i}.wav" for i in range(20)]
    asked.clear()
    with pytest.raises(DownloadError, match=r"none\.wav"):
        fetch_all([(f"{url}/none.wav", SHA256)] + [(f"{url}/{i}.ogg", SHA256) for i in range(200)], nb_threads=1)
    assert len(asked) < 20


def test_published_files_have_names(shared, cache, monkeypatch):
    monkeypatch.setenv("NRSED_MIRROR", str(shared / "mirror"))
    assert fetch_published("ontology.json").stat().st_size == published().loc["ontology.json"].bytes
    with pytest.raises(DownloadError, match=r"no file 'ontologie\.json'"):
        fetch_published("ontologie.json")
