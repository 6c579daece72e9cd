"""What a trained transformer foresees for everyone: one state for each user, one vector for each item, compared by cosine."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from core.encoder.acts import batches_of, thread_limit
from core.encoder.histories import Histories
from core.encoder.items import ItemVectors
from core.encoder.sequence import SequenceEncoder, source_of

Floats = npt.NDArray[np.float32]

ITEMS_AT_ONCE = 8192


def foresee_items(encoder: SequenceEncoder, histories: Histories, items: ItemVectors, threads: int = 1) -> tuple[Floats, Floats]:
    """Read every history to its end and ask for the next item.

    Args:
        encoder: From `train_sequence`.
        histories: Of any cutoff not before the one that it learned from.
        items: Text vectors as of the same cutoff, of the model that it learned with.
        threads: Of a processor.

    Returns:
        States (U, width) in the order of `histories.user_ids`, zeros for a user without acts, and vectors (I, width) in the order of
        `items.item_ids`; float32 of length 1. Their cosine orders items by the chance to be next, as the network was taught it.
    """
    network = encoder.network
    source = source_of(encoder, histories, items)
    states = np.zeros((len(histories.user_ids), network.shape.width), np.float32)
    with thread_limit(threads), torch.inference_mode():
        for users, pieces, size in batches_of(np.minimum(histories.lengths, network.shape.reach), network.shape.segment, least=1):
            memory, hidden = None, None
            for block in source.segments(users, pieces, size, 0.0, None):
                hidden, memory = network(block.acts, source.vectors(block.items), memory)
            assert hidden is not None
            states[users] = nn.functional.normalize(network.next_item(hidden[:, -1]), dim=-1).float().cpu().numpy()
        size = len(items.item_ids)
        parts = [
            nn.functional.normalize(source.vectors(np.arange(start, min(start + ITEMS_AT_ONCE, size))), dim=-1).float().cpu().numpy()
            for start in range(0, size, ITEMS_AT_ONCE)
        ]
    return states, np.concatenate(parts) if parts else np.zeros((0, network.shape.width), np.float32)
