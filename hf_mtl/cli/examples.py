"""Examples that the help of each command ends with; a test understands every one of them."""

EXAMPLES: dict[str, str] = {
    "init": """\
  hf-mtl init --quickstart                             the recipe of the quickstart, with data of its own: offline
  hf-mtl init reviews.csv topics.jsonl -o mine.yaml    two files, two tasks or more; every guess is said
  hf-mtl init train.csv dev.csv test.csv               splits of one dataset, by their names
  hf-mtl init data/ --backbone scratch                 a folder; a small encoder from random weights
  hf-mtl init cardiffnlp/tweet_eval:emotion            a dataset of the Hub, and its configuration
""",
    "plan": """\
  hf-mtl plan recipe.yaml
  hf-mtl plan recipe.yaml training.max_steps=200 mixture.temperature=1
""",
    "train": """\
  hf-mtl train recipe.yaml --test --baselines          score the test splits too, beside TF-IDF
  hf-mtl train recipe.yaml training.learning_rate=3e-5 training.output_dir=runs/other
  hf-mtl train recipe.yaml --resume                    go on where it was stopped
  hf-mtl train recipe.yaml --overwrite                 start anew in the same folder
  accelerate launch --num_processes 2 -m hf_mtl train recipe.yaml
""",
    "evaluate": """\
  hf-mtl evaluate runs/recipe --split test --baselines
  hf-mtl evaluate runs/recipe/checkpoint-300
  hf-mtl evaluate runs/recipe tasks.emotion.metrics=[accuracy]
""",
    "affinity": """\
  hf-mtl affinity recipe.yaml                          a short joint run, then linear models of groups of tasks
  hf-mtl affinity recipe.yaml --checkpoint runs/mine --groups 3 -o runs/mine-groups
  hf-mtl affinity recipe.yaml --checkpoint runs/mine --method lookahead
""",
    "compare": """\
  hf-mtl compare study.yaml --workers 2                arms by seeds at one budget; go on where it was stopped
  hf-mtl compare study.yaml --list                     done, running, missing, failed, and the time left
  hf-mtl compare study.yaml seeds=1 set.training.max_steps=50 output_dir=runs/short
  hf-mtl compare study.yaml --workers 8 --executor print      the commands, for anything that starts them
  hf-mtl compare study.yaml --workers 8 --executor slurm
""",
    "predict": """\
  hf-mtl predict runs/mine rows.csv --output predictions.csv
  hf-mtl predict runs/mine rows.jsonl --tasks emotion --probabilities -o predictions.parquet
  hf-mtl predict someone/their-model rows.csv tasks.emotion.text=body sep=';' -o out.csv
  hf-mtl predict runs/mine rows.csv -o out.csv --resume    after Ctrl-C, a kill or a full disk
  zcat rows.jsonl.gz | hf-mtl predict runs/mine - > predictions.jsonl
""",
    "export": """\
  hf-mtl export runs/mine plain                        a checkpoint of transformers for each task
  hf-mtl export runs/mine plain --task topic
  hf-mtl export runs/mine served --format onnx --quantize int8
""",
    "push": """\
  hf-mtl push runs/mine me/mine
  hf-mtl push runs/mine/checkpoint-300 me/mine --revision early
  hf-mtl push runs/mine me/mine --single runs/only-emotion --single runs/only-intensity
""",
    "join": """\
  hf-mtl join runs/emotion runs/stance -o joined       heads that were trained on one frozen encoder
  hf-mtl join runs/a runs/b -o joined --rename 2:emotion=mood
""",
    "sweep": """\
  hf-mtl sweep sweep.yaml                              all trials, or what is left of them
  hf-mtl sweep sweep.yaml --workers 4                  four processes that share the study
  hf-mtl sweep sweep.yaml --list                       what is searched, and how far it is
  hf-mtl sweep sweep.yaml trials=40 output_dir=runs/sweeps/longer
""",
    "diagnose": """\
  hf-mtl diagnose runs/mine                            layers, tasks, probes of one run
  hf-mtl diagnose runs/mine/checkpoint-100 runs/mine -o diagnosis
  hf-mtl diagnose runs/together runs/only-emotion runs/only-stance --rows 300 --split test
""",
    "methods": """\
  hf-mtl methods                                       all weightings and aggregators
  hf-mtl methods pcgrad                                all about one
""",
    "report": """\
  hf-mtl report runs/recipe                            the figures and tables of a run
  hf-mtl report runs/studies/quickstart                did training together help? answer.json, report.html, figures
  hf-mtl report runs/sweeps/quickstart                 the tables and the figure of a sweep
  hf-mtl report recipes/studies/quickstart --readme    what was measured goes into its README.md too
""",
    "schema": """\
  hf-mtl schema > recipe.schema.json                   for completion in your editor
  hf-mtl schema study > study.schema.json              the same for studies; sweep for sweeps
  hf-mtl schema --markdown > keys.md                   every key in words
""",
}
"""By command. A new command needs an entry here and one in `hf_mtl.cli.main.build_parser`, and nothing else."""
