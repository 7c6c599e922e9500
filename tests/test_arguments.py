import os

import pytest

from hf_mtl import MultiTaskTrainingArguments
from hf_mtl.errors import UserError


def test_arguments_show_no_token(tmp_path):
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), hub_token="geheim-7", report_to="none", use_cpu=True)
    for text in (repr(args), str(args), args.to_json_string(), str(args.to_sanitized_dict())):
        assert "geheim-7" not in text
    assert "learning_rate=5e-05" in repr(args)
    assert args.hub_token == "geheim-7"


def test_what_is_no_file_of_options_is_not_read(tmp_path):
    """A device fills the memory, and a pipe is waited for."""
    os.mkfifo(tmp_path / "pipe")
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(2 << 20)
    for path, problem in (
        (tmp_path / "pipe", "is a pipe, not a file"),
        ("/dev/zero", "is a device, not a file"),
        (tmp_path, "is a folder, not a file"),
        (large, "has 2,097,152 bytes"),
    ):
        with pytest.raises(UserError, match=f"training.accelerator_config: '{path}' {problem}"):
            MultiTaskTrainingArguments(
                output_dir=str(tmp_path / "run"), report_to="none", accelerator_config=str(path)
            )


def test_a_file_of_options_that_is_missing_is_named(tmp_path):
    missing = r"training.accelerator_config: no file 'nowhere.json'\. Give a JSON file, or a mapping"
    with pytest.raises(UserError, match=missing):
        MultiTaskTrainingArguments(output_dir=str(tmp_path), accelerator_config="nowhere.json")
