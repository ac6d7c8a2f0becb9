"""What may be read from gs://, who pays, and who is told what when it may not."""

import pytest
from google.auth import credentials
from google.auth import exceptions as auth
from google.cloud.storage import Client

from tests.gcs_proxy import READER
from transforms import reasons
from transforms.errors import ClipRejected, StorageError, UserError
from transforms.storage import Storage, gcs_client, uris
from transforms.storage.gcs_client import GcsClient

storage = Storage()

LIMIT = 1 << 20
ROOT = "gs://cliptune-test/clips"
READS = [
    lambda storage, uri: storage.read_audio(uri, LIMIT),
    lambda storage, uri: storage.open_audio(uri).close(),
    Storage.read_bytes,
    Storage.size,
    Storage.exists,
    lambda storage, uri: storage.list_files(uris.parent(uri)),
    lambda storage, uri: storage.match(f"{uris.parent(uri)}/*.wav"),
    Storage.is_folder,
]
WRITES = [
    lambda storage, uri: storage.write_bytes(uri, b"x"),
    Storage.delete,
    lambda storage, uri: storage.concatenate([uri], f"{uri}.joined"),
]


def put(uri, content):
    storage.write_bytes(uri, content)
    return GcsClient().blob_of(uri).bucket.get_blob(gcs_client.split(uri)[1]).generation


def test_a_pinned_object_is_that_generation_and_no_other(gcs):
    generation = put(f"{ROOT}/a.wav", b"first")
    pinned = f"{ROOT}/a.wav#{generation}"
    assert storage.read_audio(pinned, LIMIT) == b"first"
    assert storage.size(pinned) == 5
    with storage.open_audio(pinned) as file:
        assert file.read() == b"first"
    put(f"{ROOT}/a.wav", b"second")
    with pytest.raises(ClipRejected) as refusal:
        storage.read_audio(pinned, LIMIT)
    assert refusal.value.reason == reasons.NOT_FOUND
    assert storage.read_audio(f"{ROOT}/a.wav", LIMIT) == b"second"


def test_a_pinned_object_costs_one_request(gcs):
    generation = put(f"{ROOT}/a.wav", b"x")
    gcs.calm()
    storage.read_audio(f"{ROOT}/a.wav#{generation}", LIMIT)
    assert len(gcs.seen) == 1


@pytest.mark.parametrize("name", ["take#7", "a.wav#7", "a.wav#07", "a#b#9999999999999999999", "a#99999999999999999999"])
def test_a_name_that_looks_pinned_is_a_name_where_there_is_no_such_generation(gcs, name):
    put(f"{ROOT}/{name.partition('#')[0]}", b"another")
    put(f"{ROOT}/{name}", b"mine")
    assert storage.read_audio(f"{ROOT}/{name}", LIMIT) == b"mine"
    storage.write_bytes(f"{ROOT}/{name}", b"again")
    assert storage.read_bytes(f"{ROOT}/{name}") == b"again"
    storage.delete(f"{ROOT}/{name}")
    assert not storage.exists(f"{ROOT}/{name}")
    assert storage.list_files(ROOT) == [f"{ROOT}/{name.partition('#')[0]}"]


@pytest.mark.parametrize("read", READS)
def test_a_forbidden_bucket_stops_the_run_and_says_who_needs_what(gcs, read):
    with pytest.raises(UserError) as told:
        read(storage, "gs://forbidden/clips/a.wav")
    assert str(told.value) == (
        f"no permission for gs://forbidden: grant {READER} roles/storage.objectViewer on the bucket"
    )


@pytest.mark.parametrize("write", WRITES)
def test_a_bucket_that_may_not_be_written_says_who_needs_what(gcs, write):
    with pytest.raises(UserError, match=f"no permission for gs://forbidden: grant {READER} roles/storage.objectUser "):
        write(storage, "gs://forbidden/a.wav")


@pytest.mark.parametrize("call", [*READS, *WRITES])
def test_a_missing_bucket_stops_the_run(gcs, call):
    with pytest.raises(UserError) as told:
        call(storage, "gs://nowhere/clips/a.wav")
    assert str(told.value) == "there is no bucket gs://nowhere: create it, or mend its name"


@pytest.mark.parametrize("call", [*READS, *WRITES])
def test_expired_credentials_stop_the_run(gcs, call):
    with pytest.raises(UserError, match=r"^no valid Google Cloud credentials for gs://signed-out; run: gcloud auth"):
        call(storage, "gs://signed-out/clips/a.wav")


def test_without_credentials_the_advice_is_to_sign_in(gcs):
    with pytest.raises(UserError, match=r"no permission for gs://anonymous without credentials: sign in .gcloud auth"):
        storage.size("gs://anonymous/a.wav")


def test_a_client_without_credentials(monkeypatch):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    gcs_client._client.cache_clear()
    with pytest.raises(UserError, match="no valid Google Cloud credentials for gs://b; run: gcloud auth"):
        storage.read_audio("gs://b/a.wav", LIMIT)


class Signing(credentials.Credentials):
    """An account that cannot sign in."""

    service_account_email = READER

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def refresh(self, request):
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "raised", "words"),
    [
        (auth.RefreshError("expired"), UserError, f"no valid Google Cloud credentials for gs://b as {READER}; run"),
        (auth.RefreshError("busy", retryable=True), StorageError, "sign-in service"),
    ],
)
def test_a_sign_in_that_fails(gcs, monkeypatch, fault, raised, words):
    client = Client(project="p", credentials=Signing(fault), client_options={"api_endpoint": gcs.address})
    monkeypatch.setattr(GcsClient, "client", lambda self: client)
    with pytest.raises(raised, match=words):
        storage.read_audio("gs://b/a.wav", LIMIT)
    assert gcs.seen == []


@pytest.mark.parametrize("call", [*READS, *WRITES])
def test_a_requester_pays_bucket_asks_for_the_flag(gcs, call):
    with pytest.raises(UserError, match=r"gs://pays is a requester-pays bucket: .*--billing_project"):
        call(storage, "gs://pays/clips/a.wav")


def test_a_requester_pays_bucket_is_read_when_somebody_pays(gcs):
    payer, uri = Storage("payer"), "gs://pays/clips/a.wav"
    payer.write_bytes(uri, b"x")
    for read in READS:
        read(payer, uri)
    payer.concatenate([uri], "gs://pays/joined")
    payer.delete(uri)
    assert payer.list_files("gs://pays/") == ["gs://pays/joined"]


def test_who_may_not_bill_the_project_is_told(gcs, monkeypatch):
    message = f"{READER} does not have serviceusage.services.use access to the Google Cloud project."
    monkeypatch.setitem(gcs.refusals, "pays", (403, message))
    with pytest.raises(UserError, match=f"bill gs://pays to project payer: grant {READER} .*serviceUsageConsumer"):
        Storage("payer").size("gs://pays/a.wav")


@pytest.mark.parametrize("name", ["x" * 1_025, "é" * 513, "a\nb", "a\rb", "a\ud800b"])
def test_a_name_that_no_object_can_have_is_not_found(gcs, name):
    with pytest.raises(ClipRejected) as refusal:
        storage.read_audio(f"{ROOT}/{name}", LIMIT)
    assert refusal.value.reason == reasons.NOT_FOUND
    assert gcs.seen == []


def test_missing_clips_ask_once_whether_their_bucket_is_there(gcs):
    gcs_client._check_bucket.cache_clear()
    for index in range(5):
        assert not storage.exists(f"{ROOT}/{index}.wav")
    paths = [request.target.partition("?")[0].removeprefix("/storage/v1/b/cliptune-test") for request in gcs.seen]
    assert paths == ["/o/clips%2F0.wav", "/o", *(f"/o/clips%2F{index}.wav" for index in range(1, 5))]
