"""What docs/airflow.md says of exit statuses is what the code has; `make test-airflow` types its commands."""

import re
from pathlib import Path

from cliptune.exits import FOR_GOOD, Exit

PAGE = (Path(__file__).parents[1] / "docs/airflow.md").read_text(encoding="utf-8")


def test_every_exit_status_has_its_fate():
    fates = {int(status): fate for status, fate in re.findall(r"(?m)^\| (\d+) \| [^|]+ \| ([^|]+) \|$", PAGE)}
    assert fates.keys() == {*Exit}
    assert {status for status, fate in fates.items() if fate.startswith("fails for good")} == FOR_GOOD
    assert fates[Exit.DONE] == "succeeds"
    assert fates[Exit.STILL_RUNNING].startswith("is deferred")


def test_nothing_in_the_folder_to_copy_runs_the_dag_when_it_is_imported():
    """Airflow imports all files of its dags folder, and would begin anew in each."""
    files = [*(Path(__file__).parents[1] / "examples/airflow").iterdir()]
    assert [path.name for path in files if path.suffix == ".py"] == ["cliptune_dag.py"]
    assert not [path for path in files if path.is_file() and ".test(" in path.read_text(encoding="utf-8")]
