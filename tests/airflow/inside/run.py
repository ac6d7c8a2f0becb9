"""Runs a DAG with `dag.test()`, in Airflow's environment.

python run.py DAG FILE        writes what became of each task into FILE, as JSON; the log is on stdout and stderr
"""

import json
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session


def xcoms(run):
    """What each task has pushed."""
    with create_session() as session:
        query = XComModel.get_many(run_id=run.run_id, dag_ids=[run.dag_id])
        rows = session.scalars(query) if not hasattr(query, "all") else query.with_session(session).all()
        found: dict[str, dict] = {}
        for row in rows:
            found.setdefault(row.task_id, {})[row.key] = XComModel.deserialize_value(row)
        return found


def main(dag_id, file):
    bag = DagBag()
    assert not bag.import_errors, bag.import_errors
    run = bag.dags[dag_id].test()
    pushed = xcoms(run)
    tasks = {
        found.task_id: {"state": str(found.state), "tries": found.try_number, "xcoms": pushed.get(found.task_id, {})}
        for found in run.get_task_instances()
    }
    Path(file).write_text(json.dumps({"state": str(run.state), "tasks": tasks}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
