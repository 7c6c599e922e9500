from hf_mtl import MultiTaskTrainingArguments


def test_arguments_show_no_token(tmp_path):
    args = MultiTaskTrainingArguments(output_dir=str(tmp_path), hub_token="geheim-7", report_to="none", use_cpu=True)
    for text in (repr(args), str(args), args.to_json_string(), str(args.to_sanitized_dict())):
        assert "geheim-7" not in text
    assert "learning_rate=5e-05" in repr(args)
    assert args.hub_token == "geheim-7"
