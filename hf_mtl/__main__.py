"""The command as ``python -m hf_mtl``, also under ``accelerate launch`` and ``torchrun``."""

from hf_mtl.cli.main import run

if __name__ == "__main__":
    run()
