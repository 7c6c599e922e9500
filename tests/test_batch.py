import math

from hf_mtl.batch import divisor


def test_losses_over_no_mass_have_a_mean_of_zero() -> None:
    assert (0.0 / divisor(0.0), 3.0 / divisor(1.5)) == (0.0, 2.0)
    assert math.isfinite(0.0 / divisor(0))
