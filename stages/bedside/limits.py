"""What no figure of this stage can say, in sentences for the page."""

from collections.abc import Mapping

from stages.bedside.verdict import exact_interval
from stages.common.protocols import LEAVE_ONE_OUT, PATIENT_DISJOINT

PHANTOM = (
    "Every number here was measured on simulated infants, and says nothing about real ones.",
    "Where phantom.scale is below 1, a simulated sweep runs faster than life: seconds, runs and flicker are not those "
    "of a scan.",
)
ALWAYS = (
    "GO names a candidate picture: not a level, and not a permission to puncture.",
    "A transverse frame carries no vertebral number: 'no cord in this picture' is not 'below the conus', which in "
    "newborns lies anywhere from T12/L1 to L3.",
    "Blood or leaked fluid after an earlier puncture can hide or mimic fluid, and whether a clip was taken after one "
    "may be unknown.",
    "Depth and path of the needle are not assessed.",
    "The expert's labels are the truth here; where the expert errs, a model that agrees errs too.",
)
NOT_NESTED = (
    "Under leave-one-patient-out the temperature, thresholds and winner of an infant come from the other infants' "
    "out-of-fold answers, but the networks behind those answers have seen that infant in training."
)
AT_RISK = (
    "Under protocol {protocol} {risk} of {infants} tested infants can show a {kind} GO, having frames over which a GO "
    "would be so: one that none of them shows may still occur in up to {percent:.0f} % of such infants (exact 95 % "
    "bound)."
)
NOBODY_AT_RISK = (
    "Under protocol {protocol} none of {infants} tested infants can show a {kind} GO, having no frame over which a GO "
    "would be so: of such GO these infants say nothing."
)
LEAKY = "Under protocol {protocol} frames of one infant stand on both sides: its figures say nothing about new infants."


def limits(cohort: str, tested: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the sentences.

    Args:
        cohort: its name; `phantom` is said aloud.
        tested: protocol -> how many `infants` were tested, and how many could show a `dangerous` and a `futile` GO.
    """
    found = [*(PHANTOM if cohort == "phantom" else ()), *ALWAYS]
    for protocol, of in tested.items():
        if protocol in PATIENT_DISJOINT:
            found += [_few(protocol, of["infants"], kind, of[kind]) for kind in ("dangerous", "futile")]
        else:
            found.append(LEAKY.format(protocol=protocol))
    return found + ([NOT_NESTED] if LEAVE_ONE_OUT in tested else [])


def _few(protocol: str, infants: int, kind: str, risk: int) -> str:
    bound = exact_interval(0, risk)
    if bound is None:
        return NOBODY_AT_RISK.format(protocol=protocol, infants=infants, kind=kind)
    return AT_RISK.format(protocol=protocol, infants=infants, kind=kind, risk=risk, percent=100 * bound[1])
