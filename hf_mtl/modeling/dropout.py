"""The backbone's own dropout probabilities."""

from transformers import PreTrainedConfig


def dropout_fields(config: PreTrainedConfig) -> list[str]:
    """Return the names of the config's dropout probabilities, such as ``hidden_dropout_prob`` or ``resid_pdrop``.

    Architectures name them freely, so they are found by name and by holding a number or None.
    """
    return [
        name
        for name, value in vars(config).items()
        if ("dropout" in name or name.endswith("pdrop"))
        and not isinstance(value, bool)
        and (value is None or isinstance(value, (int, float)))
    ]


def set_dropout(config: PreTrainedConfig, probability: float) -> None:
    """Set every dropout probability of a backbone's config, in place."""
    for name in dropout_fields(config):
        setattr(config, name, probability)
