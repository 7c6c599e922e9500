"""Run the command as ``python -m hf_mtl``, also under ``accelerate launch`` and ``torchrun``."""

import os
import sys

from hf_mtl.cli.main import main
from hf_mtl.launched import launched

if __name__ == "__main__":
    code = main()
    me = launched()
    if me is not None and me.rank > 0:
        # The others end before the first process, which still draws and pushes. One of them was once seen to abort in
        # the interpreter's exit ("terminate called without an active exception"); nothing is left for that to do.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
