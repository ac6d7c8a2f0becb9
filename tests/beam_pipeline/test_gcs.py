"""The main job in the bucket: manifests, audio and output on gs://, killed, refused, and with odd names."""

import functools
import itertools
import json
import signal
import threading

import apache_beam as beam
import pytest
from apache_beam.pipeline import PipelineVisitor
from apache_beam.portability import common_urns
from google.cloud.storage import blob

from beam_pipeline import embedded, pipeline
from cliptune.main import main
from tests import forked
from tests.beam_pipeline.conftest import EXAMPLES, SOME, contents, prepare_in_small_shards, write_manifest
from tests.gcs_proxy import READER
from transforms.storage import Storage, gcs, gcs_client, uris
from transforms.storage.gcs_client import GcsClient

storage = Storage()

OUT = "gs://cliptune-test/out"
RECORDING = next(EXAMPLES / row["audio_path"] for row in SOME if row["audio_path"].endswith(".flac"))
FLAGS = ["--manifest", "gs://cliptune-test/m.jsonl", "--output"]


@pytest.fixture
def uploaded(gcs, tmp_path):
    """The proxy, the recordings of SOME and their manifest behind it."""
    for row in SOME:
        storage.write_bytes(f"gs://cliptune-test/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    manifest = write_manifest(tmp_path / "m.jsonl", SOME)
    storage.write_bytes("gs://cliptune-test/m.jsonl", manifest.read_bytes())
    gcs.calm()
    return gcs


def downloaded(tmp_path, uri=OUT):
    """A dataset's files, as `contents` tells those of a local one."""
    for each in storage.list_files(uri):
        storage.write_bytes(str(tmp_path / "copy" / each.removeprefix(f"{uri}/")), storage.read_bytes(each))
    return contents(tmp_path / "copy")


def test_the_bucket_holds_what_the_disk_would(uploaded, prepare, small_shards, folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(folder)
    in_bucket = prepare("gs://cliptune-test/m.jsonl", OUT)
    assert (in_bucket.status, in_bucket.json["accepted"]) == (0, len(SOME))
    found = downloaded(tmp_path_factory.mktemp("download"))
    assert prepare("m.jsonl", "out").status == 0
    on_disk = contents(folder / "out")
    # The manifest's name is a row's source, so only what holds sources differs.
    assert found.keys() == on_disk.keys()
    same = [name for name in found if name.startswith(("train/", "validation/")) and name.endswith(".jsonl")]
    assert {name: found[name] for name in same} == {name: on_disk[name] for name in same}
    assert len(same) >= 4
    assert prepare("gs://cliptune-test/m.jsonl", OUT).json["reused"] == len(SOME)


@pytest.fixture(scope="module")
def calm_run():
    """What an undisturbed run of `uploaded` leaves; filled by the first test that needs it."""
    return {}


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("moment", "name", "count"),
    [
        ("before", "run.json", 1),
        ("after", ".jsonl", 2),  # a shard is there, its sidecar is not
        ("before", ".outcomes.json", 3),
        ("after", ".outcomes.json", 4),
        ("before", ".parquet", 1),
        ("before", "dataset.json", 1),
        ("after", "dataset.json", 1),
    ],
)
def test_a_killed_run_is_finished_by_the_next(
    uploaded, prepare, small_shards, tmp_path, tmp_path_factory, calm_run, moment, name, count
):
    if not calm_run:
        assert prepare("gs://cliptune-test/m.jsonl", OUT).status == 0
        calm_run.update(downloaded(tmp_path_factory.mktemp("calm")))
        for uri in storage.list_files(OUT):
            storage.delete(uri)
    command = functools.partial(prepare_in_small_shards, *FLAGS, OUT)
    killed = killed_run(uploaded, tmp_path, command, lambda request: request.uploads.endswith(name), moment, count)
    assert killed == -signal.SIGKILL
    assert storage.exists(f"{OUT}/dataset.json") == ((moment, name) == ("after", "dataset.json"))
    sidecars = [uri for uri in storage.list_files(OUT) if uri.endswith(".outcomes.json")]
    done = sum(len(json.loads(storage.read_bytes(uri))["outcomes"]) for uri in sidecars)
    uploaded.calm()
    again = prepare("gs://cliptune-test/m.jsonl", OUT)
    assert again.status == 0
    assert again.json["reused"] == done
    assert downloaded(tmp_path) == calm_run


def upload_in_parts(uri):
    patch = pytest.MonkeyPatch()
    patch.setattr(blob, "_MAX_MULTIPART_SIZE", 1)
    patch.setattr(gcs, "UPLOAD_BYTES", 1 << 18)
    storage.write_bytes(uri, bytes(1 << 20))


def test_killed_within_a_resumable_upload(uploaded, prepare, small_shards, tmp_path, monkeypatch):
    """A part of a shard has arrived: it is under no name, and the next run writes the shard anew."""
    uri = f"{OUT}/train/part"
    upload = functools.partial(upload_in_parts, uri)
    status = killed_run(uploaded, tmp_path, upload, lambda request: request.method == "PUT", "after", 2)
    assert status == -signal.SIGKILL
    assert not storage.exists(uri)
    assert storage.list_files(OUT) == []
    storage.write_bytes(uri, b"whole")
    assert storage.read_bytes(uri) == b"whole"


def killed_run(proxy, folder, call, wanted, moment, count):
    """Calls in a process that is killed at the `count`th request that is `wanted`; its exit status."""
    seen, reached = itertools.count(1), threading.Event()

    def watch(now, request):
        # Counted in one step, for several shards are written at a time.
        last = now == moment and wanted(request) and next(seen) == count
        if last:
            process.kill()
            reached.set()
        return last

    proxy.watch = watch
    with forked.running(call, folder=folder) as process:
        ended = process.ended()
    assert reached.wait(1), ended
    return ended.returncode


def test_two_runs_of_one_command_at_once(uploaded, prepare, small_shards, tmp_path):
    command = functools.partial(forked.running, prepare_in_small_shards, *FLAGS, OUT, folder=tmp_path)
    with command() as one, command() as other:
        ended = [run.ended() for run in (one, other)]
    assert [run.returncode for run in ended] == [0, 0], ended
    assert prepare("gs://cliptune-test/m.jsonl", "gs://other/out").status == 0
    assert downloaded(tmp_path / "twice") == downloaded(tmp_path / "once", "gs://other/out")


def rows_at(tmp_path, uris):
    rows = [{**SOME[0], "id": str(index), "audio_path": uri} for index, uri in enumerate(uris)]
    return write_manifest(tmp_path / "rows.jsonl", rows)


ODD = ["a[1].wav", "a*.wav", "a?.wav", "100%.wav", "%2F.wav", "a#7.wav", "a.wav#7", "two words.wav", "Grüße 🎤.wav"]


def test_odd_names_and_several_buckets_in_one_run(gcs, prepare, tmp_path):
    content = RECORDING.read_bytes()
    buckets = ["cliptune-test", "other"]
    places = [f"gs://{buckets[index % 2]}/in here/{name}" for index, name in enumerate(ODD)]
    for uri in places:
        storage.write_bytes(uri, content)
        storage.write_bytes(f"{uris.parent(uri)}/a1.wav", b"what a pattern would find")
    run = prepare(rows_at(tmp_path, places), "gs://other/out", "--dedupe=none", "--max_rejected_fraction=0")
    assert (run.status, run.json["accepted"]) == (0, len(ODD)), run.stderr


def test_pinned_rows_and_a_pinned_manifest(gcs, prepare, tmp_path):
    uri = "gs://cliptune-test/a.g722"  # a headerless codec, which only its name tells
    storage.write_bytes(uri, (EXAMPLES / "clips/asterisk_en/conf-muted.g722").read_bytes())
    generation = generation_of(uri)
    manifest = rows_at(tmp_path, [f"{uri}#{generation}", f"{uri}#{generation - 1}"])
    storage.write_bytes("gs://cliptune-test/m.jsonl", manifest.read_bytes())
    pinned = f"gs://cliptune-test/m.jsonl#{generation_of('gs://cliptune-test/m.jsonl')}"
    run = prepare(pinned, tmp_path / "out", "--max_rejected_fraction=1")
    assert (run.json["accepted"], run.json["reasons"]) == (1, {"not_found": 1})
    storage.write_bytes("gs://cliptune-test/m.jsonl", b"another")
    later = prepare(pinned, tmp_path / "out")
    assert (later.status, later.stdout) == (1, "")
    assert later.stderr == f"cliptune prepare: {pinned}: there is no such manifest, file or folder\n"


def generation_of(uri):
    bucket, name = gcs_client.split(uri)
    return GcsClient().client().bucket(bucket).get_blob(name).generation


@pytest.mark.parametrize(
    ("bucket", "told"),
    [
        ("forbidden", f"no permission for gs://forbidden: grant {READER} roles/storage.objectViewer on the bucket"),
        ("nowhere", "there is no bucket gs://nowhere: create it, or mend its name"),
        ("signed-out", "no valid Google Cloud credentials for gs://signed-out; run: gcloud auth application-default"),
        ("pays", "gs://pays is a requester-pays bucket: name the project that pays with --billing_project"),
    ],
)
@pytest.mark.parametrize("where", ["audio", "manifest", "output"])
def test_what_only_the_user_can_mend_stops_the_run_in_one_line(gcs, prepare, tmp_path, bucket, told, where):
    """Not one rejected row for every clip."""
    uris = {"audio": [f"gs://{bucket}/{index}.wav" for index in range(50)]}.get(where, ["gs://cliptune-test/a.wav"])
    manifest = f"gs://{bucket}/m.jsonl" if where == "manifest" else rows_at(tmp_path, uris)
    output = f"gs://{bucket}/out" if where == "output" else tmp_path / "out"
    run = prepare(manifest, output)
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert run.stderr.startswith(f"cliptune prepare: {told}")
    assert not (tmp_path / "out/dataset.json").exists()


# The steps that ask the bucket, by a part of their names; all others share one more process, which nobody tells.
ASKING = ("(rows)", "_WriteShard)", "_uses", "_drop", "_finish")


@pytest.fixture
def fresh_workers(monkeypatch):
    """Runs each step of ASKING in a process of its own, as a step may find itself on a fresh worker."""
    build = pipeline.build
    separated: list[str] = []

    class Separated(PipelineVisitor):
        def visit_transform(self, step):
            found = [name for name in ASKING if name in step.full_label and isinstance(step.transform, beam.ParDo)]
            if found:
                # Steps that ask for different workers are never fused into one stage.
                step.resource_hints = {common_urns.resource_hints.MIN_RAM_BYTES.urn: str(len(separated)).encode()}
                separated.extend(found)

    def built(pipeline, job):
        result = build(pipeline, job)
        pipeline.visit(Separated())
        return result

    monkeypatch.setattr(embedded, "build", built)
    return separated


def pay(tmp_path, rows):
    """Puts recordings and their manifest into the bucket that asks who pays."""
    payer = Storage("payer")
    for row in rows:
        payer.write_bytes(f"gs://pays/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    payer.write_bytes("gs://pays/m.jsonl", write_manifest(tmp_path / "m.jsonl", rows).read_bytes())


PAID = ("gs://pays/m.jsonl", "gs://pays/out", "--billing_project=payer", "--dedupe=audio", "--max_rejected_fraction=1")
# The same audio twice, so that a shard is rewritten.
REPEATED = [*SOME[:3], {**SOME[0], "id": "again"}]


def test_a_requester_pays_bucket_is_billed_to_the_project(gcs, prepare, tmp_path):
    pay(tmp_path, REPEATED)
    run = prepare(*PAID)
    assert (run.status, run.json["accepted"]) == (0, 3), run.stderr


def test_a_step_on_a_fresh_worker_knows_who_pays(gcs, prepare, tmp_path, fresh_workers):
    pay(tmp_path, REPEATED)
    gcs.calm()
    run = prepare(*PAID, "--direct_running_mode=multi_processing")
    assert (run.status, run.json["accepted"]) == (0, 3), run.stderr
    assert sorted(fresh_workers) == sorted(ASKING)
    asked = [request for request in gcs.seen if request.place[0] == "pays" and "upload_id" not in request.query]
    assert {request.query.get("userProject") for request in asked} == {"payer"}


@pytest.mark.parametrize("command", [["check"], ["tune", "--project=p", "--dry_run"]])
def test_the_tuning_half_is_billed_too(gcs, prepare, tmp_path, capfd, command):
    prepare(rows_at(tmp_path, [str(EXAMPLES / SOME[0]["audio_path"])]), tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.*"):
        Storage("payer").write_bytes(f"gs://pays/out/{path.relative_to(tmp_path / 'out')}", path.read_bytes())
    name, *flags = command
    assert main([name, "gs://pays/out", *flags]) == 1
    assert "gs://pays is a requester-pays bucket" in capfd.readouterr().err
    assert main([name, "gs://pays/out", *flags, "--billing_project=payer"]) == 0


@pytest.mark.parametrize("scheme", ["s3", "hdfs", "az", "https"])
@pytest.mark.parametrize("flag", ["--manifest", "--output"])
def test_other_storage_is_refused(prepare, tmp_path, scheme, flag):
    places = {"--manifest": str(rows_at(tmp_path, ["a.wav"])), "--output": str(tmp_path / "out")}
    run = prepare(*{**places, flag: f"{scheme}://bucket/x"}.values())
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert f"{scheme}:// is not supported; give a local path, or copy it to a gs:// bucket" in run.stderr
