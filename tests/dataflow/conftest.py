"""Launches on the fake Dataflow, against the gs:// emulator: real commands of this process, real workers elsewhere."""

import json
import os

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cliptune.main import main
from tests.beam_pipeline.conftest import EXAMPLES, SOME, Run, prepare  # noqa: F401 -- a fixture
from tests.dataflow.service import Fake
from tests.envelopes import report_of
from transforms.storage import Storage

OUT = "gs://cliptune-test/out"
PLACE = ["--project=test-project", "--region=us-central1", "--temp_location=gs://cliptune-test/tmp"]


def pytest_ignore_collect(collection_path, config):
    """The environments of workers take minutes to make: `make test-dataflow` asks for these tests."""
    return True if collection_path.name.startswith("test_") and not config.getoption("--dataflow") else None


@pytest.fixture(scope="session")
def key():
    """A private key that opens nothing."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(*kinds).decode()


@pytest.fixture
def fake(gcs, key, tmp_path, monkeypatch):
    """The service, credentials for it, and a bucket with some recordings and a manifest of them."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    service = Fake(tmp_path / "dataflow", environment)
    address = service.start()
    account = {
        "type": "service_account",
        "client_email": "launcher@test-project.iam.gserviceaccount.com",
        "private_key": key,
        "token_uri": f"{address}/token",
        "project_id": "test-project",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    service.flags = ["--runner=DataflowRunner", *PLACE, f"--dataflow_endpoint={address}"]
    fill_bucket(SOME)
    yield service
    service.stop()


def fill_bucket(rows, only_manifest=""):
    """Puts recordings and a manifest of them into the bucket; or a manifest alone."""
    storage = Storage()
    for row in () if only_manifest else rows:
        storage.write_bytes(f"gs://cliptune-test/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    storage.write_bytes(f"gs://cliptune-test/{only_manifest or 'm.jsonl'}", content.encode())


@pytest.fixture
def launch(prepare, fake):  # noqa: F811
    """`cliptune prepare` of the bucket's manifest, on Dataflow."""

    def call(*flags, manifest="gs://cliptune-test/m.jsonl", output=OUT):
        return prepare(manifest, output, *fake.flags, *flags)

    return call


@pytest.fixture
def run_report(capfd):
    """`cliptune report` of the dataset."""

    def call(*flags):
        capfd.readouterr()
        status = main(["report", OUT, *flags])
        captured = capfd.readouterr()
        return Run(status, report_of(captured.out, status), captured.err)

    return call


def objects(folder=OUT):
    """Every object below a folder, by its path."""
    storage = Storage()
    return {uri.removeprefix(f"{folder}/"): storage.read_bytes(uri) for uri in storage.list_files(folder)}
