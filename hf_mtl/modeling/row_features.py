"""Features of rows: the encoder is run on them as it takes them, and the heads get what they read."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_mtl.batch import EncoderLayout, Packed
from hf_mtl.modeling.encode import PackedCall, encode_packed, encode_rectangles
from hf_mtl.modeling.encoded import Encoded, Pooling
from hf_mtl.modeling.encoder_layout import Settled, place_of, settle_layout
from hf_mtl.modeling.heads.base import Features, FeatureSource
from hf_mtl.modeling.packed_attention import implementation_for, packs_now, set_attention
from hf_mtl.modeling.padded import PaddedStates, encode_padded
from hf_mtl.modeling.private_adapters import PrivateAdapters, Route
from hf_mtl.modeling.products import fast_products, trains_fast
from hf_mtl.modeling.rows_by_task import RowsByTask, packed_by_task, routes_of
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

BY_ONEDNN = "; products by oneDNN"
"""What is said of a layout whose products are not torch's own."""


@dataclass
class RowFeatures:
    """Runs a model's encoder.

    Args:
        sources: The features that the heads read.
        pooling: How one vector is made of the states of a row.
    """

    sources: Sequence[FeatureSource]
    pooling: Pooling
    settled: Settled | None = None

    def settle(
        self,
        encoder: PreTrainedModel,
        asked: EncoderLayout,
        precision: torch.dtype | None,
        device: torch.device | None = None,
    ) -> Settled:
        """Choose the layout of packed rows, once for each that is asked for, and each place; see `settle_layout`."""
        before, key = self.settled, (asked, place_of(encoder, precision, device))
        if before is None or (before.asked, before.place) != key or (before.call and not packs_now(encoder)):
            self.settled = settle_layout(encoder, asked, self._pooler, precision, device)
            logger.info(f"Rows reach the encoder {self.words(encoder)}.")
        assert self.settled is not None
        return self.settled

    @property
    def call(self) -> PackedCall | None:
        """How the encoder is called with packed rows; None where these are rectangles to it."""
        return None if self.settled is None else self.settled.call

    def of_packed(
        self,
        encoder: PreTrainedModel,
        packed: Packed,
        order: Tensor | None,
        private: PrivateAdapters | None = None,
        by_task: RowsByTask | None = None,
    ) -> dict[FeatureSource, Features]:
        """Encode packed rows, each once.

        Args:
            encoder: The backbone.
            packed: The rows.
            order: Row i of the batch is row ``order[i]`` of these; None: as they come.
            private: The adapters that tasks have for themselves; None: they have none.
            by_task: Whose the rows are, for these.

        Returns:
            Features by source: ``pooled`` and ``pooler`` [B, H], ``tokens`` `Encoded`.
        """
        routed: AbstractContextManager[None] = nullcontext()
        if private is not None and by_task is not None:
            packed, order = packed_by_task(packed, order, by_task), None
            routed = private.routed(encoder, routes_of(packed, by_task, self.call is not None))
        with self._products(encoder), routed:
            if self.call is None:
                rows = encode_rectangles(encoder, packed, self._pooler)
            else:
                if not packs_now(encoder):  # by `set_attn_implementation`, say: rows would see each other
                    set_attention(encoder, implementation_for(encoder.config._attn_implementation))
                rows = encode_packed(encoder, packed, self.call, self._pooler)
        return {source: self._read(rows, source, order) for source in self.sources}

    def of_rectangle(
        self,
        encoder: PreTrainedModel,
        input_ids: Tensor | None,
        mask: Tensor | None,
        types: Tensor | None,
        private: PrivateAdapters | None = None,
        by_task: RowsByTask | None = None,
    ) -> dict[FeatureSource, Features]:
        """Encode one padded rectangle as it is; see `of_packed` and `encode_padded`.

        Raises:
            TypeError: If there are no token ids.
        """
        if input_ids is None:
            raise TypeError("give input_ids, or the packed rows that the collator makes")
        routed: AbstractContextManager[None] = nullcontext()
        if private is not None and by_task is not None:
            input_ids, mask, types = (by_task.of_rows(values) for values in (input_ids, mask, types))
            routed = private.routed(encoder, [Route(by_task.owned)])
        assert input_ids is not None
        with routed:
            rows = encode_padded(encoder, input_ids, mask, types, self._pooler)
        return {source: self._read(rows, source, None) for source in self.sources}

    def _products(self, encoder: PreTrainedModel) -> AbstractContextManager[None]:
        as_trainer = self.settled is not None and self.settled.as_trainer
        return nullcontext() if as_trainer else fast_products(encoder)

    def words(self, encoder: PreTrainedModel) -> str:
        """Name the layout, the reason, and whose products those of training are where they are not torch's.

        Args:
            encoder: The backbone, as it is now.
        """
        if self.settled is None:
            return ""
        fast = self.settled.in_float32 and not self.settled.as_trainer and trains_fast(encoder)
        return f"{self.settled.words}{BY_ONEDNN if fast else ''}"

    @property
    def _pooler(self) -> bool:
        return "pooler" in self.sources

    def _read(self, rows: Encoded | PaddedStates, source: FeatureSource, order: Tensor | None) -> Features:
        if source == "tokens":
            return rows if order is None or isinstance(rows, PaddedStates) else rows.select(order)
        vectors = rows.pooler_output if source == "pooler" else rows.pooled(self.pooling)
        return vectors if vectors is None or order is None else vectors.index_select(0, order)
