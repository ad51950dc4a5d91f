"""What a doctor at the bedside would have seen: each model's decisions at an operating point that other infants chose.

Reads   data/predictions/<protocol>/<fold>/<seed>/<model>.csv, .json   opens no model and no picture
        data/label_merge/labels.csv, data/split/<protocol>.csv, data/extract_frames/frames.csv (the times)
Writes  data/bedside/<protocol>/<model>.csv    a row a test frame: frame_id, clip_id, patient, frame_index, time_s,
            duration_s, answered_by, per label <label>_truth, <label>_probability (calibrated), <label>_said (1, 0,
            blank), then truth and decision (GO, stop, no view, unknown)
        metrics/bedside.json                   the verdict; its shape is below
        metrics/plots/bedside_*.csv            patients, clips, thresholds, patient_calibration, calibration, timelines

Models are the declared ones, the baselines `label_copy` and `majority` (they say yes or no and have no scores), and
`chosen`: for each infant the model that wins the doctor's rule on the rows that choose for it.

Test rows choose nothing for themselves. Under leave-one-patient-out the temperature, thresholds and winner of patient i
come from the other patients' out-of-fold test rows; under a protocol of one fold from its validation rows. Not nested:
the networks behind the other patients' rows have seen patient i in training.

bedside.json; what cannot be estimated is null, and `why` beside it says so. `spread` is {min, median, max} or null,
`range` is {mean, min, median, max, infants (that have one)} or null; seconds are null where no clip states its times:

    cohort, headline_protocol, labels, models (in order), limits: [sentence], settings: the section `bedside`
    decision: {go, stop, vetoes: [labels that veto a GO without being a stop]}
    protocols: {protocol: {
      choosing_rows: sentence, continuous: are the tested frames whole clips, looked at throughout?, continuous_why,
      tested: {infants, clips, frames, seconds (looked at), span_seconds (without the limit longest_frame_s),
        thinned_clips: of whose time less than 95 % was looked at, so that seconds and runs are lower bounds,
        clips_without_times, why},
      choosing_infants: {min, max} over units of how many infants have rows that choose,
      operating_point: {model: {units: n, temperature: spread of those that are estimates,
        temperatures_without_estimate: n, why: [sentence],
        labels: {label: {rules, threshold: spread of the finite ones, never, always: units that call no frame yes, or
                         every frame, why: [sentence], and of the rows that chose
                         sensitivity, false_positive_rate: spread of the means over patients}}}},
      winner: {infants: {patient: model or null}, counts: {model: n}, without: n, why: {unit: sentence}},
      models: {model: {why: null, or why there is no other key (`chosen` without a winner for any infant),
        tested: as above; `chosen` leaves out infants without a winner,
        dangerous, futile: {infants, of_infants, interval_95: [low, high], infants_at_risk, interval_95_at_risk,
                            clips, of_clips, frames, seconds, longest_run_s, longest_run_clip, why},
        go: {right_frames, right_s, missed_frames, missed_s, expert_frames,
             unknown_frames: the expert's decision is open, undecided_frames: of them with a GO of the model, why},
        sustained_go: {clips_with_one, reached, never: [clip_id], seconds, expert_seconds, delay_s: spread, why},
        flicker_per_s: {mean, min, median, max, infants, expert_mean, why},
        boundaries: {expert, model: how many changes on frames that the expert decides, matched: one to one with a
                     like change at most boundary_frames away, median_frames: how far those are apart, why},
        agreement: {raw, kappa: spread over clips, kappa_undefined_clips, why},
        abstention: {labels, vetoed_frames, dangerous_saved, futile_saved, right_lost: {infants, frames, seconds},
                     dangerous_infants_with, dangerous_infants_without, why},
        at_evaluate_threshold: {dangerous, futile, right, missed: {infants, frames}}, without an operating point; of
                     the networks alone,
        calibration, of all but the baselines: {label: {brier_before, brier_after, slope, intercept: range,
                     why: {sentence: how many infants have no slope and intercept for it}}}
      }}}}

metrics/plots/bedside_<name>.csv, blank where not estimable:

    patients    protocol, model, patient, frames, seconds, span_s, <kind>_frames and <kind>_s of dangerous, futile,
                right, missed and undecided GOs, the longest runs, flicker_per_s, expert_flicker_per_s, ...
    clips       the same a clip, with sustained_go_s, expert_sustained_go_s, never_reached, agreement, kappa, kappa_why
    thresholds  protocol, model, unit (patient or `all`), temperature, label, threshold, sensitivity,
                false_positive_rate, rule, why
    patient_calibration  protocol, model, label, patient, frames, positives, brier_before, brier_after, slope,
                intercept, why
    calibration protocol, model, label, stage (before or after the temperature), bin, low, high, mean_probability,
                observed, frames, patients
    timelines   of the headline protocol and all but the baselines: protocol, model, clip_id, patient, frame_index,
                time_s, duration_s, <label>_truth and <label>_probability, truth, decision
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.bedside.abstention import vetoes
from stages.bedside.choices import stacked
from stages.bedside.clock import read_clock
from stages.bedside.decided import decisions_table, timeline
from stages.bedside.limits import limits
from stages.bedside.protocol import CHOSEN, Report, Settings, report_on
from stages.bedside.settings import Bedside
from stages.common.core.errors import Problem, raise_all, run
from stages.common.core.files import replacing, write_json
from stages.common.core.params import read_params
from stages.common.core.progress import bar
from stages.common.core.tables import write_table
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.reading import Declared, clear_undeclared, contradictions, read_answers
from stages.common.evaluation.section import Evaluate
from stages.common.labels import unknown_labels
from stages.common.protocols import LEAVE_ONE_OUT, declared

OUT = Path("data/bedside")
METRICS = Path("metrics/bedside.json")
PLOTS = Path("metrics/plots")
FALSE = ("dangerous", "futile")
HEADLINES = (LEAVE_ONE_OUT, "patient", "frame")  # the first that is declared


class Params(Declared):
    """What this stage reads of params.yaml."""

    cohort: str  # `phantom` is said aloud
    evaluate: Evaluate  # its decision and its rule
    bedside: Bedside


def refuse_unknown_names(params: Params) -> None:
    """Stop when the section, the decision or the rule names a label that there is not, or nothing is declared."""
    section, point = params.evaluate, params.bedside.operating_point
    named: dict[str, Iterable[str]] = {
        "evaluate.decision.go": section.decision.go,
        "evaluate.decision.stop": section.decision.stop,
        "evaluate.rule.minimise": section.rule.minimise,
        "evaluate.rule.subject_to": section.rule.subject_to,
        "bedside.operating_point.maximise": point.maximise,
        "bedside.operating_point.caps": point.caps,
    }
    problems = unknown_labels(params.labels, named)
    problems += contradictions(params)
    if not declared(params.protocols, params.folds):
        where = "params.yaml: protocols and folds"
        problems.append(Problem(where, "nothing to decide", "a protocol, e.g. `frame: {}`", "none", "Declare one."))
    raise_all(problems, "params.yaml has mistakes")


def content_of(reports: Mapping[str, Report], headline: str, params: Params) -> dict[str, Any]:
    """Return bedside.json; its shape stands in the docstring of this file."""
    section = params.bedside
    decision = params.evaluate.decision
    return {
        "cohort": params.cohort,
        "headline_protocol": headline,
        "labels": list(params.labels),
        "models": list(reports[headline].decided),
        "decision": {"go": dict(decision.go), "stop": dict(decision.stop), "vetoes": vetoes(decision)},
        "settings": section.model_dump(),
        "limits": limits(params.cohort, {protocol: at_risk(report.content) for protocol, report in reports.items()}),
        "protocols": {protocol: report.content for protocol, report in reports.items()},
    }


def at_risk(of_protocol: Mapping[str, Any]) -> dict[str, int]:
    """Return how many infants were tested, and how many of them could show each kind of false GO."""
    anyone = of_protocol["models"][next(iter(BASELINES))]  # a baseline answers every test frame
    return {"infants": anyone["tested"]["infants"], **{kind: anyone[kind]["infants_at_risk"] for kind in FALSE}}


def write_plots(reports: Mapping[str, Report], headline: str) -> None:
    """Write metrics/plots/bedside_*.csv; other stages keep theirs beside them."""
    for name in next(iter(reports.values())).plots:
        parts = {protocol: report.plots[name] for protocol, report in reports.items()}
        write_table(PLOTS / f"bedside_{name}.csv", stacked(parts, "protocol"))
    decided = {model: of for model, of in reports[headline].decided.items() if model not in BASELINES}
    lines = stacked({model: timeline(of) for model, of in decided.items()}, "model")
    write_table(PLOTS / "bedside_timelines.csv", stacked({headline: lines}, "protocol"))


def in_short(content: Mapping[str, Any]) -> str:
    """Return the verdict on `chosen`, and a line a network with the spread of its thresholds over units."""
    chosen = content["models"][CHOSEN]
    told = [str(content["continuous_why"])] if content["tested"]["thinned_clips"] else []
    if chosen["why"]:
        return "\n  ".join([str(chosen["why"]), *told])
    lines = told + [
        f"{kind} GO in {chosen[kind]['infants']} of {chosen[kind]['infants_at_risk']} at risk" for kind in FALSE
    ]
    for model, point in content["operating_point"].items():
        spreads = {label: of["threshold"] for label, of in point["labels"].items()}
        shown = [f"{name} {of['min']:.2f} to {of['max']:.2f}" if of else f"{name} none" for name, of in spreads.items()]
        lines.append(f"thresholds of {model}: {', '.join(shown)}")
    return "\n  ".join(lines)


def main() -> None:
    """Choose the operating points, decide, judge, write."""
    params = read_params(Params)
    refuse_unknown_names(params)
    clear_undeclared(params)
    clock = read_clock(params.bedside.longest_frame_s)
    section = params.evaluate
    settings = Settings(list(params.labels), params.bedside, section.decision, section.rule, clock)
    found = read_answers(params, section.threshold)
    reports = {name: report_on(name, asked, settings) for name, asked in bar(found.items(), "bedside", unit="protocol")}
    headline = next(protocol for protocol in HEADLINES if protocol in reports)
    with replacing(OUT) as folder:
        for protocol, report in reports.items():
            for model, of in report.decided.items():
                write_table(folder / protocol / f"{model}.csv", decisions_table(of))
    write_json(METRICS, content_of(reports, headline, params), sort_keys=False)
    write_plots(reports, headline)
    for protocol, report in reports.items():
        print(f"{protocol}: {in_short(report.content)}")


if __name__ == "__main__":
    run(main)
