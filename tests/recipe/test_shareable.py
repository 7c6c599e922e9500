"""A recipe for others names no place on this machine."""

from hf_mtl.recipe.shareable import shareable


def test_the_tasks_beside_are_shared_as_tasks_are() -> None:
    task = {"type": "sequence_classification", "labels": ["/m/01", "b"], "text": "/text"}
    mine, anybodys = ({**task, "dataset": {"path": "csv", "data_files": name}} for name in ("/home/me/a", "a"))
    assert shareable({"data": {"beside": {"a": mine}}}) == {"data": {"beside": {"a": anybodys}}}


def test_paths_keep_their_last_part_and_nothing_else_changes() -> None:
    sections = {
        "model": {
            "backbone": "/home/me/bert",
            "tokenizer": {"train": "wordpiece"},
            "max_length": 8,
            "head": {"type": "own", "from": "/p/w"},
        },
        "tasks": {
            "a": {
                "head": {"type": "own", "words": ["/home/me/words.txt"]},
                "labels": ["/m/01", "b"],
                "text": "/text",
                "dataset": [
                    {"path": "json", "data_files": {"train": ["/home/me/a.jsonl", "C:\\me\\b.jsonl"]}},
                    {"path": "/data/set", "map": {"label": {"/x": "/y"}}, "filter": {"column": "c", "equals": "/z"}},
                    {"path": "org/data", "name": "english", "data_files": "https://host/x.csv", "sep": "/"},
                ],
                "metrics": [{"name": "/home/me/own.py"}, {"name": "f1", "labels": ["/m/01"]}],
            }
        },
        "balancing": {"weighting": "own", "table": "/home/me/table.json"},
        "schedules": [{"type": "own", "plan": "/home/me/plan.json"}],
        "callbacks": [{"type": "own", "log": "file:///home/me/log"}],
        "training": {"output_dir": "/runs/mine", "hub_model_id": "me/x", "push_to_hub": True, "learning_rate": 0.1},
    }
    assert shareable(sections) == {
        "model": {
            "backbone": "bert",
            "tokenizer": {"train": "wordpiece"},
            "max_length": 8,
            "head": {"type": "own", "from": "w"},
        },
        "tasks": {
            "a": {
                "head": {"type": "own", "words": ["words.txt"]},
                "labels": ["/m/01", "b"],
                "text": "/text",
                "dataset": [
                    {"path": "json", "data_files": {"train": ["a.jsonl", "b.jsonl"]}},
                    {"path": "set", "map": {"label": {"/x": "/y"}}, "filter": {"column": "c", "equals": "/z"}},
                    {"path": "org/data", "name": "english", "data_files": "https://host/x.csv", "sep": "/"},
                ],
                "metrics": [{"name": "own.py"}, {"name": "f1", "labels": ["/m/01"]}],
            }
        },
        "balancing": {"weighting": "own", "table": "table.json"},
        "schedules": [{"type": "own", "plan": "plan.json"}],
        "callbacks": [{"type": "own", "log": "log"}],
        "training": {"output_dir": "mine", "learning_rate": 0.1},
    }
    assert sections["model"]["backbone"] == "/home/me/bert", "what is given stays as it was"
