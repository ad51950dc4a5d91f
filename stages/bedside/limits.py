"""What no figure of this stage can say, in sentences for the page."""

from collections.abc import Mapping, Sequence

from stages.common.protocols import LEAVE_ONE_OUT, PATIENT_DISJOINT

PHANTOM = "Every number here was measured on simulated infants, and says nothing about real ones."
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
FEW = (
    "With {infants} tested infants under {protocol}, an error that no infant shows may still occur in up to "
    "{percent:.0f} % of infants (exact 95 % bound)."
)
LEAKY = "Under protocol {protocol} frames of one infant stand on both sides: its figures say nothing about new infants."


def limits(cohort: str, infants: Mapping[str, int], bounds: Mapping[str, Sequence[float] | None]) -> list[str]:
    """Return the sentences.

    Args:
        cohort: its name; `phantom` is said aloud.
        infants: protocol -> how many infants were tested.
        bounds: protocol -> the exact interval of no events among them.
    """
    found = ([PHANTOM] if cohort == "phantom" else []) + list(ALWAYS)
    for protocol, count in infants.items():
        bound = bounds[protocol]
        if protocol not in PATIENT_DISJOINT:
            found.append(LEAKY.format(protocol=protocol))
        elif bound is not None:
            found.append(FEW.format(infants=count, protocol=protocol, percent=100 * bound[1]))
    return found + ([NOT_NESTED] if LEAVE_ONE_OUT in infants else [])
