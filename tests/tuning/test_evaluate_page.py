"""docs/evaluate.md's commands beside its worked example, typed as they stand there, against the emulator."""

import json
import re
import shlex
from pathlib import Path

from tests.cliptune.test_commands import run
from tests.tuning.test_tuning_docs import checkout, typed
from transforms.storage import Storage
from tuning import dataset
from tuning.evaluation import clips

__all__ = ["checkout", "run"]  # fixtures

PAGE = (Path(__file__).parents[2] / "docs/evaluate.md").read_text(encoding="utf-8")


def test_the_page_can_be_followed_from_its_beginning_to_its_end(run, checkout):
    typed(run, "cliptune prepare --manifest examples/manifest.jsonl --output dataset")
    typed(run, "cliptune tune dataset --emulator --epochs 3")
    held_out = clips.of(dataset.load("dataset", Storage()), "validation")
    (checkout / "whisper-out").mkdir()
    for clip in held_out:
        (checkout / "whisper-out" / f"{Path(clip.uri).stem}.json").write_text(json.dumps({"text": clip.target}))
    rows = [{"audio_filepath": clip.uri, "pred_text": clip.target} for clip in held_out]
    (checkout / "nemo.json").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    systems_of = PAGE.partition("## Metrics")[0]
    commands = [line.partition("  #")[0] for line in re.findall(r"^    (cliptune .*)$", systems_of, re.MULTILINE)]
    assert [shlex.split(command)[1] for command in commands[:4]] == ["predict", "predict", "evaluate", "evaluate"]
    told = [typed(run, f"{line} --emulator" if " predict " in line else line) for line in commands]
    assert [result["predictions"] for result in told[:2]] == [len(held_out)] * 2
    assert list(told[2]["systems"]) == ["tuned", "base"]
    systems = told[3]["systems"]
    assert list(systems) == ["tuned", "base", "whisper", "nemo"]
    assert [(systems[name]["missing"], systems[name]["wer"]["value"]) for name in ("whisper", "nemo")] == [(0, 0.0)] * 2
    # The emulator's two models answer alike, and wrongly.
    (gate,) = re.findall(r"^    cliptune (evaluate .*--fail_if.*)$", PAGE, re.MULTILINE)
    status, stdout, _ = run(*shlex.split(gate))
    assert (status, json.loads(stdout)["failed"]) == (8, ["cer(tuned) >= 0.2"])
