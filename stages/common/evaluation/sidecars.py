"""Read what stands beside each predictions table, `<model>.json`, and refuse to compare what was made differently.

Its `params` say what the model was trained with: parameters, and digests of the pictures and tables.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.common.core.errors import PipelineError
from stages.common.evaluation.predictions import Training

OWN = ("architecture", "system")  # entries of `params` that are each model's own
OF_PROTOCOL = "split."  # params.split.<protocol>: the digest of that protocol's table


def refuse_mix(sidecars: Mapping[Training, Path], own: Sequence[str] = OWN) -> None:
    """Refuse to compare models that were made with different params.

    `dvc exp run -S lr=0.01 train@...` without `evaluate` leaves the other models at the old lr. What is each model's
    own may differ, and what one kind of model reads (a network's lr) need not be said by another kind.

    Args:
        sidecars: of the trainings to be compared.
        own: entries of `params` that each may have for itself.

    Raises:
        PipelineError: a sidecar has no `params`, or naming each param that differs and who was made with what.
    """
    made = {training: _params_of(path) for training, path in sidecars.items()}
    kinds = {training: "system" in params for training, params in made.items()}
    flat = {
        training: _flat({key: params[key] for key in params if key not in own}) for training, params in made.items()
    }
    differences = []
    for key in sorted({key for params in flat.values() for key in params}):
        reading = {kinds[training] for training, params in flat.items() if key in params}
        values: dict[str, list[str]] = {}
        for training, params in flat.items():
            if key.startswith(OF_PROTOCOL) and not key.endswith(f".{training.protocol}"):
                continue  # another protocol's table is no business of this one
            if kinds[training] in reading:
                values.setdefault(json.dumps(params.get(key), sort_keys=True), []).append(str(training))
        if len(values) > 1:
            differences += [f"  - {key} = {value}: {', '.join(models)}" for value, models in values.items()]
    if differences:
        raise PipelineError(
            "the models were trained with different params, and a table of them would compare nothing:\n"
            + "\n".join(differences)
            + "\nRun `dvc repro evaluate`; with `dvc exp run -S ...`, always target `evaluate`."
        )


def _content(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _no_sidecar(path, error) from error


def _params_of(path: Path) -> dict[str, Any]:
    try:
        return dict(_content(path)["params"])
    except (ValueError, TypeError, KeyError) as error:
        raise _no_sidecar(path, error) from error


def giga_operations(path: Path) -> float:
    """Return what a sidecar says of the 10^9 multiply-adds that one picture costs."""
    try:
        return float(_content(path)["giga_operations"])
    except (ValueError, TypeError, KeyError) as error:
        raise _no_sidecar(path, error) from error


def _no_sidecar(path: Path, error: Exception) -> PipelineError:
    return PipelineError(
        f"{path}: expected a JSON object with `params`, what the model was trained with, and `giga_operations`, got "
        f"{error!r}. Run `dvc repro evaluate`."
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
    return flat
