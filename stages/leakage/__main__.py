"""Certify what leaks between the sides of each protocol, and probe for shortcuts that need no anatomy.

Reads   data/augment/original.npy, data/preprocess/<variant>.npy   the pictures that are really there
        data/augment/<variant>.csv                                 what was drawn: each is made once more, and compared
        data/extract_frames/frames.csv, data/label_merge/labels.csv, data/split/<protocol>.csv
        data/predictions/...                                       for each model's patient-wise AUC
        metrics/comparison.csv                                     for the optimism gap
Writes  metrics/leakage.json                certificate, optimism, probes: its shape is below
        metrics/plots/leakage_gap.csv       against, figure, model, frame, honest, gap, label_copy_gap
        metrics/plots/leakage_near.csv      protocol, kind, bits, frames, share: test frames with training that near
        metrics/plots/leakage_probes.csv    protocol, label, what, name, auc, lowest, highest, patients, flagged, ...

leakage.json:
    pictures      frames, blank (left out of all comparisons), hash_bits, within_bits, trained_variants
    certificate   protocol -> promises_patient_disjoint, holds, findings (in words), test_frames, patients_on_two_sides,
                  near_duplicates and same_pictures (same_clip, another_clip, another_patient -> frames, share),
                  nearest_bits (kind -> bits or null), near_examples, same_examples (test, training, kind, bits or
                  variant), twin_clips (clips, patients, frames, share, known: the reason or null)
    optimism      why (null, or why there is none), against -> protocol -> model -> figure -> frame, honest, gap, why
    probes        about (probe -> what it sees), clips_without_sector, sector_share (median over clips),
                  results -> protocol -> label -> models (auc, patients, names, lowest, highest, why)
                                               -> probes (the same, flagged, strong (by its own AUC), reasons,
                  casts_doubt_on, share_of_excess: model -> share, null where the model has no excess, weak_models,
                  no_better_than_chance: model -> its AUC, at most .5)
                  flags: the flagged ones as a list
    notes         how to read all this, and what it cannot see
What is not estimable is null, with `why` beside it. Under a patient-disjoint protocol the stage stops where a patient,
or one picture under two patients' names, stands in test and in training.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from stages.common.core.errors import PipelineError, Problem, raise_all, run
from stages.common.core.files import write_json
from stages.common.core.params import read_params
from stages.common.core.progress import bar
from stages.common.core.tables import write_table
from stages.common.evaluation.baselines import BASELINES
from stages.common.evaluation.reading import read_answers
from stages.common.evaluation.thresholds import Threshold
from stages.common.protocols import declared
from stages.leakage.certificate import Compared, Seen, compare
from stages.leakage.cohort import KINDS, Cohort, Fold, Pictures, open_array, read_cohort, read_folds
from stages.leakage.doubt import Areas, flags_of, model_areas, probe_table, results
from stages.leakage.findings import as_json, problems_of
from stages.leakage.gap import gap_table, gaps, read_comparison
from stages.leakage.params import Leakage, Params
from stages.leakage.pictures import Looks, histogram, look
from stages.leakage.probes import ABOUT, inputs, probe_folds
from stages.leakage.replay import PREPROCESSED, misfiled
from stages.leakage.same import digests
from stages.leakage.standing import standing

ORIGINALS = Path("data/augment/original.npy")
OUT = Path("metrics")
NOTES = (
    "Near-duplicates are found by a perceptual hash of the originals: another crop, or a mirrored clip, is not seen.",
    "The gap is between other test frames, too: a small one, of either sign, is chance.",
    "The patient-wise AUC ranks frames within a patient; what tells patients apart and no more does not show in it.",
    "With few patients a probe passes its limit by chance; the number of patients and their range stand beside it.",
    "A flag is a question, not a verdict: dark frames are bad frames, and brightness is part of what the label means.",
    "A mark that comes and goes within the sector's outline counts as tissue, and is not blanked alone.",
    "What lies outside the extracted crop reaches no model, and no probe.",
)
# Scores alone are read here, and no threshold changes them
ANY = Threshold(method="fixed", value=0.5)


def see(looks: Looks, variants: Sequence[str], params: Leakage) -> Seen:
    """Return the pictures of both sides as the certificate compares them."""
    count = len(looks.hashes)
    of = {
        name: digests(open_array(PREPROCESSED / f"{name}.npy", count), f"digest {name}")
        for name in dict.fromkeys(["original", *variants])
    }
    return Seen(looks.hashes, of["original"], {name: of[name] for name in variants}, looks.spread < params.blank_below)


def certify(cohort: Cohort, folds: Sequence[Fold], seen: Seen, params: Leakage) -> dict[str, Compared]:
    """Return protocol -> what its sides share.

    Raises:
        PipelineError: a protocol that promises to keep patients apart does not.
    """
    protocols = list(dict.fromkeys(fold.protocol for fold in folds))
    found = {
        protocol: compare(cohort, [fold for fold in folds if fold.protocol == protocol], seen, params.near_duplicates)
        for protocol in bar(protocols, "compare the sides", unit="protocol")
    }
    problems = [problem for name, of in found.items() for problem in problems_of(cohort, name, of, params)]
    raise_all(problems, "test and training share what they must not")
    return found


def near_table(found: Mapping[str, Compared], params: Leakage) -> pd.DataFrame:
    """Return how many test frames have a training frame of each kind within so many bits, up to twice the limit."""
    rows = []
    for protocol, compared in found.items():
        for kind in KINDS:
            bits = compared.near.loc[compared.near["kind"] == kind, "bits"].to_numpy()
            for within in range(2 * params.near_duplicates.within_bits + 1):
                frames = int((bits <= within).sum())
                rows.append((protocol, kind, within, frames, frames / compared.test_frames))
    return pd.DataFrame(rows, columns=["protocol", "kind", "bits", "frames", "share"])


def probe(
    cohort: Cohort, folds: Sequence[Fold], originals: Pictures, looks: Looks, areas: Areas, params: Params
) -> dict[str, Any]:
    """Return the part `probes` of leakage.json."""
    settings, labels = params.leakage.probes, list(params.labels)
    networks_see = open_array(PREPROCESSED / "original.npy", len(originals))
    levels = np.stack([histogram(np.ascontiguousarray(networks_see[row])) for row in range(len(originals))])
    left = standing(cohort, originals, settings.side_px, settings.sector)
    features = inputs(cohort, looks, levels, left)
    with threadpool_limits(1):  # the same bytes on any machine, and small fits that wait for threads are slower
        probed = probe_folds(cohort, folds, features, len(labels), settings)
    found = results(areas, probed, labels, list(dict.fromkeys(fold.protocol for fold in folds)), settings)
    shares = list(left.sector_share.values())
    return {
        "about": ABOUT,
        "clips_without_sector": left.without_sector,
        "sector_share": round(float(np.median(shares)), 4) if shares else None,
        "results": found,
        "flags": flags_of(found),
    }


def refuse_unknown_clips(cohort: Cohort, params: Leakage) -> None:
    """Stop when a known pair names a clip that there is not: a mistyped name would explain nothing."""
    clips = sorted(set(cohort.column("clip_id")))
    where, remedy = "params.yaml: leakage.known_pairs", "Name clips as clips.csv of data/extract_frames does."
    problems = [
        Problem(where, "unknown clip", f"one of {', '.join(clips)}", repr(clip), remedy)
        for pair in params.known_pairs
        for clip in pair.split()
        if clip not in clips
    ]
    raise_all(problems, "params.yaml has mistakes")


def read_declared(params: Params) -> dict[str, list[str]]:
    """Return protocol -> folds.

    Raises:
        PipelineError: none is declared.
    """
    protocols = declared(params.protocols, params.folds)
    if not protocols:
        raise PipelineError("params.yaml: protocols and folds: expected a protocol, e.g. `frame: {}`, got none.")
    return protocols


def main() -> None:
    """Look, certify, subtract, probe, write."""
    params = read_params(Params)
    section, labels = params.leakage, list(params.labels)
    protocols = read_declared(params)
    cohort = read_cohort(labels)
    refuse_unknown_clips(cohort, section)
    folds = read_folds(cohort, protocols)
    wanted = [(protocol, model) for protocol in protocols for model in [*BASELINES, *params.models(protocol)]]
    comparison = read_comparison(labels, wanted)
    areas = model_areas(read_answers(params, ANY), len(labels), section.probes.least_patients)
    originals = open_array(ORIGINALS, len(cohort.frames))
    raise_all(misfiled(cohort, params.train.chosen(), params.preprocess), "pictures are not of their frames")
    looks = look(originals, section.near_duplicates.hash_side, section.probes.side_px)
    seen = see(looks, params.train.chosen(), section)
    compared = certify(cohort, folds, seen, section)
    optimism = gaps(comparison, areas, labels, list(protocols), params.models("frame"))
    probed = probe(cohort, folds, originals, looks, areas, params)
    pictures = {
        "frames": len(originals),
        "blank": int(seen.blank.sum()),
        "hash_bits": section.near_duplicates.hash_side**2,
        "within_bits": section.near_duplicates.within_bits,
        "trained_variants": params.train.chosen(),
    }
    certificate = {name: as_json(cohort, name, of, section) for name, of in compared.items()}
    content = {
        "pictures": pictures,
        "certificate": certificate,
        "optimism": optimism,
        "probes": probed,
        "notes": NOTES,
    }
    write_json(OUT / "leakage.json", content, sort_keys=False)
    write_table(OUT / "plots/leakage_gap.csv", gap_table(optimism))
    write_table(OUT / "plots/leakage_near.csv", near_table(compared, section))
    write_table(OUT / "plots/leakage_probes.csv", probe_table(probed["results"]))


if __name__ == "__main__":
    run(main)
