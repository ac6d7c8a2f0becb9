"""The output folder: whose it is, and what may be replaced in it."""

from dataclasses import replace

import pytest

from tests.shards import finished, output_of
from transforms.dataset.output import claim
from transforms.dataset.plan import make_plan
from transforms.errors import UserError
from transforms.settings import Settings
from transforms.storage import Storage

storage = Storage()


def test_output_of_another_run_is_refused_or_replaced(tmp_path, clips):
    _, plan, output, _ = finished(tmp_path, clips)
    other = Settings(sample_rate=8_000, validation_fraction=0.0)
    with pytest.raises(UserError, match=r"settings.sample_rate \(16000, now 8000\).*--overwrite"):
        claim(replace(output, settings=other), plan, overwrite=False)
    assert (tmp_path / "out/dataset.json").exists()
    (tmp_path / "out/tuning").mkdir()
    (tmp_path / "out/tuning/job.json").write_text("{}")
    claim(replace(output, settings=other), plan, overwrite=True)
    left = {uri.removeprefix(output.folder + "/") for uri in storage.list_files(output.folder)}
    assert left == {"run.json", "tuning/job.json"}  # what names a paid job is not ours to delete


def test_strangers_files_are_never_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.doc").write_text("")
    plan = make_plan([], Settings())
    with pytest.raises(UserError, match=r"other files, for example .*thesis\.doc"):
        claim(output_of(tmp_path), plan, overwrite=True)


def test_a_run_of_the_same_command_that_begins_in_between_is_no_stranger(tmp_path, monkeypatch):
    output, plan = output_of(tmp_path), make_plan([], Settings())

    def list_files(self, folder):
        monkeypatch.undo()
        claim(output, plan, overwrite=False)
        return self.list_files(folder)

    monkeypatch.setattr(Storage, "list_files", list_files)
    assert claim(output, plan, overwrite=False).resumed
    assert storage.list_files(output.folder) == [f"{output.folder}/run.json"]
