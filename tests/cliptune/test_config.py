"""cliptune.yaml makes the same requests as flags do, and what is wrong in it is told with its line."""

import argparse
import json
import re
from dataclasses import replace

import jsonschema
import pytest
import yaml

from beam_pipeline.requests import PrepareRequest
from cliptune import config, config_reader, config_schema
from cliptune.config_keys import NOT_KEYS, SECTIONS, SHARED, flags_of, keys, name_of, parser_of
from cliptune.main import COMMANDS, command_of
from cliptune.requests import RunRequest
from tests.cliptune.test_requests import PLAIN, request_of
from transforms.errors import UsageError, UserError
from transforms.settings import Settings
from transforms.storage import Storage
from tuning.requests import CheckRequest, EvaluateRequest, PredictRequest, TuneRequest

LEAST = "manifest: m.jsonl\noutput: out\n"
SCHEMA = jsonschema.Draft202012Validator(config_schema.schema())


@pytest.fixture
def load(tmp_path, monkeypatch):
    """The request of a file's contents, in the working folder."""
    monkeypatch.chdir(tmp_path)

    def call(text, flags=None, environment=None, **steps):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "c.yaml").write_bytes(content)
        return config.load("c.yaml", flags, environment or {}, **steps)

    return call


def test_every_flag_of_a_step_is_a_key_or_is_explained():
    for verb in SECTIONS:
        own = {name for name in flags_of(verb) if f"{verb}.{name}" in keys()}
        shared = {name for name, verbs in SHARED.items() if verb in verbs}
        assert own | shared | {*NOT_KEYS[verb]} == {*flags_of(verb)}
        assert not own & {*NOT_KEYS[verb]}
        assert all(len(reason.split()) > 3 for reason in NOT_KEYS[verb].values())
    watched = {name_of(action) for action in command_flags("watch")}
    assert watched - {*SHARED} - {"run"} == {"timeout", "default_checkpoint"}
    assert {"tune.timeout", "tune.default_checkpoint"} <= {*keys()}


def command_flags(name):
    parser = argparse.ArgumentParser(add_help=False)
    command_of(name).add_flags(parser)
    return [action for action in parser._actions if action.option_strings]


def test_the_schema_has_every_key_and_no_other():
    tree = config_schema.schema()
    found = {name for name in tree["properties"] if name in SHARED}
    for verb in SECTIONS:
        found |= {f"{verb}.{name}" for name in tree["properties"][verb]["properties"] if name != "beam_options"}
    assert found == {*keys()}
    of_run = tree["properties"]["runs"]["additionalProperties"]["properties"]
    assert {f"tune.{name}" for name in of_run} == {path for path in keys() if path.startswith("tune.")}
    assert {*tree["properties"]["matrix"]["properties"]} == {*of_run}


def test_the_least_file_is_the_commands_with_their_defaults(load):
    assert load(LEAST) == RunRequest(
        prepare=PrepareRequest(("m.jsonl",), "out"),
        tune={"tuned": TuneRequest("out")},
        check=CheckRequest("out"),
        predict=PredictRequest("out"),
        evaluate=EvaluateRequest("out"),
    )


# Keys as a file has them, and the words of the command that mean the same.
SAME = [
    ("prepare: {sample_rate: 8000}", "prepare", ["--sample_rate=8000"]),
    ("prepare: {max_duration: 12.5, keep_silence: true}", "prepare", ["--max_duration=12.5", "--keep_silence"]),
    ("prepare: {keep_silence: false}", "prepare", []),
    ("prepare: {prompt: yes}", "prepare", ["--prompt=yes"]),
    ("prepare: {prompt: 'true'}", "prepare", ["--prompt=true"]),
    ("prepare: {text_column: 010}", "prepare", ["--text_column=010"]),
    ("prepare: {normalize_text: [nfc, casefold]}", "prepare", ["--normalize_text=nfc,casefold"]),
    ("prepare: {normalize_text: nfc}", "prepare", ["--normalize_text=nfc"]),
    ("prepare: {allow_path: [/a, /b]}", "prepare", ["--allow_path=/a", "--allow_path=/b"]),
    ("prepare: {allow_path: /a}", "prepare", ["--allow_path=/a"]),
    ("prepare: {audio_format: mp3, bitrate: 32}", "prepare", ["--audio_format=mp3", "--bitrate=32"]),
    (
        "prepare: {beam_options: {runner: DataflowRunner, experiments: [a, b], no_use_public_ips: true, x: false}}",
        "prepare",
        ["--runner=DataflowRunner", "--experiments=a", "--experiments=b", "--no_use_public_ips"],
    ),
    ("manifest: [a.jsonl, b.csv]", "prepare", ["--manifest=a.jsonl", "--manifest=b.csv"]),
    ("billing_project: 123456", "prepare", ["--billing_project=123456"]),
    ("billing_project: p", "evaluate", ["--billing_project=p"]),
    ("check: {offline: true, estimate: true}", "check", ["--offline", "--estimate"]),
    ("tune: {epochs: 5, price_per_million: 1e1}", "check", ["--epochs=5", "--price_per_million=10"]),
    ("tune: {epochs: 5, max_cost: 1_000.5}", "tune", ["--epochs=5", "--max_cost=1000.5"]),
    ("tune: {label: {team: speech, v: 01}}", "tune", ["--label=team=speech", "--label=v=01"]),
    ("tune: {label: [team=speech]}", "tune", ["--label=team=speech"]),
    ("tune: {fraction: 1/8}", "tune", ["--fraction=1/8"]),
    ("tune: {fraction: 0.5}", "tune", ["--fraction=0.5"]),
    ("tune: {default_checkpoint: 2}", "tune", ["--default_checkpoint=2"]),
    ("project: p", "tune", ["--project=p"]),
    ("emulator: true", "tune", ["--emulator"]),
    ("emulator: true", "predict", ["--emulator"]),
    ("api_endpoint: http://127.0.0.1:9", "predict", ["--api_endpoint=http://127.0.0.1:9"]),
    ("split: test", "predict", ["--split=test"]),
    ("split: test", "evaluate", ["--split=test"]),
    ("predict: {concurrency: 8}", "predict", ["--concurrency=8"]),
    ("evaluate: {predictions: {w: /w.json}}", "evaluate", ["--predictions=w=/w.json"]),
    ("evaluate: {task_normalizer: {a=b: none}}", "evaluate", ["--task_normalizer=a=b=none"]),
    ("evaluate: {fail_if: wer(tuned) > 0.2}", "evaluate", ["--fail_if=wer(tuned) > 0.2"]),
    ("tune:\ncheck:\npredict: ~", "tune", []),  # sections whose keys are all commented out
    ("runs: {tuned: &x {epochs: 2}}\ntune: {<<: *x}", "tune", ["--epochs=2"]),
]
PART = {"tune": lambda request: request.tune["tuned"]}


@pytest.mark.parametrize(("text", "verb", "words"), SAME, ids=[f"{verb} {text[:40]}" for text, verb, _ in SAME])
def test_a_key_is_the_flag_of_its_name(load, text, verb, words):
    made = load(
        LEAST.replace("manifest: m.jsonl\n", "" if text.startswith("manifest") else "manifest: m.jsonl\n") + text
    )
    plain = ["--manifest=m.jsonl", "--output=out"] if verb == "prepare" else ["out"]
    plain = plain[1:] if text.startswith("manifest") else plain
    found = PART[verb](made) if verb in PART else getattr(made, verb)
    assert found == request_of(verb, *plain, *words)
    tree = _as_editors_do(LEAST + text)
    assert [fault.message for fault in SCHEMA.iter_errors(tree)] == []


class _Core(yaml.SafeLoader):
    """YAML 1.2's core types, which editors know: yes, 010 and dates are texts or plain numbers."""


_Core.yaml_implicit_resolvers = {}
for pattern, kind, first in (
    (r"^(?:true|True|TRUE|false|False|FALSE)$", "bool", "tTfF"),
    (r"^[-+]?[0-9][0-9_]*$", "int", "-+0123456789"),
    (r"^[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", "float", "-+.0123456789"),
    (r"^(?:~|null|Null|NULL|)$", "null", ["~", "n", "N", ""]),
    (r"^<<$", "merge", "<"),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(pattern), list(first))


def _as_editors_do(text):
    return yaml.load(text, _Core)


WRONG = [
    ("tune:\n  epochs: 0", "c.yaml:4: tune.epochs must be 1 or more, got 0"),
    ("tune:\n  epochs: three", "c.yaml:4: tune.epochs must be a whole number, got 'three'"),
    ("tune:\n  epochs: 3.0", "c.yaml:4: tune.epochs must be a whole number, got '3.0'"),
    ("tune:\n  epochs: '3'", "c.yaml:4: tune.epochs must be a whole number, got the text '3'; leave its quotes out"),
    ("tune:\n  epochs: 010", "c.yaml:4: tune.epochs must be a whole number, without zeros before it, got '010'"),
    ("tune:\n  epochs: 0x10", "c.yaml:4: tune.epochs must be a whole number, got '0x10'"),
    ("tune:\n  epochs: [3]", "c.yaml:4: tune.epochs must be one value, got a list"),
    ("tune:\n  epochs: {a: 3}", "c.yaml:4: tune.epochs must be a whole number, got a mapping"),
    ("tune:\n  epochs:", "c.yaml:4: tune.epochs must be a whole number, got nothing; leave the key out"),
    ("tune:\n  epochs: null", "c.yaml:4: tune.epochs must be a whole number, got 'null'; leave the key out for its"),
    ("tune:\n  max_cost: .inf", "c.yaml:4: tune.max_cost must be a number, got '.inf'"),
    ("tune:\n  max_cost: nan", "c.yaml:4: tune.max_cost must be a number, got 'nan'"),
    ("tune:\n  max_cost: -1", "c.yaml:4: tune.max_cost must be above 0, got -1.0"),
    ("tune:\n  epoch: 3", "c.yaml:4: tune.epoch: there is no such key; did you mean epochs?"),
    ("tune:\n  dry_run: true", "c.yaml:4: tune.dry_run: there is no such key; the whole has one of its own"),
    ("tune:\n  project: p", "c.yaml:4: tune.project: there is no such key; it belongs outside of all sections"),
    ("tune:\n  label: {TEAM: x}", "c.yaml:4: tune.label must be KEY=VALUE of lower-case letters"),
    ("tune:\n  label: x", "c.yaml:4: tune.label must be KEY=VALUE, got 'x'"),
    ("tune:\n  wait_for_quota: yes", "c.yaml:4: tune.wait_for_quota must be true or false, got 'yes'"),
    ("tune:\n  wait_for_quota: 'true'", "c.yaml:4: tune.wait_for_quota must be true or false, got the text 'true'"),
    ("tune:\n  display_name: true", "c.yaml:4: tune.display_name must be text, got true; put it in quotes"),
    ("tune: [epochs]", "c.yaml:3: tune must be a mapping of keys, got a list"),
    ("tune: 3", "c.yaml:3: tune must be a mapping of keys, got '3'"),
    ("epochs: 3", "c.yaml:3: epochs: there is no such key; it belongs below tune"),
    ("tunes: {}", "c.yaml:3: tunes: there is no such key; did you mean tune?"),
    ("watch: {timeout: 3}", "c.yaml:3: watch: there is no such key; "),
    ("output: two", "c.yaml:3: 'output' is given twice; the first is in line 2"),
    ("max_cost: 0", "c.yaml:3: max_cost must be above 0, got 0.0"),
    ("max_cost: much", "c.yaml:3: max_cost must be a number, got 'much'"),
    ("max_cost:", "c.yaml:3: max_cost must be a number, got nothing"),
    ("split: validate", "c.yaml:3: split must be one of train, validation, test, got 'validate'; did you mean"),
    ("provider: nobody", "c.yaml:3: provider must be one of vertex, got 'nobody'"),
    ("emulator: true\napi_endpoint: http://h:1", "c.yaml:4: api_endpoint names another server; leave"),
    ("prepare:\n  audio_format: flacc", "c.yaml:4: prepare.audio_format must be one of flac, "),
    ("prepare:\n  sample_rate: -1", "c.yaml:4: prepare.sample_rate must be"),
    ("prepare:\n  runner: x", "c.yaml:4: prepare.runner: there is no such key; a flag of Apache Beam goes below"),
    ("prepare:\n  beam_options: {sample_rate: 1}", "c.yaml:4: prepare.beam_options.sample_rate is a flag of"),
    ("prepare:\n  beam_options: {dry_run: true}", "c.yaml:4: prepare.beam_options.dry_run is a flag of Cliptune's"),
    ("prepare:\n  manifest: x", "c.yaml:4: prepare.manifest: there is no such key; it belongs outside of all sections"),
    ("prepare:\n  allow_path: []", "c.yaml:4: prepare.allow_path must be one value or more, got an empty list"),
    ("prepare:\n  allow_path: [a, [b]]", "c.yaml:4: prepare.allow_path must be text, got a list"),
    ("predict:\n  limit: 3", "c.yaml:4: predict.limit: there is no such key; every model is asked about all clips"),
    ("evaluate:\n  fail_if: [better]", "c.yaml:4: evaluate.fail_if"),
    ("evaluate:\n  normalizer: nonne", "c.yaml:4: evaluate.normalizer must be one of "),
    ("runs: {}", "c.yaml:3: runs must be 1 to 64 runs, each a paid job, got 0"),
    ("runs:", "c.yaml:3: runs must be 1 to 64 runs, each a paid job, got 0"),
    ("runs: [a]", "c.yaml:3: runs must be a mapping of keys, got a list"),
    ("runs:\n  base: {}", "c.yaml:4: runs.base must be named by letters, digits, . _ and -, 64 at most, and not base"),
    ("runs:\n  a b: {}", "c.yaml:4: runs.a b must be named by letters"),
    ("runs:\n  a: {epochs: 0}", "c.yaml:4: runs.a.epochs must be 1 or more, got 0"),
    ("runs:\n  a: {epoch: 1}", "c.yaml:4: runs.a.epoch: there is no such key; did you mean epochs?"),
    ("runs:\n  a: {epochs: 1}\n  b: {epochs: 1}", "c.yaml: runs a and b are the same request; leave one of them"),
    ("runs: {a: {}}\nmatrix: {epochs: [1]}", "c.yaml:4: matrix and runs exclude each other"),
    ("matrix: {epochs: 3}", "c.yaml:3: matrix.epochs must be a list of values, one run for each, got '3'"),
    ("matrix: {epochs: []}", "c.yaml:3: matrix.epochs must be a list of values, one run for each, got a list"),
    ("matrix: {}", "c.yaml:3: matrix must be 1 to 64 runs, each a paid job, got 0"),
    ("matrix: {epochs: [1, 1]}", "c.yaml:3: matrix names two runs 1"),
    ("tune:\n  project: ${P}", "c.yaml:4: tune.project: there is no such key"),
    ("project: ${P}", "c.yaml:3: project needs the environment variable P, which is not set"),
    ("project: ${1P}", "c.yaml:3: project must name a variable as ${NAME}, got '${1P}'; $${ means the signs"),
    ("project: ${P", "c.yaml:3: project must name a variable as ${NAME}, got '${P'; $${ means the signs"),
    ("\tproject: p", "c.yaml:3: not YAML: found character '\\t'"),
    ("project: é".encode("latin-1"), "c.yaml:3: not YAML in UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[str(text)[:50] for text, _ in WRONG])
def test_what_is_wrong_is_told_in_one_line_with_its_place(load, text, message):
    with pytest.raises(UsageError) as fault:
        load(LEAST.encode() + text if isinstance(text, bytes) else LEAST + text)
    assert str(fault.value).startswith(message)
    assert "\n" not in str(fault.value)
    assert not fault.value.field


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c.yaml: it is empty"),
        ("[a]", "c.yaml:1: the file must be a mapping of keys, got a list"),
        ("a", "c.yaml:1: the file must be a mapping of keys, got 'a'"),
        ("{}", "c.yaml: manifest is needed, outside of all sections, or as --manifest"),
        ("manifest: m", "c.yaml: output is needed, outside of all sections, or as --output"),
        ("manifest:\noutput: out", "c.yaml:1: manifest must be text, got nothing; leave the key out for its default"),
        ("manifest: ''\noutput: out", "c.yaml:1: manifest must be one name or more, none of them empty"),
        ("manifest: m\noutput: gs://goog-x", "c.yaml:2: output must be a place that can be"),
    ],
)
def test_a_file_without_what_it_needs(load, text, message):
    with pytest.raises(UsageError) as fault:
        load(text)
    assert str(fault.value).startswith(message)


def test_a_file_that_is_not_there():
    with pytest.raises(UserError, match=r"^nowhere/c.yaml: there is no such file$"):
        config.load("nowhere/c.yaml")


# Of the wrong files above, what a schema cannot know.
RULES = ("must be 1 or more, got 0", "above 0", "KEY=VALUE", "leave one of", "exclude", "names two", "positive", "goog",
         "evaluate.fail_if", "normalizer", "provider", "api_endpoint", "variable", "given twice", "not YAML",
         "sample_rate must", "runs must be 1 to 64 runs, each a paid job, got 0", "matrix must be 1", "beam_options",
         "'010'", "'0x10'", "'3.0'", ".inf", "nan")  # fmt: skip


@pytest.mark.parametrize(("text", "message"), [case for case in WRONG if not any(rule in case[1] for rule in RULES)])
def test_editors_are_told_by_the_schema(text, message):
    assert not SCHEMA.is_valid(_as_editors_do(LEAST + text))


def test_flags_win_over_the_file(load):
    text = (
        LEAST
        + "emulator: true\ntune: {epochs: 2, wait_for_quota: true}\nruns: {a: {epochs: 1, adapter_size: 4}, b: {}}"
    )
    flags = {
        "manifest": ["x", "y"],
        "emulator": ["false"],
        "project": ["p"],
        "tune.epochs": ["7"],
        "tune.wait_for_quota": ["false"],
        "prepare.overwrite": ["true"],
        "max_cost": ["5"],
    }
    made = load(text, flags)
    assert made.prepare == PrepareRequest(("x", "y"), "out", overwrite=True)
    assert made.max_cost == 5
    plain = TuneRequest("out", epochs=7, project="p")
    assert made.tune == {"a": replace(plain, adapter_size=4), "b": plain}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("tune.epochs", "0", "--tune.epochs must be 1 or more, got 0"),
        ("tune.epochs", "x", "--tune.epochs must be a whole number, got 'x'"),
        ("split", "x", "--split must be one of train, validation, test, got 'x'"),
        (
            "emulator",
            "c.yaml",
            "--emulator must be true or false, got 'c.yaml'; before another word, write --emulator=true",
        ),
        ("output", "", "--output must be a name, not empty (an unset variable?), got ''"),
        ("max_cost", "x", "--max_cost must be a number, got 'x'"),
    ],
)
def test_an_error_says_that_it_came_from_a_flag(load, path, value, message):
    with pytest.raises(UsageError) as fault:
        load(LEAST + "tune: {epochs: 3}", {path: [value]})
    assert str(fault.value) == message


def test_a_flag_is_looked_at_before_the_file_and_the_last_one_counts(load, tmp_path):
    with pytest.raises(
        UsageError, match=r"^--emulator must be true or false, got 'c.yaml'; before another word, write"
    ):
        config.load("nothing.yaml", {"emulator": ["c.yaml"]})
    with pytest.raises(UsageError, match=r"^tune.epoch is no key of the file$"):
        config.load("nothing.yaml", {"tune.epoch": ["3"]})
    made = load(LEAST + "project: p", {"emulator": ["true", "false"], "tune.epochs": ["3", "5"]})
    assert made.tune["tuned"] == TuneRequest("out", project="p", epochs=5)


def test_variables_count_where_they_are_named(load):
    text = LEAST + "project: ${P}\nprepare: {prompt: 'a $${P} ${P} $P'}\ntune: {epochs: '${E}', wait_for_quota: '${W}'}"
    made = load(text, environment={"P": "p: [x", "E": "4", "W": "true"})
    assert made.tune["tuned"].project == "p: [x"
    assert made.prepare.settings.prompt == "a ${P} p: [x $P"
    assert (made.tune["tuned"].epochs, made.tune["tuned"].wait_for_quota) == (4, True)
    with pytest.raises(UsageError, match=r"^c.yaml:5: tune.epochs must be a whole number, got 'x'$"):
        load(text, environment={"P": "p", "E": "x", "W": "true"})


@pytest.mark.parametrize(
    ("file", "name", "meant"),
    [
        ("c.yaml", "m.jsonl", "m.jsonl"),
        ("in/c.yaml", "m.jsonl", "in/m.jsonl"),
        ("in/c.yaml", "../m.jsonl", "m.jsonl"),
        ("in/c.yaml", "./lists/*.csv", "in/lists/*.csv"),
        ("in/c.yaml", "/m.jsonl", "/m.jsonl"),
        ("/in/c.yaml", "m.jsonl", "/in/m.jsonl"),
        ("in/c.yaml", "gs://b/m.jsonl", "gs://b/m.jsonl"),
        ("in/c.yaml", "https://h/m", "https://h/m"),
        ("gs://b/in/c.yaml", "m.jsonl", "gs://b/in/m.jsonl"),
        ("gs://b/in/c.yaml", "./m.jsonl", "gs://b/in/m.jsonl"),
        ("gs://b/in/c.yaml", "../out", "gs://b/out"),
        ("gs://b/c.yaml", "m.jsonl", "gs://b/m.jsonl"),
        ("gs://b/in/c.yaml", "/m.jsonl", "/m.jsonl"),
        ("c.yaml", "", ""),
    ],
)
def test_names_of_files_begin_where_the_file_lies(file, name, meant):
    assert config_reader.placed(name, file) == meant


@pytest.mark.parametrize("name", ["../../out", "..", "../.."])
def test_no_name_leads_out_of_a_bucket(name):
    with pytest.raises(UsageError, match="leads out of its bucket, or to all of it"):
        config_reader.placed(name, "gs://b/in/c.yaml")


def test_every_name_of_a_file_begins_there(load, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/c.yaml").write_text(
        "manifest: [m, /n]\noutput: out\nprepare: {audio_root: a, allow_path: [b], tasks: t}\n"
        "tune: {prices: p}\nevaluate: {predictions: {x: y, z: /w}}\n"
    )
    monkeypatch.chdir(tmp_path)
    made = config.load("in/c.yaml", {"prepare.allow_path": ["c"]})
    prepare = PrepareRequest(("in/m", "/n"), "in/out", audio_root="in/a", allow_path=("c",), tasks="in/t")
    assert made.prepare == prepare
    assert made.tune["tuned"].prices == "in/p"
    assert made.scoring.predictions == (("x", "in/y"), ("z", "/w"))


def test_a_home_folder_is_known(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert config_reader.placed("~/m.jsonl", "in/c.yaml") == "/home/me/m.jsonl"


def test_a_matrix_is_a_run_for_each_way_to_choose(load):
    made = load(LEAST + "tune: {epochs: 9}\nmatrix: {base_model: [gemini-2.5-flash, a/b], adapter_size: [1, 4]}")
    names = ["gemini-2.5-flash-1", "gemini-2.5-flash-4", "a-b-1", "a-b-4"]
    assert list(made.tune) == names
    assert made.tune["a-b-4"] == TuneRequest("out", epochs=9, base_model="a/b", adapter_size=4)
    alone = load(LEAST + "matrix: {base_model: [gemini-2.5-flash, gemini-2.5-pro]}")
    assert list(alone.tune) == ["tuned-gemini-2.5-flash", "tuned-gemini-2.5-pro"]
    with pytest.raises(UsageError, match=r"^c.yaml:3: matrix must be 1 to 64 runs"):
        load(LEAST + f"matrix: {{epochs: {list(range(1, 10))}, adapter_size: {list(range(1, 10))}}}")


def test_json_of_the_same_shape_is_the_same_file(load):
    tree = {"manifest": "m.jsonl", "output": "out", "tune": {"epochs": 2, "label": {"a": "b"}}, "runs": {"x": {}}}
    assert load(json.dumps(tree, indent=2)) == load(yaml.safe_dump(tree))


def test_a_byte_order_mark_and_line_ends_of_windows_change_nothing(load):
    text = LEAST + "tune:\n  epochs: 2\n"
    assert load(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == load(text)


def test_a_file_in_a_bucket(bucket):
    Storage().write_bytes(f"{bucket}/in/c.yaml", LEAST.encode())
    made = config.load(f"{bucket}/in/c.yaml")
    assert made.prepare == PrepareRequest((f"{bucket}/in/m.jsonl",), f"{bucket}/in/out")


@pytest.mark.parametrize("verb", SECTIONS)
def test_every_default_of_a_section_is_that_of_the_command(verb):
    assert verb in COMMANDS
    assert PLAIN[verb][1] is type(request_of(verb, *PLAIN[verb][0]))
    assert parser_of(verb)._option_string_actions.keys() == {
        flag for action in command_flags(verb) for flag in action.option_strings
    }
    assert command_of(verb) is SECTIONS[verb]
    assert Settings() == PrepareRequest(("m",), "o").settings
