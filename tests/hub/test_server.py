"""The loopback Hub as a script, and the answers that clients rely on."""

import io
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from hub.repos import Fault
from hub.samples import single, translations, wmt
from hub.server import LoopbackHub

FILE = "data/train-00000-of-00001.parquet"


@pytest.fixture
def hub():
    with LoopbackHub() as hub:
        yield hub


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.status, answer.read()


def test_as_a_script_it_serves_a_file_and_prints_the_variables(tmp_path):
    (tmp_path / "some.parquet").write_bytes(translations(20))
    command = [sys.executable, str(Path(__file__).with_name("server.py")), "--parquet", "some.parquet"]
    with subprocess.Popen(
        [*command, "--home", str(tmp_path / "home")], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            title = server.stdout.readline()
            lines = [server.stdout.readline().strip() for _ in range(6)]
            assert title.startswith("# serving wmt/wmt19 (cs-en) at http://127.0.0.1:")
            variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
            assert variables["HF_HOME"] == str(tmp_path / "home")
            assert variables["HF_UPDATE_DOWNLOAD_COUNTS"] == "0"
            at = f"{variables['HF_ENDPOINT']}/datasets/wmt/wmt19/resolve/main"
            _, content = fetch(f"{at}/cs-en/train-00000.parquet")
            assert pq.read_table(io.BytesIO(content)).num_rows == 20
        finally:
            server.terminate()


def test_a_large_file_lies_on_a_second_origin_that_serves_ranges(hub):
    hub.repos["a/b"] = single(50)
    content = hub.repos["a/b"].files[FILE].content
    url = f"{hub.endpoint}/datasets/a/b/resolve/main/{FILE}"
    assert fetch(url) == (200, content)
    assert fetch(url, Range="bytes=10-19") == (206, content[10:20])
    assert fetch(url, Range="bytes=-8") == (206, content[-8:])
    assert any(request.startswith("GET file") for request in hub.requests)


def test_an_old_name_is_redirected_with_307(hub):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    hub.repos["wmt/wmt19"] = wmt(old_names=("wmt19",))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(Stay).open(f"{hub.endpoint}/api/datasets/wmt19?blobs=true")
    assert caught.value.code == 307
    assert caught.value.headers["Location"] == "/api/datasets/wmt/wmt19?blobs=true"


def test_a_fault_can_strike_a_number_of_times(hub):
    hub.repos["a/b"] = single(50)
    hub.repos["a/b"].files[FILE].fault = Fault("error", times=1)
    url = f"{hub.endpoint}/datasets/a/b/resolve/main/{FILE}"
    with pytest.raises(urllib.error.HTTPError, match="500"):
        fetch(url)
    assert fetch(url)[0] == 200
