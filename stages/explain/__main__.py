"""Show where each network looked when it erred: a gallery of misclassified frames with Grad-CAM heatmaps.

Reads   data/train/<protocol>/0/<seed>/<model>.safetensors   the bundles of the declared models (folds leave none)
        data/predictions, data/split, data/label_merge/labels.csv  what each model answered, as evaluate reads it
        data/preprocess/original.npy, data/extract_frames/         the pictures that the networks saw
        data/cohorts/<cohort>/masks/<clip>.mkv                     what lies where, for cohorts that know it
Writes  data/explain/<protocol>/<model>/<frame_id>_<label>.png     two panels: the picture seen, the same under its
            heatmap (each scaled to its own maximum), the true structure outlined in cyan where it is known; none of a
            network without a late convolutional map (a vision transformer): a sentence stands there instead
        data/explain/entries.json   the gallery's frames, beside their pictures and never in Git, where they would tell
            the expert which labels of metrics/label_review.csv are disputed: [{protocol, model, frame_id, clip_id,
            patient, frame_index, label, outcome, truth, answer, probability, threshold, truths, answers, probabilities,
            picture, blank, structure, heat_inside_mask, uniform_inside_mask, best_inside_mask, why}]
            outcome: missed, false alarm or right; truths, answers, probabilities: {label: value}, truth null where
            unknown; blank: the heatmap is zero everywhere, so that both panels are the same picture; picture: null
            without a heatmap; why: null, or why the shares are null
        metrics/explain.json:
            rule     in words: which frames are shown
            models   [{protocol, model, layer, map_px, why, misclassified_frames, wrong_answers, shown}]
            summary  [{protocol, model, label, structure, frames, frames_without, patients, heat_inside_mask,
                     uniform_inside_mask, best_inside_mask, why}]; frames_without: positives whose share is not told
        metrics/plots/explain_heat.csv  protocol, series (`Grad-CAM cord`, `uniform cord`, `best cord`), model, value

The summary does not judge the gallery, whose frames are chosen for being wrong: it takes test frames that the expert
calls positive, evenly spaced, and averages over patients. `uniform` is what a heatmap without any idea would put
inside, the structure's share of the sector shown; `best` is the most that any map as coarse as this network's could.
Pictures are patients': they live in DVC's cache, never in Git.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.common.core.errors import run
from stages.common.core.files import replacing, write_json
from stages.common.core.params import read_params
from stages.common.core.progress import bar
from stages.common.core.tables import FRAME_COLUMNS, read_table, write_table
from stages.common.evaluation.predictions import Training, refuse_missing, remove_undeclared
from stages.common.evaluation.reading import clear_undeclared, read_answers, trainings
from stages.explain.asked import Asked, ask
from stages.explain.choice import rule
from stages.explain.findings import OUT, Findings, plot_rows
from stages.explain.masks import Masks, read_masks
from stages.explain.networks import load, refuse_other_answers, set_deterministic
from stages.explain.params import Params, refuse_unknown_names
from stages.explain.pictures import encoded, panels

DATA = Path("data")
TRAIN = DATA / "train"
METRICS = Path("metrics")
ENTRIES = OUT / "entries.json"
PLOT_COLUMNS = ("protocol", "series", "model", "value")


def bundles_of(params: Params) -> dict[Training, Path]:
    """Return where the bundle of each declared training lies; folds leave none."""
    return {training: Path(f"{training.below(TRAIN)}.safetensors") for training in trainings(_with_bundles(params))}


def _with_bundles(params: Params) -> Params:
    return params.networks_alone(folds={})


def tidy(params: Params, bundles: Mapping[Training, Path]) -> None:
    """Delete what models no longer declared have left in the folders that DVC hashes for this stage.

    Raises:
        PipelineError: a declared bundle is missing.
    """
    clear_undeclared(params)
    remove_undeclared(TRAIN, bundles.values())
    refuse_missing(list(bundles.values()))


def masks_for(asked: Mapping[Training, Asked], params: Params) -> Masks:
    """Return the true masks of every frame that is looked at; none where the cohort brings none."""
    wanted: dict[str, set[int]] = {}
    for one in asked.values():
        for clip_id, index in one.frames():
            wanted.setdefault(clip_id, set()).add(index)
    clips = read_table(DATA / "extract_frames/clips.csv", ("clip_id",))
    return read_masks(DATA / "cohorts" / params.cohort, clips, wanted, params)


def look(asked: Asked, bundle: Path, pictures: NDArray[np.uint8], masks: Masks, params: Params, out: Path) -> Findings:
    """Ask one network where it looked; write its pictures below `out`.

    Args:
        asked: which of its answers.
        bundle: the network.
        pictures: (N, S, S) uint8, what the network saw of the frames of `asked`, row by row.
        masks: where structures truly lie.
        params: the section, and what the bundle must have been trained with.
        out: data/explain, being written.
    """
    network, labels = load(asked.training, bundle, params), list(params.labels)
    rows, pairs = asked.looked_at(), asked.pairs()
    said = network.probabilities(pictures[rows], len(labels))
    tolerance = params.explain.tolerance[params.train.device]
    refuse_other_answers(asked.training, asked.frame_ids(rows), labels, asked.scores[rows], said, tolerance)
    heat = network.heat(pictures[[row for row, _ in pairs]], [column for _, column in pairs])
    if heat is None:
        return Findings(asked, None, {}, masks, params)
    findings = Findings(asked, network.target, dict(zip(pairs, heat, strict=True)), masks, params)
    for shown, entry in zip(asked.shown, findings.entries(), strict=True):
        mask = findings.mask(shown.row, shown.column)
        outline = None if mask is None else mask.inside
        heated = findings.heat[shown.row, shown.column]
        path = out / Path(entry["picture"]).relative_to(OUT)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(panels(pictures[shown.row], heated, outline, params.explain.picture_px)))
    return findings


def look_at_all(params: Params, bundles: Mapping[Training, Path], out: Path) -> list[Findings]:
    """Ask every network in turn; write the pictures below `out`."""
    found = read_answers(_with_bundles(params), params.evaluate.threshold)
    asked = {
        training: ask(training, found[training.protocol].rows, found[training.protocol].models[training.model], params)
        for training in bundles
    }
    masks = masks_for(asked, params)
    frames = read_table(DATA / "extract_frames/frames.csv", FRAME_COLUMNS)
    place = pd.Series(np.arange(len(frames)), index=frames["frame_id"])
    pictures = np.load(DATA / "preprocess/original.npy", mmap_mode="r")
    findings = []
    for training in bar(bundles, "explain", total=len(bundles), unit="network"):
        one = asked[training]
        seen = pictures[place[one.rows.frames["frame_id"]].to_numpy()]
        findings.append(look(one, bundles[training], seen, masks, params, out))
    return findings


def main() -> None:
    """Look, and write the gallery and the shares."""
    params = read_params(Params)
    refuse_unknown_names(params)
    set_deterministic(params.train.threads)
    bundles = bundles_of(params)
    tidy(params, bundles)
    with replacing(OUT) as out:
        out.mkdir(parents=True)
        findings = look_at_all(params, bundles, out)
        entries = [entry for one in findings for entry in one.entries()]
        write_json(out / ENTRIES.relative_to(OUT), entries, sort_keys=False)
    summary = [line for one in findings for line in one.summary()]
    content: dict[str, Any] = {
        "rule": rule(params.explain),
        "models": [one.model() for one in findings],
        "summary": summary,
    }
    write_json(METRICS / "explain.json", content, sort_keys=False)
    write_table(METRICS / "plots/explain_heat.csv", pd.DataFrame(plot_rows(summary), columns=list(PLOT_COLUMNS)))


if __name__ == "__main__":
    run(main)
