"""What may be believed of the comparison: intervals over patients, one paired test, and who wins in resamples.

Reads   data/predictions/<protocol>/<fold>/<seed>/<model>.csv, .json   opens no model and no picture
        data/label_merge/labels.csv, data/split/<protocol>.csv
Writes  metrics/evidence.json                 below
        metrics/plots/evidence_intervals.csv  protocol, model, metric, kind (interval or range), value, low, high,
                                              patients: the numbers of evidence.json as a table to draw
        metrics/plots/evidence_patients.csv   protocol, model, metric, patient, value, cases: a dot each

The unit is the patient, never the frame: neighbours 1/30 s apart are no independent cases, and no test here takes them
for such. Test rows are only reported; the winner comes from validation rows by the doctor's rule, as in evaluate.

evidence.json, everything over test rows but where it says validation:

    headline      the protocol to quote: leave_one_patient_out, else patient, else frame
    confidence    of every interval
    reading       sentences that belong beside the numbers
    protocols     headline first; protocol ->
      honest      false where frames of one infant are on both sides; `flag` then says so, else null
      patients    on the test side
      frames      on the test side
      models      model (label_copy and majority first) -> metric -> one of
                  {value, low, high, method, numerator, denominator, effective, patients, why}   a pooled proportion;
                      `effective`: how many independent cases its cases are worth
                  {value, lowest, highest, method, patients, why}   a mean over patients and its range: no interval
      comparison  {named_beforehand, simplest_first, models: [winner, simplest], losses, difference, patients, better,
                  worse, ties, per_patient (contributions, whose mean is the difference), own_per_patient (each
                  one's own loss), p, smallest_p (of the patients who differ), smallest_p_without_ties (of all), exact,
                  caveat, why}; negative differences are for the winner
      all_pairs   {pairs: [the same of every pair, p_holm, separated], sentence, why}; below `all_pairs_from` patients
                  pairs is null and the sentence says that this cohort cannot separate the models
      time        [the same of each model over frames in time against the network it reads, p_holm, sentence, why]: the
                  sentence says plainly whether time helps; negative differences are for time
      win_shares  validation, test -> {shares: {model: share}, no_winner, patients, distinct (resamples that differ),
                  why}; below five patients shares is null
      seeds       {seeds, models: {network: {macro F1, loss of the rule: {values (a seed each), lowest, highest,
                  spread}}}, why}: what chance in training does; the first seed is that of all other figures

What is not estimable is null, and `why` beside it says what is missing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.common.core.errors import PipelineError, raise_all, run
from stages.common.core.files import write_json
from stages.common.core.params import read_params
from stages.common.core.tables import write_table
from stages.common.evaluation.intervals import CONFIDENCE
from stages.common.evaluation.reading import (
    Protocoled,
    clear_undeclared,
    contradictions,
    read_answers,
    refuse_mixed_seeds,
)
from stages.common.protocols import LEAVE_ONE_OUT, PATIENT_DISJOINT
from stages.evidence.noise import noise
from stages.evidence.params import Params, simplest_first
from stages.evidence.protocol import NOT_HONEST, protocol_comparisons, protocol_metrics

OUT = Path("metrics")
HEADLINES = (LEAVE_ONE_OUT, "patient", "frame")  # the most honest first
READING = (
    "Intervals count patients as witnesses, not frames: Korn and Graubard's, mended, as "
    "stages/common/evaluation/intervals.py explains: half a patient more, and a patient worth two cases at most.",
    "They were simulated at 3 to 40 patients, whose rates vary smoothly or are of two kinds (most do well, a few fail "
    "altogether), with as many frames in patients who fail as in others: 90 % or more held the truth where 95 % are "
    "promised, in most cases nearly all. With twice the frames in those who fail it was 73 % at worst, with five times "
    "58 %. That is no theorem: a kind of patient too rare to be among those tested can be worse than any interval "
    "says.",
    "Without any error (or any success) the bound is exact and counts a patient as one case, the worst there can be: "
    "it can be wider than with a single error, because nothing is then known of how errors cluster.",
    "F1, ROC AUC and average precision are means over patients with their range, which is no confidence interval.",
    "One patient with both hits and others shows nothing of the next: its interval is 0 to 1, whatever its frames say.",
    "Decisions are pooled over folds. Each area here is taken within one patient; an area over the scores of several "
    "patients is the study's, stands in the comparison of protocol frame alone, and is named pooled there.",
    "Training seeds show the noise of optimisation: they are no patients, and never enter an interval.",
    "No interval or test corrects for a leaking protocol.",
)


def read(params: Params) -> dict[str, Protocoled]:
    """Return every model's answers; files of models no longer declared are deleted first, as evaluate does."""
    clear_undeclared(params)
    return read_answers(params, params.evaluate.threshold)


def seed_noise(answers: Mapping[str, Protocoled], params: Params) -> dict[str, dict[str, Any]]:
    """Return protocol -> what the networks' test figures are under each declared seed."""
    refuse_mixed_seeds(params)
    further = {seed: read_answers(params.of_seed(seed), params.evaluate.threshold) for seed in params.seeds}
    return {
        protocol: noise(
            {str(params.seed): of} | {seed: found[protocol] for seed, found in further.items()},
            list(params.labels), params.evaluate.rule,
        )
        for protocol, of in answers.items()
    }  # fmt: skip


def main() -> None:
    """Read, count, resample, write."""
    params = read_params(Params)
    raise_all(contradictions(params), "params.yaml has mistakes")
    answers = read(params)
    simplest = simplest_first(params)
    if not answers:
        raise PipelineError("params.yaml: protocols and folds: nothing to weigh. Declare a protocol, e.g. `frame: {}`.")
    noises = seed_noise(answers, params)
    protocols, intervals, patients = {}, [], []
    for protocol in [name for name in HEADLINES if name in answers]:
        of = answers[protocol]
        models, of_intervals, of_patients = protocol_metrics(protocol, of, params)
        honest, test = protocol in PATIENT_DISJOINT, of.rows[of.rows.on("test")]
        protocols[protocol] = {
            "honest": honest,
            "flag": None if honest else NOT_HONEST,
            "patients": len(np.unique(test.patients)),
            "frames": len(test.frames),
            "models": models,
            **protocol_comparisons(protocol, of, params, simplest),
            "seeds": noises[protocol],
        }
        intervals += of_intervals
        patients += of_patients
    content = {
        "headline": next(iter(protocols)),
        "confidence": CONFIDENCE,
        "reading": list(READING),
        "protocols": protocols,
    }
    write_json(OUT / "evidence.json", content, sort_keys=False)
    write_table(OUT / "plots/evidence_intervals.csv", pd.DataFrame(intervals))
    write_table(OUT / "plots/evidence_patients.csv", pd.DataFrame(patients))


if __name__ == "__main__":
    run(main)
