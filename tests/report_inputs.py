"""Everything that the report reads, made up in the shapes that the stages before it document: small, or of any size."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from stages.common.core.tables import write_table
from stages.common.protocols import LEAVE_ONE_OUT
from stages.report.inputs import RESULTS, TABLES
from tests.workspace import ROOT, read_params_file

BASELINES = ("label_copy", "majority")
LEFT_OUT = "left out on purpose"  # the reason that stands wherever the small cohort has no figure
SECTIONS = (
    "seed", "cohort", "size_px", "lr", "epochs", "labels", "architectures", "baselines", "sequences", "protocols",
    "folds", "extract_frames", "label_merge", "preprocess", "split", "train", "evaluate", "report",
)  # fmt: skip


def noise(rng: np.random.Generator, name: str) -> bytes:  # noqa: ARG001 - all alike
    """Return a PNG that hardly counts."""
    return cv2.imencode(".png", rng.integers(0, 255, (16, 32), dtype=np.uint8))[1].tobytes()


@dataclass(frozen=True)
class Size:
    """How much of everything there is.

    Attributes:
        errors: entries of the gallery, of each model.
        gallery: how many of all are shown as pictures.
        points: of a curve, a model and label.
        epochs: of a training.
        infants: who shares the clips, in turn.
        picture: the PNG of this name: `augment`, `preprocess`, `embedding`, or an entry's number.
    """

    errors: int = 2
    gallery: int = 2
    points: int = 3
    epochs: int = 2
    infants: int = 1
    picture: Callable[[np.random.Generator, str], bytes] = noise


SMALL = Size()


class Made:
    """A folder of inputs below `root`.

    Attributes:
        estimable: whether there are figures; without, everything that may be null is, with a reason.
        clips, frames, patient: the clips' names, how many frames each has, and the first infant's name.
        size: how much of the rest there is.
    """

    def __init__(
        self, root: Path, cohort: str = "phantom", models: tuple[str, ...] = ("alexnet", "resnet18"),
        protocols: tuple[str, ...] = ("frame", "patient"), labels: tuple[str, ...] = ("bad_quality", "cord", "fluid"),
        estimable: bool = True, clips: tuple[str, ...] = ("C001", "C002"), frames: int = 30, patient: str = "P001",
        size: Size = SMALL,
    ) -> None:  # fmt: skip
        self.root, self.cohort, self.models, self.protocols, self.labels = root, cohort, models, protocols, labels
        self.estimable, self.clips, self.frames, self.patient = estimable, clips, frames, patient
        self.size, self.patients = size, (patient, *(f"P{number:03d}" for number in range(2, size.infants + 1)))
        self.all = (*BASELINES, *models)
        self.headline = protocols[-1]
        self.rng = np.random.default_rng(0)

    def write(self, pixels: bool = False) -> dict[str, Any]:
        """Write every file; return the params."""
        params = self.params(pixels)
        for name in RESULTS:
            self.json(f"metrics/{name}.json", getattr(self, f"{name}_json")())
        self.json("data/explain/entries.json", self.entries())
        self.tables()
        self.pictures()
        (self.root / "requirements.txt").write_text((ROOT / "requirements.txt").read_text())
        return params

    def json(self, path: str, content: Any) -> None:
        """Write a JSON file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, allow_nan=False))

    def params(self, pixels: bool) -> dict[str, Any]:
        """Return the shipped params with this cohort, its models and labels; also written as params.yaml."""
        shipped = read_params_file(ROOT / "params.yaml")
        found = {name: shipped[name] for name in SECTIONS}
        found |= {"cohort": self.cohort, "architectures": {model: {} for model in self.models}}
        found |= {"labels": {label: {"column": label.upper()} for label in self.labels}}
        found["report"] = {"patient_pixels": pixels, "gallery_pictures": self.size.gallery}
        if not set(shipped["evaluate"]["decision"]["go"]) <= set(self.labels):  # which the pipeline would refuse
            found["evaluate"] = found["evaluate"] | {"decision": {"go": {self.labels[-1]: 1}, "stop": {}}}
        (self.root / "params.yaml").write_text(json.dumps(found))  # JSON is YAML
        return found

    def number(self, value: float) -> float | None:
        """Return the value, or None in a cohort without figures."""
        return value if self.estimable else None

    @property
    def why(self) -> str | None:
        """Return the reason beside a null."""
        return None if self.estimable else LEFT_OUT

    def spread(self, middle: float = 0.5) -> dict[str, float] | None:
        """Return min, median and max, or None in a cohort without figures."""
        return {"min": middle - 0.1, "median": middle, "max": middle + 0.1} if self.estimable else None

    def selected_json(self) -> dict[str, Any]:
        winner, few = self.models[0] if self.estimable else None, {} if self.estimable else {"sensitivity of cord": 0}
        return {protocol: {"winner": winner, "few_patients": dict(few)} for protocol in self.protocols}

    def labels_json(self) -> dict[str, Any]:
        each = {"positive": 10, "negative": 20, "unknown": 1, "share": 0.333333}
        return {
            "clips": {clip: {} for clip in self.clips},
            "experts": {"count": 1},
            "patients": {label: {"positive": 1, "negative": 2} for label in self.labels},
            "problems": {} if self.estimable else {"blank_cell": ["one"]},
            "total": {
                "frames": self.frames * len(self.clips),
                "labels": {label: dict(each) for label in self.labels},
                "combinations": {"none": 3, "+".join(self.labels): 1},
            },
        }

    def augment_json(self) -> dict[str, Any]:
        return {"same_as_original": {"original": 1.0, "brightness": 0.25, "hue": 1.0}, "pictures": {}}

    def harm(self, infants: int) -> dict[str, Any]:
        return {
            "infants": self.number(infants), "of_infants": 2, "interval_95": [0.01, 0.9] if self.estimable else None,
            "infants_at_risk": 2, "interval_95_at_risk": [0.01, 0.9] if self.estimable else None,
            "frames": 3, "seconds": self.number(0.1), "longest_run_s": self.number(0.1),
            "longest_run_clip": self.clips[0], "why": self.why,
        }  # fmt: skip

    def bedside_model(self) -> dict[str, Any]:
        mean = {
            "mean": self.number(0.4),
            "median": self.number(0.2),
            "min": self.number(0.1),
            "max": self.number(0.3),
            "infants": 2,
        }
        saved = {"infants": 0, "frames": 1, "seconds": 0.0}
        return {
            "why": None,
            "tested": {"infants": 2, "clips": 2, "frames": 60, "seconds": 2.0, "span_seconds": 2.0, "thinned_clips": 0},
            "dangerous": self.harm(1),
            "futile": self.harm(0),
            "go": {
                "right_frames": 24, "missed_frames": 6, "expert_frames": 30, "unknown_frames": 7, "undecided_frames": 5,
                "why": self.why,
            },
            "sustained_go": {
                "clips_with_one": 2, "reached": 1, "never": [self.clips[-1]], "seconds": self.spread(1.0),
                "expert_seconds": self.spread(0.6), "delay_s": self.spread(0.4), "why": self.why,
            },
            "flicker_per_s": {**mean, "expert_mean": self.number(0.1), "why": self.why},
            "boundaries": {"expert": 4, "model": 7, "matched": 3, "median_frames": self.number(2.0), "why": self.why},
            "agreement": {"raw": self.spread(), "kappa": self.spread(), "kappa_undefined_clips": 0},
            "abstention": {
                "labels": ["bad_quality"], "vetoed_frames": self.number(3), "dangerous_saved": saved,
                "futile_saved": saved, "right_lost": saved, "dangerous_infants_with": 1,
                "dangerous_infants_without": 1, "why": self.why,
            },
            "calibration": {
                label: dict.fromkeys(
                    ("brier_before", "brier_after", "slope", "intercept"), mean if self.estimable else None
                )
                | {"why": {"all no": 3}}
                for label in self.labels
            },
        }  # fmt: skip

    def bedside_json(self) -> dict[str, Any]:
        models: dict[str, Any] = {model: self.bedside_model() for model in self.all}
        models["chosen"] = self.bedside_model() if self.estimable else {"tested": {}, "why": LEFT_OUT}
        units = 2 if self.headline == "leave_one_patient_out" else 1
        absent = 0 if self.estimable else units
        point: dict[str, Any] = {
            "units": units,
            "temperature": self.spread(1.0),
            "temperatures_without_estimate": absent,
        }
        point["why"] = [] if self.estimable else [LEFT_OUT]
        label = {"rules": ["a rule"], "threshold": self.spread(), "never": absent, "always": 0, "why": []}
        point["labels"] = dict.fromkeys(self.labels, label)
        protocol = {
            "choosing_rows": "Validation rows choose.",
            "choosing_infants": {"min": 1, "max": 1},
            "tested": {
                "infants": 2,
                "clips": 2,
                "frames": 60,
                "seconds": self.number(2.0),
                "span_seconds": self.number(2.0),
                "thinned_clips": 0,
                "clips_without_times": 0,
            },
            "continuous": self.estimable,
            "continuous_why": None if self.estimable else LEFT_OUT,
            "operating_point": dict.fromkeys(self.models, point),
            "winner": {"infants": {}, "counts": {self.models[0]: 2}, "without": 0, "why": {}},
            "models": models,
        }
        return {
            "cohort": self.cohort,
            "headline_protocol": self.headline,
            "labels": list(self.labels),
            "models": list(self.all),
            "decision": {"go": {}, "stop": {}, "vetoes": []},
            "settings": {
                "sustained_s": 0.5,
                "boundary_frames": 15.0,
                "operating_point": {"caps": {"cord": {"false_positive_rate": 0.2}}},
            },
            "limits": ["A transverse frame carries no vertebral number.", "Needle depth is not assessed."],
            "protocols": dict.fromkeys((self.headline, *self.protocols[:-1]), protocol),
        }

    def metrics(self) -> list[str]:
        decisions = ["GO dangerous", "GO futile", "GO found"]
        rates = [f"{label} {rate}" for label in self.labels for rate in ("sensitivity", "specificity")]
        return [*(f"patients with {name}" for name in decisions[:2]), *decisions, *rates]

    def evidence_json(self) -> dict[str, Any]:
        value = {
            "value": self.number(0.8), "low": self.number(0.5), "high": self.number(0.95), "method": "Korn-Graubard",
            "numerator": 8, "denominator": 10, "effective": 4.0, "patients": 2, "why": self.why,
        }  # fmt: skip
        ranged: dict[str, Any] = dict(
            zip(("value", "lowest", "highest"), map(self.number, (0.6, 0.4, 0.9)), strict=True)
        )
        ranged |= {"patients": 2, "why": self.why}
        ranges = [
            "macro F1",
            *(f"{label} {area}" for label in self.labels for area in ("ROC AUC", "average precision")),
        ]
        named: dict[str, Any] = {"named_beforehand": "the winner against the simplest", "caveat": None, "why": self.why}
        named |= {"simplest_first": list(reversed(self.models))}
        compared = {
            "models": [self.models[0], self.models[-1]], "losses": [0.1, 0.2], "difference": -0.1, "patients": 2,
            "better": 2, "worse": 0, "ties": 0, "per_patient": dict.fromkeys(self.patients, -0.1),
            "own_per_patient": dict.fromkeys(self.patients, -0.05), "p": 0.5, "smallest_p": 0.5,
            "smallest_p_without_ties": 0.5, "exact": True,
        }  # fmt: skip
        shares = {
            "shares": dict.fromkeys(self.models, 0.5),
            "no_winner": 0.0,
            "patients": 5,
            "distinct": 126,
            "why": None,
        }
        none = {"shares": None, "no_winner": None, "patients": 0, "distinct": 0, "why": LEFT_OUT}
        protocol = {
            "honest": True, "flag": None, "patients": 2, "frames": 60,
            "models": {
                model: {**dict.fromkeys(self.metrics(), value), **dict.fromkeys(ranges, ranged)} for model in self.all
            },
            "comparison": named | (compared if self.estimable else {"models": None}),
            "all_pairs": {"pairs": None, "sentence": "this cohort cannot separate two models", "why": "2 patients"},
            "time": [],
            "win_shares": {"validation": none, "test": shares if self.estimable else none},
            "seeds": self.seeds(),
        }  # fmt: skip
        protocols = {name: dict(protocol) for name in (self.headline, *self.protocols[:-1])}
        if "frame" in protocols:
            protocols["frame"] |= {"honest": False, "flag": "not honest: frames of one infant on both sides"}
        return {
            "headline": self.headline, "confidence": 0.95, "reading": ["Read with care."], "protocols": protocols,
        }  # fmt: skip

    def seeds(self) -> dict[str, Any]:
        """Return two seeds of every network, or why there are none."""
        if not self.estimable:
            return {"seeds": ["1"], "models": {}, "why": LEFT_OUT}
        spread = {"values": [0.6125, 0.7375], "lowest": 0.6125, "highest": 0.7375, "spread": 0.125}
        figures = {"macro F1": spread, "loss of the rule": spread}
        return {"seeds": ["1", "2"], "models": dict.fromkeys(self.models, figures), "why": None}

    def leakage_json(self) -> dict[str, Any]:
        kinds = ("same_clip", "another_clip", "another_patient")
        counts = {kind: {"frames": 1, "share": 0.01} for kind in kinds}
        entry = {"auc": self.number(0.7), "patients": 2, "lowest": self.number(0.6), "highest": self.number(0.8)}
        gap = {"frame": 0.9, "honest": 0.7, "gap": self.number(0.2), "why": self.why}
        flag = {
            "label": "cord",
            "probe": "frame_index",
            "auc": 0.7,
            "lowest": 0.61,
            "highest": 0.83,
            "patients": 2,
            "names": ["P001", "P002"],
            "reasons": ["AUC 0.7"],
        }
        flag |= {"strong": True, "share_of_excess": {self.models[0]: 0.8}, "weak_models": []}
        flag |= {"no_better_than_chance": {}}
        probe = entry | {"why": self.why, "flagged": True, "reasons": ["AUC 0.7"], "casts_doubt_on": [self.models[0]]}
        of_label = {"models": dict.fromkeys(self.models, entry | {"why": self.why}), "probes": {"frame_index": probe}}
        gaps = {model: {"Accuracy": gap, "cord patient-wise ROC AUC": gap} for model in self.all}
        lonely = len(self.protocols) == 1
        return {
            "pictures": {"frames": 60, "blank": 0, "hash_bits": 256, "within_bits": 24, "trained_variants": []},
            "certificate": {
                name: {
                    "promises_patient_disjoint": name != "frame", "holds": name != "frame", "test_frames": 60,
                    "findings": [f"1 patient stands on two sides: {self.patient}"] if name == "frame" else [],
                    "patients_on_two_sides": [self.patient] if name == "frame" else [],
                    "near_duplicates": counts, "same_pictures": counts,
                    "twin_clips": [{"clips": " ".join(self.clips), "patients": "P1 P2", "share": 0.6, "known": None}],
                }
                for name in self.protocols
            },
            "notes": ["A hash sees pictures, not infants."],
            "optimism": {"why": LEFT_OUT if lonely else None, "against": {} if lonely else {self.headline: gaps}},
            "probes": {
                "about": {"frame_index": "the frame's number"},
                "results": {name: dict.fromkeys(self.labels, of_label) for name in self.protocols},
                "flags": [flag | {"protocol": self.headline, "casts_doubt_on": [self.models[0]]}],
            },
        }  # fmt: skip

    def audit_json(self) -> dict[str, Any]:
        check = {"check": "one_test_set", "rule": "sums are equal", "compared": 5, "findings": 1, "why": None}
        finding = {
            "number": 1,
            "check": "one_test_set",
            "where": "here",
            "what": "differs",
            "expected": "1",
            "got": "2",
        }
        own = {"source": "ours", "checks": [check | {"findings": 0}], "findings": [], "suspicious": [finding]}
        return {
            "published": {"source": "the study", "checks": [check], "findings": [finding], "suspicious": []},
            "own": dict.fromkeys(self.protocols, own),
            "summary": {"published_findings": 1, "own_findings": 0, "own_compared": 5},
        }

    def label_review_json(self) -> dict[str, Any]:
        frozen = {"macro F1": 0.5, "Accuracy": 0.8, "Wrong answers": 4, "Misclassified images": 3}
        doubted = {"known": 60, "doubted": self.number(3), "stretches": 1, "listed": 1, "why": self.why}
        return {
            "protocol": self.headline, "sides": ["test"], "models": list(self.models), "frames_asked": 60,
            "labels": dict.fromkeys(self.labels, doubted), "suspects": 1, "controls": 1,
            "stretches_beyond_the_list": 0, "answers": None,
            "results": {self.headline: {model: {"frozen": frozen, "reviewed": None} for model in self.models}},
            "why": "no answers yet", "caveat": "It flatters.",
        }  # fmt: skip

    def embedding_json(self) -> dict[str, Any]:
        value = {"value": self.number(0.25), "groups": 3, "why": self.why}
        return {
            "architecture": self.models[0], "protocol": self.headline, "reading": ["Near 1 they lie apart."],
            "silhouette": {"test": dict.fromkeys(("labels", "clip", "patient"), value)},
        }  # fmt: skip

    def entries(self) -> list[dict[str, Any]]:
        """Return the answers that the gallery shows: each a missed cord that is called fluid."""
        entry = {
            "protocol": self.headline, "clip_id": self.clips[0], "patient": self.patient, "frame_index": 3,
            "label": "cord", "outcome": "missed", "truth": 1, "answer": 0, "probability": 0.2, "threshold": 0.5,
            "blank": False,
            "truths": {label: int(label == "cord") for label in self.labels},
            "answers": {label: int(label == "fluid") for label in self.labels},
            "probabilities": {label: 0.8 if label == "fluid" else 0.2 for label in self.labels},
            "structure": "cord", "heat_inside_mask": self.number(0.3), "uniform_inside_mask": 0.1, "why": self.why,
        }  # fmt: skip
        return [
            entry | {"model": model, "frame_id": f"{self.clips[0]}_{place:05d}", "picture": f"data/explain/{place}.png"}
            for place, model in enumerate(self.models * self.size.errors if self.estimable else ())
        ]

    def explain_json(self) -> dict[str, Any]:
        of_model = {"protocol": self.headline, "layer": "layer4", "misclassified_frames": 5, "wrong_answers": 6}
        heat = {
            "label": "cord",
            "structure": "cord",
            "frames": 9,
            "patients": 2,
            "uniform_inside_mask": 0.1,
            "best_inside_mask": 0.6,
        }
        heat |= {"protocol": self.headline, "heat_inside_mask": self.number(0.4), "why": self.why}
        return {
            "rule": "The most confident errors first.",
            "models": [of_model | {"model": model} for model in self.models] if self.estimable else [],
            "summary": [heat | {"model": model} for model in self.models],
        }

    def pictures(self) -> None:
        """Write the pictures of frames."""
        entries = [f"data/explain/{place}.png" for place in range(self.size.errors * len(self.models))]
        for place in (*(f"metrics/pictures/{name}.png" for name in ("augment", "preprocess", "embedding")), *entries):
            path = self.root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.size.picture(self.rng, path.stem))

    def tables(self) -> None:
        """Write the comparison, the labels and the tables behind the charts."""
        keys = [(protocol, model) for protocol in self.protocols for model in self.all]
        scored = [(protocol, model, label) for protocol, model in keys if model in self.models for label in self.labels]
        scored = scored if self.estimable else []
        points = list(enumerate(np.linspace(0, 1, self.size.points).tolist()))
        plots = {
            "scores": [(*key, name, 0.9) for key in keys for name in ("Accuracy", "F1")],
            "errors": [(*key, name, 3) for key in keys for name in ("FP fluid", "FN cord")],
            "curves": [
                (protocol, str(fold), model, side, epoch, round(0.7 * (6 / 7) ** epoch, 6))
                for protocol in self.protocols for model in self.models
                for fold in range(len(self.patients) if protocol == LEAVE_ONE_OUT else 1)
                for side in ("train", "validation") for epoch in range(self.size.epochs)
            ],
            "confusion": [
                (*key, label, actual, said, 5)
                for key in keys for label in self.labels for actual in ("no", "yes") for said in ("no", "yes")
            ],
            "decisions": [(*key, "GO", "stop", 4) for key in keys],
            "roc": [(*key, point, at, at) for key in scored for point, at in points],
            "precision_recall": [(*key, point, at, 1 - at / 2) for key in scored for point, at in points],
            "labels": [(clip, label, 10, 20, 0, 0.333333) for clip in self.clips for label in self.labels],
            "evidence_intervals": [
                (*key, metric, "interval", *((0.8, 0.5, 0.9, 2) if self.estimable else (None, None, None, 0)))
                for key in keys for metric in self.metrics()
            ],
            "evidence_patients": [
                (*key, metric, patient, 0.7, 5)
                for key in keys for metric in self.metrics() for patient in self.patients
            ],
            "bedside_calibration": [(*key, "after", b / 4, b / 4, 9, 2) for key in scored for b in range(5)],
        }  # fmt: skip
        for name, rows in plots.items():
            write_table(self.root / f"metrics/plots/{name}.csv", pd.DataFrame(rows, columns=list(TABLES[name])))
        self.timelines()
        figures = {"Accuracy": 0.9, "macro F1": 0.8, "TN": 5, "FP": 1, "FN": 1, "TP": 5, "Misclassified images": 2}
        rows = [{"protocol": protocol, "model": model, **figures} for protocol, model in keys]
        write_table(self.root / "metrics/comparison.csv", pd.DataFrame(rows))
        frames = [(clip, self.patient_of(clip)) for clip in self.clips for _ in range(self.frames)]
        write_table(self.root / "data/label_merge/labels.csv", pd.DataFrame(frames, columns=["clip_id", "patient"]))

    def patient_of(self, clip: str) -> str:
        """Return whose clip it is."""
        return self.patients[self.clips.index(clip) % len(self.patients)]

    def timelines(self) -> None:
        """Write bedside_timelines.csv: half of each clip GO, half stop; the model ten frames late."""
        parts = []
        for model in (*self.models, "chosen") if self.estimable else ():
            for clip in self.clips:
                frame = np.arange(self.frames)
                part = pd.DataFrame({"protocol": self.headline, "model": model, "clip_id": clip}, index=frame)
                part = part.assign(
                    patient=self.patient_of(clip), frame_index=frame, time_s=frame / 30, duration_s=1 / 30
                )
                part["truth"] = np.where(frame < self.frames // 2, "GO", "stop")
                part["decision"] = np.where(frame < self.frames // 2 + 10, "GO", "stop")
                parts.append(
                    part.assign(**{f"{label}_probability": self.rng.random(self.frames) for label in self.labels})
                )
        empty = pd.DataFrame(columns=list(TABLES["bedside_timelines"]))
        write_table(self.root / "metrics/plots/bedside_timelines.csv", pd.concat(parts) if parts else empty)
