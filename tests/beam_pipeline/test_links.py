"""Links in strangers' folders lead `prepare` nowhere else: nothing outside the allowed folders is read or written."""

import contextlib
import json
import os
import re
import shutil
import threading
from typing import Any

import pytest
import soundfile

from tests.beam_pipeline.conftest import contents, ledger
from tests.sounds import tone

ANY = "--max_rejected_fraction=1"
SECRET = "the-secret-text"


def sound(path, hertz):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(hertz, 16_000, 0.3), 16_000, "PCM_16", format="WAV")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """`data` with a pair, a Kaldi folder and a manifest, and `secret` beside it; the current folder."""
    for folder in ("data/good", "kaldi/u1", "kaldi/u2", "secret/s"):
        sound(tmp_path / f"{folder}.wav", 400 + 100 * len(folder))
    files = {
        "data/good.txt": "good",
        "data/m.jsonl": '{"audio": "good.wav", "text": "good"}\n',
        "kaldi/wav.scp": "u1 u1.wav\nu2 u2.wav\n",
        "kaldi/text": "u1 one\nu2 two\n",
        "kaldi/utt2spk": "u1 anna\nu2 ben\n",
        "kaldi/segments": "u1 u1 0 0.25\nu2 u2 0 0.25\n",
        "kaldi/reco2file_and_channel": "u1 x A\nu2 y A\n",
        "secret/s.txt": SECRET,
        "secret/m.jsonl": f'{{"audio": "s.wav", "text": "{SECRET}"}}\n',
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reasons(output):
    return sorted(str(row["reason"]) for row in ledger(output))


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ({"a.txt": "../secret/s.txt", "a.wav": "good.wav"}, ["None", "path_not_allowed"]),
        ({"a.txt": "good.txt", "a.wav": "../secret/s.wav"}, ["None", "path_not_allowed"]),
        ({"a.txt": "b", "b": "../secret/s.txt", "a.wav": "good.wav"}, ["None", "path_not_allowed"]),
        ({"a.txt": "/proc/self/environ", "a.wav": "good.wav"}, ["None", "path_not_allowed"]),
        ({"a.txt": "good.txt", "a.wav": "/dev/zero"}, ["None", "path_not_allowed"]),
        ({"sub": "../secret"}, ["None"]),  # a link to a folder is not entered
        ({"a.txt": "good.txt", "a.wav": "good.wav"}, ["None", "None"]),
    ],
)
def test_a_folder_of_pairs_may_hold_links_to_its_own_files(place, prepare, links, found):
    for name, target in links.items():
        (place / "data" / name).symlink_to(target)
    assert prepare("data", "out", ANY).status == 0
    assert reasons(place / "out") == found
    assert not any(SECRET.encode() in content for content in contents(place / "out").values())
    links_out = [
        name for name, target in links.items() if name in ("a.txt", "a.wav") and reasons(place / "out")[-1] != "None"
    ]
    if links_out:
        assert prepare("data", "more", ANY, "--allow_path=secret", "--allow_path=/proc").status == 0


@pytest.mark.parametrize("file", ["text", "wav.scp", "segments", "utt2spk", "reco2file_and_channel"])
def test_a_kaldi_folder_may_hold_links_to_allowed_files_only(place, prepare, file):
    (place / "kaldi" / file).rename(place / "secret" / file)
    (place / "kaldi" / file).symlink_to(f"../secret/{file}")
    run = prepare("kaldi", "out", ANY)
    line = f"kaldi/{file}: a link that leads out of the folder; put the file itself there, or pass --allow_path=FOLDER"
    assert (run.status, run.stderr.splitlines()[-1]) == (1, f"cliptune prepare: {line}")
    assert not (place / "out").exists()
    assert prepare("kaldi", "out", "--allow_path=secret").json["accepted"] == 2
    shutil.move(place / "secret" / file, place / "kaldi/inside")
    (place / "kaldi" / file).unlink()
    (place / "kaldi" / file).symlink_to("inside")
    assert prepare("kaldi", "again").json["accepted"] == 2


@pytest.mark.parametrize("file", ["text", "wav.scp", "segments", "utt2spk", "reco2file_and_channel"])
def test_a_pipe_in_a_kaldi_folder_is_one_line(place, prepare, file):
    (place / "kaldi" / file).unlink()
    os.mkfifo(place / "kaldi" / file)
    run = prepare("kaldi", "out")
    assert (run.status, run.stderr) == (1, f"cliptune prepare: kaldi/{file}: a pipe or device, not a regular file\n")


@pytest.mark.parametrize(
    ("link", "target", "pattern"),
    [("data/n.jsonl", "../secret/m.jsonl", "data/*.jsonl"), ("data/sub", "../secret", "data/*/m.jsonl")],
)
def test_a_glob_matches_no_link_that_leads_out_of_its_folder(place, prepare, link, target, pattern):
    """The user has named the folder, and whoever made it the link. A link that the user names is the user's."""
    (place / link).symlink_to(target)
    run = prepare(pattern, "out", ANY)
    assert run.status == 1
    assert "a link that leads out of the folder; put the file itself there, or pass --allow_path=FOLDER" in run.stderr
    assert not (place / "out").exists()
    assert prepare(pattern, "out", ANY, "--allow_path=secret").status == 0
    (place / "named.jsonl").symlink_to("secret/m.jsonl")
    assert prepare("named.jsonl", "named", "--audio_root=secret").json["accepted"] == 1


def test_no_row_leads_out_of_the_allowed_folders(place, prepare):
    (place / "data/x").mkdir()
    (place / "data/l").symlink_to("../secret")
    (place / "data/s.wav").symlink_to("../secret/s.wav")
    paths = ["../secret/s.wav", "l/s.wav", "x/../../secret/s.wav", "l/../secret/s.wav", "s.wav"]
    rows: list[dict[str, Any]] = [{"audio": path, "text": "x"} for path in paths]
    rows += [{**row, "offset": 0.05, "duration": 0.2} for row in rows]
    (place / "data/m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert prepare("data/m.jsonl", "out", ANY).status == 0
    letters = [json.loads(line) for line in (place / "out/rejected.jsonl").read_text().splitlines()]
    assert [letter["reject_reason"] for letter in letters] == ["path_not_allowed"] * len(rows)
    assert sorted(letter["reject_detail"] for letter in letters) == sorted(
        f"the path 'data/{row['audio']}' lies outside the manifest's folder and the allowed ones" for row in rows
    )
    assert prepare("data/m.jsonl", "more", "--allow_path=secret").json["accepted"] == len(rows)


def test_of_what_lies_outside_nothing_is_told(place, prepare):
    """Not even that it is there: a misspelt path inside may sound like one outside."""
    (place / "data/l").symlink_to("../secret")
    rows = ["l/none.wav", "../secret/none.wav", "L/s.wav", "x/y/../../../secret/s.wav", "a/../../secret/S.wav"]
    (place / "data/m.jsonl").write_text("".join(json.dumps({"audio": path, "text": "x"}) + "\n" for path in rows))
    assert prepare("data/m.jsonl", "out", ANY).status == 0
    details = [json.loads(line)["reject_detail"] for line in (place / "out/rejected.jsonl").read_text().splitlines()]
    assert len(details) == len(rows)
    assert not any("nearest" in detail for detail in details)


OURS = [
    "train/train-00000-of-00001.jsonl",
    "train/train-00000-of-00001.outcomes.json",
    "ledger/ledger-00000-of-00001.parquet",
    *("report.html", "report.json", "rejected.jsonl", "checksums.json", "dataset.json", "run.json", "manifests.json"),
    *("train", "ledger", "rejected"),
]


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        *((name, []) for name in OURS),
        *((name, ["--verify"]) for name in ("train", "train/train-00000-of-00001.jsonl")),
        *((name, ["--overwrite", "--sample_rate=8000"]) for name in ("train", "rejected", "report.html")),
    ],
)
def test_nothing_is_written_through_a_link_in_the_output(place, prepare, name, flags):
    """Such a link is replaced by the file itself, or ends the run in one line."""
    assert prepare("data/m.jsonl", "out").status == 0
    away = place / "away" / name
    away.parent.mkdir(parents=True)
    shutil.move(place / "out" / name, away)
    (place / "out" / name).symlink_to(away)
    before = contents(place / "away")
    run = prepare("data/m.jsonl", "out", *flags)
    assert contents(place / "away") == before
    assert run.status == (1 if (place / "out" / name).is_symlink() else 0)
    if run.status:
        assert re.search(r"is a link, behind|a link that leads out of the folder", run.stderr.splitlines()[-1])


@contextlib.contextmanager
def swapping(pairs):
    """Two names change places, again and again, while the block runs."""
    done = threading.Event()

    def swap():
        while not done.is_set():
            for name, other in pairs:
                between = name.with_name(f"{name.name}-between")
                name.rename(between)
                other.rename(name)
                between.rename(other)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield
    finally:
        done.set()
        swapper.join()


@pytest.mark.parametrize("what", ["files", "folder"])
def test_of_many_clips_whose_names_change_places_with_links_none_is_the_secret(place, prepare, what):
    """Whatever the system has between the look at a path and its opening; dead letters bring folders of their own."""
    number = 300
    rows = []
    for n in range(number):
        folder = place / f"data/{n % 4}"
        folder.mkdir(exist_ok=True)
        os.link(place / "data/good.wav", folder / f"{n}.wav")
        (folder / f"{n}.lnk").symlink_to(place / "secret/s.wav")
        (place / f"secret/{n}.wav").symlink_to("s.wav")
        segment = {"offset": 0.0, "duration": 0.25} if n % 3 == 0 else {}
        letter = {
            "reject_reason": None,
            "reject_detail": None,
            "reject_source": f"m:{n}",
            "reject_root": str(place / "data"),
        }
        rows.append({"id": str(n), "audio": f"{n % 4}/{n}.wav", "text": "x", **segment, **(letter if n % 2 else {})})
    (place / "data/m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if what == "files":
        pairs = [(place / f"data/{n % 4}/{n}.wav", place / f"data/{n % 4}/{n}.lnk") for n in range(number)]
    else:
        for n in range(4):
            (place / f"data/link{n}").symlink_to(place / "secret")
        pairs = [(place / f"data/{n}", place / f"data/link{n}") for n in range(4)]
    part = {"audio": "s.wav", "text": SECRET, "id": "part", "offset": 0.0, "duration": 0.25}
    with (place / "secret/m.jsonl").open("a") as manifest:
        manifest.write(json.dumps(part))
    assert prepare("secret/m.jsonl", "of_secret", "--keep_silence").json["accepted"] == 2
    with swapping(pairs):
        run = prepare("data/m.jsonl", "out", "--validation_fraction=0", "--keep_silence", ANY)
    if run.status:  # the rows had other places when they were read again
        assert "the manifest data/m.jsonl changed while it was read" in run.stderr
        return
    secrets = {row["audio_sha256"] for row in ledger(place / "of_secret")}
    rows = ledger(place / "out")
    assert len(rows) == number
    assert not secrets & {row["audio_sha256"] for row in rows}
    assert {row["reason"] for row in rows} <= {None, "path_not_allowed", "not_found", "not_a_regular_file"}
