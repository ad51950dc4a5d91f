"""The section `classify`, and the entry of `baselines` that one run reads."""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from stages.common.core.params import Strict, one_entry
from stages.common.features import TEXTURE
from stages.common.labels import Label, LabelName
from stages.common.protocols import FoldKey, Nothing, Protocol

Classifier = Literal["knn", "tree", "logistic", "boosting"]
Chooser = Literal["validation", "patients"]
Whole = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class Baseline(Strict):
    """An entry of `baselines`; its key names the system everywhere downstream."""

    classifier: Classifier
    features: str  # texture, or a key of `architectures`: the activations before that network's head

    @property
    def learnt(self) -> bool:
        """Whether the features come from a network, which learnt the labels of the training side."""
        return self.features != TEXTURE


class ChosenBy(Strict):
    """Whose frames choose among the grid, a protocol each; for texture. On a network's features validation does.

    `validation`, as the networks choose their epoch; or `patients` of the training side, each judged by a classifier
    fitted on the others.
    """

    frame: Chooser
    patient: Chooser
    leave_one_patient_out: Chooser


class Knn(Strict):
    """scikit-learn's KNeighborsClassifier; the fields are its own names."""

    n_neighbors: list[Whole] = Field(min_length=1)  # no more than there are training frames are taken
    weights: list[Literal["uniform", "distance"]] = Field(min_length=1)


class Tree(Strict):
    """scikit-learn's DecisionTreeClassifier."""

    max_depth: list[Whole] = Field(min_length=1)
    min_samples_leaf: list[Whole] = Field(min_length=1)


class Logistic(Strict):
    """scikit-learn's LogisticRegression."""

    C: list[Positive] = Field(min_length=1)  # the smaller, the nearer to the prevalence


class Boosting(Strict):
    """scikit-learn's HistGradientBoostingClassifier."""

    max_iter: list[Whole] = Field(min_length=1)  # trees
    learning_rate: list[Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)
    max_leaf_nodes: list[Annotated[int, Field(ge=2)]] = Field(min_length=1)


class Classify(Strict):
    """The section `classify`: what all baselines share, and a small grid for each classifier."""

    score: Literal["log_loss", "average_precision"]  # by which one of the grid is chosen, a label each
    chosen_by: ChosenBy
    patient_folds: int = Field(ge=2)  # of the cross-validation inside the training side; whole patients only
    components: int = Field(ge=1)  # principal components that knn and logistic see
    knn: Knn
    tree: Tree
    logistic: Logistic
    boosting: Boosting

    def chooser(self, entry: Baseline, protocol: str) -> Chooser:
        """Return whose frames choose for a baseline.

        A network's features of training patients are of frames that it learnt: none of them is new to a classifier
        fitted on the others. Validation rows alone are.
        """
        chosen: Chooser = getattr(self.chosen_by, protocol)
        return "validation" if entry.learnt else chosen


class Shared(Strict):
    """What every baseline reads of params.yaml."""

    seed: int = Field(ge=0)
    labels: Annotated[dict[LabelName, Label], Field(min_length=1)]
    protocols: dict[Protocol, Nothing]
    folds: dict[FoldKey, Nothing]
    classify: Classify


def params_of(system: str) -> type[Shared]:
    """Return the class of what this run reads: the shared keys and its own entry of `baselines`, no other's."""
    section: Any = one_entry(system, Baseline)
    return create_model("Params", __base__=Shared, baselines=(section, ...))
