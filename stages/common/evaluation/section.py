"""The section `evaluate` of params.yaml: what evaluate and the stages that judge by the same rule and decision read."""

from stages.common.core.params import Strict
from stages.common.evaluation.decision import Decision
from stages.common.evaluation.rule import Rule
from stages.common.evaluation.thresholds import Threshold


class Evaluate(Strict):
    """The section `evaluate`."""

    threshold: Threshold  # how a probability becomes yes or no
    decision: Decision  # how the labels become GO, stop or no view
    rule: Rule  # how the model is chosen
