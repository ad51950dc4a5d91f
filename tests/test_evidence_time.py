"""Does time help: the sentence says what the paired differences of the infants bear, and no more."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from stages.evidence.comparison import Losses
from stages.evidence.time import networks_read, time_gains


def losses(*contributions: float) -> Losses:
    patients = np.array([f"P{place:03d}" for place in range(len(contributions))], dtype=object)
    return Losses(patients, np.array(contributions), np.array(contributions))


def gains(system: Losses | None, network: Losses | None, **others: Losses) -> list[dict[str, object]]:
    every = {"gru_net": system, "net": network, **others}
    read = {name: "net" for name in every if name != "net"}
    return time_gains(read, every, 0.95, 65536, np.random.default_rng(0), 2)


def test_below_the_patients_from_which_pairs_are_tested_nothing_is_claimed() -> None:
    network = losses(*(0.5 + 0.01 * place for place in range(8)))
    better = losses(*(0.2 + 0.02 * place for place in range(8)))
    every = {"gru_net": better, "net": network}
    (found,) = time_gains({"gru_net": "net"}, every, 0.95, 65536, np.random.default_rng(0), 10)
    assert found["sentence"] == (
        "8 infants cannot tell whether time helps: gru_net against net is better in 8 of 8 infants, worse in 0 "
        "(loss -0.265)"
    )


def test_time_helps_where_every_infant_gains() -> None:
    network = losses(*(0.5 + 0.01 * place for place in range(8)))
    (found,) = gains(losses(*(0.2 + 0.02 * place for place in range(8))), network)
    expected = stats.wilcoxon(np.ones(8) + np.arange(8) * 0.1).pvalue  # all signs alike: 2 of 2^8
    assert found["p"] == pytest.approx(expected, abs=1e-6)
    assert found["sentence"] == (
        "time helps: gru_net against net is better in 8 of 8 infants, worse in 0 (loss -0.265, p 0.0078)"
    )


def test_time_harms_where_every_infant_loses() -> None:
    (found,) = gains(losses(*[0.5] * 8), losses(*(0.1 + 0.01 * place for place in range(8))))
    assert str(found["sentence"]).startswith("time harms: gru_net against net is better in 0 of 8 infants, worse in 8 ")


def test_time_does_not_help_where_infants_disagree() -> None:
    network = losses(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    (found,) = gains(losses(0.0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 0.8), network)
    assert found["sentence"] == (
        "time does not help, as far as 8 infants can tell: gru_net against net is better in 3 of 8 infants, "
        "worse in 4, equal in 1 (loss +0.013)"
    )


def test_two_infants_cannot_tell_even_if_both_gain() -> None:
    (found,) = gains(losses(0.1, 0.2), losses(0.3, 0.5))
    assert str(found["sentence"]).startswith(
        "2 infants cannot tell whether time helps: gru_net against net is better in 2"
    )


def test_several_models_share_the_error_and_keep_their_order() -> None:
    network = losses(*(0.5 + 0.01 * place for place in range(8)))
    better = losses(*(0.2 + 0.02 * place for place in range(8)))
    found = gains(better, network, hmm_net=better, median_net=network)
    assert [each["models"] for each in found] == [["gru_net", "net"], ["hmm_net", "net"], ["median_net", "net"]]
    expected = multipletests([each["p"] for each in found], method="holm")[1]
    np.testing.assert_allclose([each["p_holm"] for each in found], expected, atol=1e-6)


def test_seven_infants_separate_one_model_and_not_five() -> None:
    network, better = losses(*[0.5] * 7), losses(*(0.1 + 0.01 * place for place in range(7)))
    assert str(gains(better, network)[0]["sentence"]).startswith("time helps")
    five = gains(better, network, a=better, b=better, c=better, d=better)
    assert str(five[0]["sentence"]).startswith("7 infants cannot tell")


def test_what_is_not_compared_says_why() -> None:
    (found,) = gains(None, losses(0.1, 0.2))
    assert found["p"] is None
    assert "not estimable" in str(found["sentence"])
    (found,) = time_gains({"gru_x": "x"}, {"gru_x": losses(0.1)}, 0.95, 1000, np.random.default_rng(0), 2)
    assert found["why"] == "x is no key of `architectures`"


def test_without_models_over_time_nothing_is_said() -> None:
    assert time_gains({}, {"net": losses(0.1)}, 0.95, 1000, np.random.default_rng(0), 2) == []
    assert networks_read({"gru_net": {"model": "gru", "features": "net"}}) == {"gru_net": "net"}
