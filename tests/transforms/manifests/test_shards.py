"""Which files of a folder are its manifests, of which splits, and what patterns of shards stand for."""

import json
from pathlib import Path

import pytest

from transforms.errors import UserError
from transforms.manifests import locate, shards
from transforms.manifests.shards import Shards
from transforms.storage import Storage

storage = Storage()
STATE = json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": None})


def fill(top, *names, **contents):
    for name in (*names, *contents):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents.get(name, "x"))
    return top


FOLDERS = {
    "tables of a hub": (
        ["README.md", "dataset_infos.json", "data/train-0.parquet", "data/test-0.parquet"],
        ["data/test-0.parquet", "data/train-0.parquet"],
    ),
    "tables beside each other": (["a.parquet", "b.parquet", "x.json"], ["a.parquet", "b.parquet"]),
    "tables in folders of splits": (
        ["default/train/0000.parquet", "default/test/0000.parquet"],
        ["default/test/0000.parquet", "default/train/0000.parquet"],
    ),
    "shards": (["s-000.tar", "s-001.tar", "sizes.json"], ["s-000.tar", "s-001.tar"]),
    "metadata beside recordings": (["metadata.csv", "a.wav", "b/c.wav"], ["metadata.csv"]),
    "metadata of splits": (
        ["train/metadata.jsonl", "train/a.wav", "test/metadata.jsonl", "test/a.wav"],
        ["test/metadata.jsonl", "train/metadata.jsonl"],
    ),
    "metadata without recordings": (["metadata.csv", "x.png"], []),
    "pairs beside metadata": (["metadata.csv", "a.wav", "a.txt"], []),
    "pairs beside a table": (["a.parquet", "a.wav", "a.txt"], []),
    "Kaldi": (["wav.scp", "text", "a.parquet"], []),
    "a data set of Cliptune": (["dataset.json", "ledger/ledger-00000-of-00001.parquet"], []),
    "what systems leave": (["._a.parquet", "__MACOSX/b.parquet", ".cache/c.parquet", "d.wav"], []),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_which_files_are_manifests(tmp_path, kind):
    names, wanted = FOLDERS[kind]
    fill(tmp_path, *names)
    assert shards.files_of(str(tmp_path), "x", storage) == wanted


def test_each_file_is_a_manifest_of_its_own(tmp_path):
    fill(tmp_path / "hub", "data/train-0.parquet", "data/train-1.parquet")
    found = locate.locate(["hub"], str(tmp_path), storage)
    assert [each.name for each in found] == ["hub/data/train-0.parquet", "hub/data/train-1.parquet"]
    assert {(each.is_folder, each.folders) for each in found} == {(False, (str(tmp_path / "hub"),))}


def test_what_save_to_disk_has_written(tmp_path):
    fill(
        tmp_path,
        "train/dataset_info.json",
        "train/data-00000-of-00001.arrow",
        "dataset_dict.json",
        "train/cache-1.arrow",
        **{"train/state.json": STATE},
    )
    assert shards.files_of(str(tmp_path), "x", storage) == ["train/data-00000-of-00001.arrow"]


def test_a_saved_data_set_that_is_not_whole(tmp_path):
    fill(tmp_path, **{"state.json": STATE})
    with pytest.raises(UserError, match=r"^x: data-00000-of-00001\.arrow, which state\.json names, is not there"):
        shards.files_of(str(tmp_path), "x", storage)


def test_a_saved_selection(tmp_path):
    state = {**json.loads(STATE), "_indices_data_files": [{"filename": "i.arrow"}]}
    fill(tmp_path, **{"state.json": json.dumps(state)})
    with pytest.raises(UserError, match="flatten_indices"):
        shards.files_of(str(tmp_path), "x", storage)


@pytest.mark.parametrize("state", ["{", "[]", "{}", '{"_data_files": 1}', '{"_data_files": [1]}'])
def test_a_state_of_something_else_is_no_data_set(tmp_path, state):
    fill(tmp_path, **{"state.json": state})
    assert shards.files_of(str(tmp_path), "x", storage) == []


def test_a_saved_data_set_names_no_file_outside(tmp_path):
    state = json.dumps({"_data_files": [{"filename": "../secret.arrow"}]})
    fill(tmp_path, "secret.arrow", **{"d/state.json": state})
    with pytest.raises(UserError, match="is not there"):
        shards.files_of(str(tmp_path / "d"), "x", storage)


def test_a_folder_of_several_data_sets_asks_which(tmp_path):
    fill(tmp_path, "en/train-0.parquet", "de/train-0.parquet")
    with pytest.raises(
        UserError, match=r"^x: the folder holds several data sets: de, en; name those .* --manifest=x/de$"
    ):
        shards.files_of(str(tmp_path), "x", storage)


def test_a_folder_of_lhotse_shar_says_what_to_do(tmp_path):
    fill(tmp_path, "cuts.000000.jsonl.gz", "recording.000000.tar")
    with pytest.raises(UserError, match="Lhotse Shar, which is not read"):
        shards.files_of(str(tmp_path), "x", storage)


def split(*paths):
    found = Shards.of({path: path for path in paths})
    return [found.split_of(path) for path in paths]


SPLITS = [
    (["d/train-00000-of-00002.parquet", "d/train-00001-of-00002.parquet"], [None, None]),
    (["d/train-0.parquet", "d/validation-0.parquet", "d/test-0.parquet"], ["train", "validation", "test"]),
    # Nothing is for validation: some of those for training will be.
    (["d/train-00000-of-00001.parquet", "d/test-00000-of-00001.parquet"], [None, "test"]),
    (
        ["d/train.clean.100-00000-of-00014.parquet", "d/validation.clean-00000-of-00001.parquet"],
        ["train", "validation"],
    ),
    (
        ["d/train-00000-of-00001-0123456789abcdef.parquet", "d/test-00000-of-00001-0123456789abcdef.parquet"],
        [None, "test"],
    ),
    (["d/train/0.parquet", "d/test/0.parquet"], [None, "test"]),
    (["test/d/a.parquet", "test/d/b.parquet"], [None, None]),  # what all share says nothing
    (["d/train-000.tar", "d/dev-000.tar"], ["train", "validation"]),
    (["d/train/metadata.csv", "d/eval/metadata.csv"], [None, "test"]),
    (["d/a-000.tar", "d/b-000.tar"], [None, None]),
    (["d/train-0.parquet", "d/other-0.parquet"], [None, None]),
    (["d/train.jsonl", "d/test.jsonl"], [None, None]),  # which is what it was
    (["gs://b/d/train-0.parquet", "gs://b/d/test-0.parquet"], [None, "test"]),
]


@pytest.mark.parametrize(("paths", "wanted"), SPLITS)
def test_the_names_of_shards_say_which_split_they_are_of(paths, wanted):
    assert split(*paths) == wanted


def test_a_file_beside_one_that_is_held_out_must_be_known():
    with pytest.raises(UserError, match=r"^d/other-0\.parquet: test-0\.parquet is held out by its name"):
        split("d/train-0.parquet", "d/other-0.parquet", "d/test-0.parquet")


def test_equal_names_in_several_folders_are_told_apart():
    found = Shards.of({path: path for path in ("d/train/0.parquet", "d/test/0.parquet")})
    assert [found.prefix(f"d/{each}/0.parquet") for each in ("train", "test")] == ["train/", "test/"]
    assert Shards.of({"d/train/0.parquet": ""}).prefix("d/train/0.parquet") == ""
    assert shards.ONE.prefix("d/train/0.parquet") == ""


PATTERNS = {
    "s-{000..002}.tar": ["s-000.tar", "s-001.tar", "s-002.tar"],
    "s-{8..11}.tar": ["s-8.tar", "s-9.tar", "s-10.tar", "s-11.tar"],
    "{train,dev}-{0..1}.tar": ["train-0.tar", "train-1.tar", "dev-0.tar", "dev-1.tar"],
    "{a}.tar": ["{a}.tar"],
    "{2..1}.tar": ["{2..1}.tar"],
    "{}.tar": ["{}.tar"],
    "a.tar": ["a.tar"],
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_braces_stand_for(pattern):
    assert shards.expanded(pattern) == PATTERNS[pattern]


@pytest.mark.parametrize("pattern", ["{0..1000000}.tar", "{0..9999}{0..9999}.tar", "{0..99999999999999999999}.tar"])
def test_braces_without_end(pattern):
    with pytest.raises(UserError, match="stands for over 1,000,000 files"):
        shards.expanded(pattern)


def test_every_shard_of_a_pattern_must_be_there(tmp_path):
    fill(tmp_path, "s-0.tar", "s-1.tar")
    found = locate.locate(["s-{0..1}.tar"], str(tmp_path), storage)
    assert [Path(each.uri).name for each in found] == ["s-0.tar", "s-1.tar"]
    with pytest.raises(UserError, match=r"^s-2\.tar: there is no such manifest"):
        locate.locate(["s-{0..2}.tar"], str(tmp_path), storage)


def test_a_file_of_just_this_name_is_no_pattern(tmp_path):
    fill(tmp_path, "s-{0..1}.tar")
    assert [each.name for each in locate.locate(["s-{0..1}.tar"], str(tmp_path), storage)] == ["s-{0..1}.tar"]
