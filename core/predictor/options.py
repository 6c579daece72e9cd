"""What a caller of the predictor chooses, with the reason of each default."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class NetworkOptions:
    """The MLP ensemble."""

    members: int = 4
    """Networks with their own start and held-out fold of users; their spread is the seed spread on screen."""
    hidden: tuple[int, ...] = (64, 32)
    """Widths of hidden layers; wider ones only overfit at some ten thousand rows."""
    epochs: int = 60
    """Upper limit; early stopping ends it before."""
    patience: int = 6
    """Epochs without a better held-out loss before a member stops."""
    batch_size: int = 256
    """Rows per step; large logs raise it so that an epoch stays below some 800 steps."""
    learning_rate: float = 1.5e-3
    weight_decay: float = 2e-2
    dropout: float = 0.25
    block_dim: int = 32
    """Principal directions of each learned block (text, sequence) that models see."""
    optimizer: str = "adamw"
    """adamw, adam or sgd."""


@dataclass(frozen=True)
class PooledOptions:
    """The network over all user × category pairs."""

    members: int = 3
    """Networks with their own start and held-out fold of users."""
    hidden: int = 48
    category_dim: int = 16
    """Width of a category's vector, and rank of the product of shopper and category."""
    epochs: int = 10
    """Upper limit, and the length over which the learning rate falls to zero."""
    patience: int = 3
    learning_rate: float = 1e-3
    weight_decay: float = 2e-2
    """Ten times as much pulls the slopes of single categories towards the common ones."""
    dropout: float = 0.3
    block_dim: int = 32
    """Principal directions of each learned block of a shopper."""


@dataclass(frozen=True)
class HistoryOptions:
    """Networks over the acts themselves: convolution, GRU, transformer."""

    members: int = 2
    """Networks with their own start and held-out fold of users."""
    width: int = 48
    layers: int = 2
    heads: int = 4
    kernel: int = 5
    """Acts that a filter of the convolution spans."""
    item_dim: int = 24
    """Principal directions of item texts that an act carries."""
    epochs: int = 8
    patience: int = 2
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 2e-2
    dropout: float = 0.2
    max_rows: int = 24_000
    """User × cutoff rows that are learned from; sampled beyond. Bounds time: some minutes a model at this size."""


@dataclass(frozen=True)
class BoostingOptions:
    """The LightGBM ensemble on counts."""

    members: int = 4
    """Boosters, each stopped early on its own held-out fold of users."""
    rounds: int = 600
    patience: int = 40
    learning_rate: float = 0.04
    leaves: int = 15
    leaf_rows: int = 60
    feature_share: float = 0.4
    """Share of columns tried per tree: the windows of one count say nearly the same."""


@dataclass(frozen=True)
class PropensityOptions:
    """What is predicted, and how."""

    act: str = "purchase"
    """One of schema.ACTS."""
    horizon: timedelta = timedelta(days=28)
    category: str | None = None
    """Named in sentences when the act is meant within one category; the caller's labels do the choosing."""
    seed: int = 0
    """Recorded; the rng that is passed in does the work."""
    max_train_rows: int = 120_000
    """User × cutoff rows that models are fitted on; more are sampled by user. Bounds time and memory."""
    reasons_per_user: int = 5
    network: NetworkOptions = NetworkOptions()
    pooled: PooledOptions = PooledOptions()
    history: HistoryOptions = HistoryOptions()
    models: tuple[str, ...] = ()
    """Further models that compete: see models.EXTRA; those that the log cannot feed are left out."""
    refit: bool = True
    """Fit the winner again with the newest windows before everyone is scored; False where only the test window matters."""
    purchase_only: bool = False
    """The log knows no other act: BG/NBD is one more baseline."""
    boosting: BoostingOptions = BoostingOptions()
    earliest: datetime | None = None
    """No window starts before it: what reads the log has itself learned from events until then. None takes all that there are."""

    def laid_from(self, start: datetime) -> datetime:
        """Return the start that windows are laid out from, for a log that starts at `start`: one horizon before the first cutoff."""
        return start if self.earliest is None else max(start, self.earliest - self.horizon)
