"""scikit-learn's classifiers as pipelines, and the grids that params.yaml allows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from stages.classify.params import Classifier, Classify

Values = NDArray[np.float32]
Truth = NDArray[np.float32]
Probabilities = NDArray[np.float64]
Setting = Mapping[str, Any]  # scikit-learn's name of a hyper-parameter -> value
MAX_ITER = 2000  # of the logistic regression's solver, which ends by itself long before

MADE: dict[Classifier, Callable[..., Any]] = {
    "knn": lambda seed, **setting: KNeighborsClassifier(**setting),  # noqa: ARG005 - nothing in it is drawn
    "tree": lambda seed, **setting: DecisionTreeClassifier(random_state=seed, **setting),
    "logistic": lambda seed, **setting: LogisticRegression(max_iter=MAX_ITER, random_state=seed, **setting),
    # early stopping would hold frames back at random, neighbours of those that stay
    "boosting": lambda seed, **setting: HistGradientBoostingClassifier(
        early_stopping=False, random_state=seed, **setting
    ),
}
BY_DISTANCE = ("knn", "logistic")  # what scales and counts of columns matter to; a tree cuts one column at a time


def grid(classifier: Classifier, params: Classify) -> list[Setting]:
    """Return every combination of the hyper-parameters that params.yaml lists; the last listed changes fastest."""
    return list(ParameterGrid(getattr(params, classifier).model_dump()))


def pipeline(classifier: Classifier, setting: Setting, shape: tuple[int, int], components: int, seed: int) -> Pipeline:
    """Return an unfitted pipeline for (rows, columns) training values."""
    rows = shape[0]
    if "n_neighbors" in setting:
        setting = {**setting, "n_neighbors": min(setting["n_neighbors"], rows)}
    model = MADE[classifier](seed, **setting)
    if classifier not in BY_DISTANCE:
        return make_pipeline(model)
    return make_pipeline(StandardScaler(), PCA(min(components, *shape), random_state=seed), model)


def fitted(
    classifier: Classifier, setting: Setting, values: Values, truth: Truth, components: int, seed: int
) -> Pipeline:
    """Return the pipeline fitted on rows of both classes, none unknown."""
    return pipeline(classifier, setting, (len(values), values.shape[1]), components, seed).fit(values, truth)


def probabilities(model: Pipeline, values: Values) -> Probabilities:
    """Return (rows,) the probability of class 1."""
    return np.asarray(model.predict_proba(values)[:, list(model.classes_).index(1)], np.float64)
