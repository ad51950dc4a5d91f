"""What params.yaml says about labels: which there are, where they stand in a sheet, what stops a run.

`label_merge` and `check` read the same section through these classes, so that a cohort that passes
the check passes the stage.
"""

from collections import Counter
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from stages.common.core.errors import Problem
from stages.common.core.params import Strict
from stages.common.labels import Label, unusable_names
from stages.common.sheets.meaning import reverses, reversing_alias
from stages.common.sheets.names import listed, normal


def _only_whole(value: object) -> object:
    # to Python, true is 1 and 1.0 is 1, and so they are to pydantic's Literal
    if isinstance(value, (bool, float)):
        raise ValueError("a whole number, 0 or 1")
    return value


Choice = Literal["stop", "warn"]
First = Annotated[Literal[0, 1], BeforeValidator(_only_whole)]
FirstOrAuto = Annotated[Literal[0, 1, "auto"], BeforeValidator(_only_whole)]
Text = Annotated[str, Field(min_length=1)]


class Without(Strict):
    """A derived label 'A without B', which some sheets hold in place of A.

    Attributes:
        label: A, e.g. `fluid`.
        without: B, e.g. `cord`.
        column: the heading under which a sheet holds 'A without B'.
    """

    label: Text
    without: Text
    column: Text


class Problems(Strict):
    """What happens on each kind of problem: `stop` the run, or `warn`, count it and list it in metrics/labels.json.

    Attributes:
        not_binary: a cell that is no 0, 1 or blank; on `warn` the label is unknown.
        blank_cell: an empty label cell; on `warn` the label is unknown. Blank never means 0.
        duplicate_frame: a frame with several rows; on `warn` labels in which they differ are unknown.
        contradiction: labels that exclude each other are both 1; on `warn` all labels of the frame are unknown.
        frame_without_label: a frame without a row; on `warn` its labels are unknown.
        label_without_frame: a row whose frame the clip does not have; on `warn` the row is left out.
        clip_without_sheet: a clip that an expert has not labelled; on `warn` that expert has no say on it.
        foreign_name: a FILENAME that begins like no clip, sheet or file, or unlike the others; on `warn` labels stay.
    """

    not_binary: Choice
    blank_cell: Choice
    duplicate_frame: Choice
    contradiction: Choice
    frame_without_label: Choice
    label_without_frame: Choice
    clip_without_sheet: Choice
    foreign_name: Choice


class LabelMerge(Strict):
    """The section `label_merge` of params.yaml.

    A sheet is named as in its workbook; `<expert>/<sheet>` names the sheet of one of several experts.

    Attributes:
        filename_column: heading of the column whose entries end in the frame's number.
        clip_column: heading of the column that names the clip, in `labels.csv` and `labels_<expert>.csv`.
        first_number: the number of a clip's first frame in the sheets; `auto` takes the one that fits a sheet.
        first_number_of: sheet -> first number, for sheets that number otherwise or fit both.
        aliases: sheet -> clip, for sheets named otherwise than their clip.
        column_aliases: heading in a sheet -> heading expected.
        confirmed_headings: key of `column_aliases` that reads like another meaning -> how it is known to be the same.
        ignored_sheets: sheet -> reason, for sheets that hold no labels.
        definitions: sheet -> which label its column means, for sheets with the column of a `without` label.
        without: derived label -> how it is made.
        excludes_others: the label with which no other can be 1; `null` for none.
        problems: what stops a run.
    """

    filename_column: Text
    clip_column: Text
    first_number: FirstOrAuto
    first_number_of: dict[str, First]
    aliases: dict[str, str]
    column_aliases: dict[str, str]
    confirmed_headings: dict[str, Text]
    ignored_sheets: dict[str, str]
    definitions: dict[str, str]
    without: Annotated[dict[str, Without], Field(max_length=1)]
    excludes_others: str | None
    problems: Problems

    def stops(self, kind: str) -> bool:
        """Return whether a problem of this kind stops the run; kinds that leave no choice always do."""
        return kind not in Problems.model_fields or getattr(self.problems, kind) == "stop"


class LabelParams(Strict):
    """The two top-level keys that say what a label is.

    Attributes:
        labels: label -> its column, in the order of the model's outputs.
        label_merge: how sheets are read.
    """

    labels: Annotated[dict[str, Label], Field(min_length=1)]
    label_merge: LabelMerge

    @property
    def names(self) -> list[str]:
        """The labels, then the derived ones: the label columns of labels.csv."""
        return [*self.labels, *self.label_merge.without]


def mistakes(params: LabelParams) -> list[Problem]:
    """Return what is wrong between keys of params.yaml that are right one by one."""
    section, known = params.label_merge, list(params.labels)
    wrong = unusable_names(params.names) + _shared_columns(params) + _twin_aliases(section)
    wrong += _reversing_aliases(params) + _confirmed_in_vain(section)
    if section.excludes_others is not None:
        wrong += _outside("excludes_others", section.excludes_others, known)
    for name, rule in section.without.items():
        wrong += _outside(f"without.{name}.label", rule.label, known)
        wrong += _outside(f"without.{name}.without", rule.without, [label for label in known if label != rule.label])
        wrong += _outside(f"without.{name}", name, [name] if name not in known else ["a name that is no label yet"])
    meanings = [meaning for name, rule in section.without.items() for meaning in (rule.label, name)]
    for sheet, meaning in section.definitions.items():
        wrong += _outside(f"definitions.{sheet}", meaning, meanings or ["nothing, as label_merge.without is empty"])
    return wrong


def _shared_columns(params: LabelParams) -> list[Problem]:
    """Return the headings that two keys give to columns: one column cannot hold both."""
    section = params.label_merge
    headings = [section.filename_column, *(label.column for label in params.labels.values())]
    headings += [rule.column for rule in section.without.values()]
    twice = [form for form, count in Counter(map(normal, headings)).items() if count > 1]
    where, what = "params.yaml: labels and label_merge", "one column for several things"
    expected, remedy = "headings that differ in more than case, spaces and punctuation", "Correct the column names."
    return [
        Problem(where, what, expected, listed(heading for heading in headings if normal(heading) == form), remedy)
        for form in twice
    ]


def _twin_aliases(section: LabelMerge) -> list[Problem]:
    """Return the keys of `column_aliases` that are one heading, as headings are read whatever their spelling."""
    forms: dict[str, list[str]] = {}
    for heading in section.column_aliases:
        forms.setdefault(normal(heading), []).append(heading)
    where, what = "params.yaml: label_merge.column_aliases", "one heading twice"
    expected = "headings that differ in more than case, spaces and punctuation"
    return [
        Problem(where, what, expected, listed(headings), "Remove all but one.")
        for headings in forms.values()
        if len(headings) > 1
    ]


def _reversing_aliases(params: LabelParams) -> list[Problem]:
    """Return the aliases by which a heading that may mean the opposite, or less, would pass for a label."""
    section, wrong = params.label_merge, []
    confirmed = {normal(heading) for heading in section.confirmed_headings}
    derived = {rule.label: rule.column for rule in section.without.values()}
    for heading, title in section.column_aliases.items():
        for label in [label for label, column in params.labels.items() if normal(column.column) == normal(title)]:
            others = [other.column for name, other in params.labels.items() if name != label]
            other_too = any(normal(column) in normal(heading) for column in others)
            if (reverses(heading, title) or other_too) and normal(heading) not in confirmed:
                wrong.append(reversing_alias(heading, title, derived.get(label)))
    return wrong


def _confirmed_in_vain(section: LabelMerge) -> list[Problem]:
    aliases = {normal(heading) for heading in section.column_aliases}
    where, expected = "params.yaml: label_merge.confirmed_headings", "a key of label_merge.column_aliases"
    return [
        Problem(where, "heading without an alias", expected, repr(heading), "Add the alias, or remove this line.")
        for heading in section.confirmed_headings
        if normal(heading) not in aliases
    ]


def _outside(key: str, value: str, allowed: list[str]) -> list[Problem]:
    if value in allowed:
        return []
    return [Problem(f"params.yaml: label_merge.{key}", "wrong value", " or ".join(allowed), repr(value), "Correct it.")]
