"""What tests of every package share."""

import multiprocessing.util
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest
from gcp_storage_emulator.server import create_server

from tests.gcs_proxy import Proxy
from transforms.storage import Storage

storage = Storage()

# Made once a process, and short: below the folder of a test, the names of sockets would be too long.
multiprocessing.util.get_temp_dir()

# In the background of a script, and below a parent that does not care how its children end, a process starts with
# signals ignored, and so do its own. The tests send Ctrl-C and ask for exit statuses.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def pytest_addoption(parser):
    parser.addoption("--fuzz", type=int, default=1_000, metavar="N", help="mutants to try (default: %(default)s)")
    parser.addoption("--bombs", action="store_true", help="try the manifests that take long to be refused, too")
    parser.addoption("--airflow", action="store_true", help="try the example of a DAG in a real Airflow, too")
    parser.addoption("--dataflow", action="store_true", help="try launches on the fake Dataflow, too")
    parser.addoption("--seed", default="0", help="which mutants, any words (default: %(default)s)")


def pytest_make_parametrize_id(val, argname):
    """Names long values by their length: files that are made anew for each process need not be equal to the byte, and
    a process can be started only while the name of the test, in its environment, is shorter than 128 KiB."""
    most = 40 if isinstance(val, bytes) else 1_000
    return f"{argname} of {len(val)}" if isinstance(val, bytes | str) and len(val) > most else None


def pytest_generate_tests(metafunc):
    """`--bombs` tries those that take long, too."""
    if "bomb_name" in metafunc.fixturenames:
        table = metafunc.module.BOMBS
        chosen = [name for name in table if table[name].is_quick or metafunc.config.getoption("--bombs")]
        metafunc.parametrize("bomb_name", chosen)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_ready(url: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return  # an answer, if only 404
        except OSError:
            continue
        return
    raise TimeoutError(f"nothing answers at {url}")


@pytest.fixture(scope="session")
def storage_emulator():
    """A Google Cloud Storage emulator in this process; its address."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    address = f"http://127.0.0.1:{port}"
    wait_until_ready(address)
    yield server, address
    server.stop()


@pytest.fixture
def bucket(storage_emulator, monkeypatch):
    """An empty bucket of the emulator, to which STORAGE_EMULATOR_HOST points: "gs://cliptune-test"."""
    server, address = storage_emulator
    server.wipe()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    make_bucket(address, "cliptune-test")
    return "gs://cliptune-test"


@pytest.fixture
def gcs(storage_emulator, monkeypatch):
    """A proxy in front of the emulator that can break requests; STORAGE_EMULATOR_HOST points to it.

    Buckets: "cliptune-test", "other" and "pays".
    """
    server, address = storage_emulator
    server.wipe()
    for name in ("cliptune-test", "other", "pays"):
        make_bucket(address, name)
    proxy = Proxy(address)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.address)
    yield proxy
    proxy.stop()


def make_bucket(address: str, name: str) -> None:
    body = f'{{"name": "{name}"}}'.encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{address}/storage/v1/b?project=test", body, headers)).close()
