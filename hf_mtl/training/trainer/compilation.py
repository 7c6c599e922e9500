"""`torch_compile`: the encoder is compiled, once for all lengths, and what is around it is not."""

from collections.abc import Iterator
from contextlib import contextmanager

from accelerate import Accelerator
from accelerate.utils import DynamoBackend

from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


def leave_model_as_it_is(accelerator: Accelerator) -> None:
    """Keep accelerate from compiling the model.

    Which tasks have rows, and how many, differs from batch to batch: with the heads a model would be compiled anew in
    step after step, until torch gives up.
    """
    accelerator.state.dynamo_plugin.backend = DynamoBackend.NO


@contextmanager
def compiled_encoder(model: MultiTaskModel, args: MultiTaskTrainingArguments) -> Iterator[None]:
    """Compile a model's encoder in place for a while, if the arguments ask for it.

    Args:
        model: The model.
        args: The training arguments.
    """
    if not args.torch_compile:
        yield
        return
    apart = ", but for attention in padded rectangles" if model.packs else ""
    logger.info(f"The encoder is compiled{apart}; the heads are not.")
    # Dynamic from the start: no two batches have as many tokens.
    model.encoder.compile(backend=args.torch_compile_backend, mode=args.torch_compile_mode, dynamic=True)
    try:
        yield
    finally:
        model.encoder._compiled_call_impl = None
