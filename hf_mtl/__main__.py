"""`python -m hf_mtl` and `accelerate launch -m hf_mtl` are the command `hf-mtl`."""

import sys

from hf_mtl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
