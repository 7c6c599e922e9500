"""Run the command as ``python -m hf_mtl``, also under ``accelerate launch`` and ``torchrun``."""

import os
import sys

from hf_mtl.cli.main import main
from hf_mtl.launched import launched

if __name__ == "__main__":
    code = main()
    me = launched()
    if me is not None and me.rank > 0:
        # The others end before the first process, which still draws and pushes. The interpreter's own exit was seen
        # to abort one of them then, on threads of its process group; there is nothing left for it to do.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
