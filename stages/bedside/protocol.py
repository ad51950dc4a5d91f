"""All that is said of one protocol: operating points, winners, and every model's verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stages.bedside.abstention import abstention
from stages.bedside.calibration import calibration_part, patient_calibration, reliability
from stages.bedside.choices import operating_part, stacked, threshold_table, winner_part
from stages.bedside.choosing import Unit, choosing_infants, choosing_rows, units_of
from stages.bedside.clips import clip_table, kinds, patient_table, written
from stages.bedside.decided import Decided, on_test
from stages.bedside.operating import Decider, Point, assemble, baseline, network, points_of, winners
from stages.bedside.settings import Bedside
from stages.bedside.tested import continuous_why
from stages.bedside.verdict import verdict
from stages.common.evaluation.answers import Rows
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.decision import Decision, decide
from stages.common.evaluation.reading import Protocoled
from stages.common.evaluation.rule import Rule
from stages.common.evaluation.scores import Said, Truth

Content = dict[str, Any]
CHOSEN = "chosen"
NOBODY = "no model met the conditions of the doctor's rule for any infant, so no test frame has an answer"


@dataclass(frozen=True)
class Settings:
    """What judging a protocol takes of params.yaml, and the clock.

    Attributes:
        labels: names of the label columns.
        bedside: the section.
        decision: what GO and stop mean.
        rule: the doctor's rule.
        clock: frames.csv with durations.
    """

    labels: Sequence[str]
    bedside: Bedside
    decision: Decision
    rule: Rule
    clock: pd.DataFrame


@dataclass(frozen=True)
class Report:
    """What one protocol adds to the outputs.

    Attributes:
        content: its part of bedside.json.
        decided: model -> its decisions on the test rows.
        plots: name of a bedside_<name>.csv -> rows, without the column `protocol`.
    """

    content: Content
    decided: Mapping[str, Decided]
    plots: Mapping[str, pd.DataFrame]


def report_on(protocol: str, asked: Protocoled, settings: Settings) -> Report:
    """Return the report on one protocol; no test row chooses anything for itself."""
    rows, units = asked.rows, units_of(protocol, asked.rows)
    scores = {model: of.scores for model, of in asked.models.items() if of.scores is not None}
    point = settings.bedside.operating_point
    points = {model: points_of(rows, values, settings.labels, units, point) for model, values in scores.items()}
    won = winners(rows, scores, points, units, settings.labels, settings.rule)
    deciders = _deciders(asked, scores, points, won, units)
    decided = {
        model: on_test(rows, of, settings.clock, settings.labels, settings.decision) for model, of in deciders.items()
    }
    parts = {model: _model_part(of, settings) for model, of in decided.items()}
    for model in scores:
        parts[model].content["at_evaluate_threshold"] = plain(rows, asked.models[model].said, settings)
    everyone = next(iter(parts.values()))
    content = {
        "choosing_rows": choosing_rows(protocol),
        "choosing_infants": choosing_infants(units, rows.patients),
        "tested": everyone.content["tested"],
        "continuous": continuous_why(everyone.clips) is None,
        "continuous_why": continuous_why(everyone.clips),
        "operating_point": {model: operating_part(of, settings.labels) for model, of in points.items()},
        "winner": winner_part(won, units, rows.patients),
        "models": {model: part.content for model, part in parts.items()},
    }
    plots = {"thresholds": threshold_table(points)}
    for name in ("clips", "patients", "patient_calibration", "calibration"):
        plots[name] = stacked({model: getattr(part, name) for model, part in parts.items()}, "model")
    return Report(content, decided, plots)


def _deciders(
    asked: Protocoled,
    scores: Mapping[str, Truth],
    points: Mapping[str, Mapping[str, Point]],
    won: Mapping[str, tuple[str | None, str]],
    units: Sequence[Unit],
) -> dict[str, Decider]:
    """Return every model's answers, baselines first, and those of the winner of each unit."""
    found = {model: baseline(model, asked.models[model].said) for model in BASELINES}
    found |= {model: network(model, values, points[model], units) for model, values in scores.items()}
    return found | {CHOSEN: assemble({name: who for name, (who, _) in won.items()}, scores, points, units)}


def plain(rows: Rows, said: Said, settings: Settings) -> Content:
    """Return infants and frames of each kind of GO at the threshold of evaluate, without an operating point."""
    test = rows.on("test")
    truth = decide(rows.truth[test], settings.labels, settings.decision)
    found = kinds(truth, decide(said[test].astype(float), settings.labels, settings.decision))
    patients = rows.patients[test]
    return {kind: {"infants": len(set(patients[flag])), "frames": int(flag.sum())} for kind, flag in found.items()}


@dataclass(frozen=True)
class _Part:
    content: Content
    clips: pd.DataFrame
    patients: pd.DataFrame
    patient_calibration: pd.DataFrame
    calibration: pd.DataFrame


def _model_part(of: Decided, settings: Settings) -> _Part:
    """Return a model's part of bedside.json and its rows of the plots."""
    calibrated, bins = patient_calibration(of), reliability(of, settings.bedside.reliability_bins)
    if not len(of.frames):
        nothing = pd.DataFrame()
        return _Part({"why": NOBODY}, nothing, nothing, calibrated, bins)
    clips = clip_table(of, settings.bedside.sustained_s, settings.bedside.boundary_frames)
    patients = patient_table(clips)
    content: Content = {"why": None, **verdict(clips, patients)}
    content["abstention"] = abstention(of, settings.decision)
    if not calibrated.empty:  # a baseline has no probabilities
        content["calibration"] = calibration_part(calibrated, list(settings.labels))
    return _Part(content, written(clips), patients, calibrated, bins)
