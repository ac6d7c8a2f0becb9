"""Beam without its connectors, in the process of the command line: what is left out, and what still works."""

import json
import os
import subprocess
import sys

from tests.beam_pipeline.conftest import EXAMPLES, FEW, write_manifest
from transforms.storage import Storage

ROOT = EXAMPLES.parent
CONNECTORS = "sorted({'google.cloud.storage', 'google.cloud.pubsub', 'apitools', 'pymongo'} & sys.modules.keys())"


def fresh(*lines):
    """What a fresh process prints; nothing on stderr."""
    words = [sys.executable, "-c", "\n".join(["import sys", *lines])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1]


def test_the_connectors_are_left_out_and_nothing_else_has_changed():
    assert fresh(
        "import gc, logging",
        "from cliptune import importing",
        "finders = list(sys.meta_path)",
        "importing.lightly()",
        f"print({CONNECTORS})",
        "print('beam_pipeline.embedded' in sys.modules, [each for each in finders if each not in sys.meta_path])",
        "print([each for each in sys.meta_path if isinstance(each, importing._Absent)])",
        "print(gc.isenabled(), logging.root.handlers, logging.root.manager.disable)",
    ) == ["[]", "True []", "[]", "True [] 0"]


def test_what_was_left_out_can_be_imported_afterwards():
    told = fresh(
        "from cliptune import importing",
        "importing.lightly()",
        "from transforms.storage.gcs import Gcs",
        "print(Gcs.__name__, 'google.cloud.storage' in sys.modules)",
    )
    assert told == ["Gcs True"]


def test_beam_that_is_imported_already_stays_as_it_is():
    told = fresh(
        "import apache_beam",
        "from cliptune import importing",
        "before = set(sys.modules)",
        "importing.lightly()",
        f"print(set(sys.modules) == before, len({CONNECTORS}))",
    )
    assert told == ["True 4"]


def test_if_it_fails_the_command_begins_anew_and_imports_the_whole():
    told = fresh(
        "from cliptune import importing",
        "importing._CONNECTORS = ('httplib2',)",  # Beam cannot do without it
        "importing.lightly()",
        "import beam_pipeline.embedded",
        f"print(len({CONNECTORS}))",
    )
    assert told == ["4"]


def test_a_library_user_gets_the_whole_of_beam():
    told = fresh(
        "from beam_pipeline import prepare, runners",
        "print('apache_beam' in sys.modules)",
        "runners.find('').engine",
        f"print(len({CONNECTORS}))",
    )
    assert told == ["False", "4"]


def test_no_decoder_is_loaded_by_the_process_that_waits_for_workers(tmp_path):
    write_manifest(tmp_path / "m.jsonl", FEW)
    told = fresh(
        "import contextlib, io",
        "from cliptune.main import main",
        f"names = ['--manifest={tmp_path}/m.jsonl', '--audio_root={EXAMPLES}', '--output={tmp_path}/out']",
        "with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):",
        "    main(['prepare', *names])",
        "print({'av', 'soundfile', 'soxr'} & sys.modules.keys(), 'transforms.report.finish' in sys.modules)",
    )
    assert told == ["set() True"]


def test_a_bucket_is_read_and_written_by_a_fresh_process(bucket, tmp_path):
    storage = Storage()
    for row in FEW:
        storage.write_bytes(f"{bucket}/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/m.jsonl", write_manifest(tmp_path / "m.jsonl", FEW).read_bytes())
    words = [sys.executable, "-m", "cliptune", "prepare", f"--manifest={bucket}/m.jsonl", f"--output={bucket}/out"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(done.stdout)["accepted"] == len(FEW)
    assert storage.exists(f"{bucket}/out/dataset.json")
