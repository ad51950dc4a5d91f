"""The names of the eight variants of a frame, in the study's order: rows of tables and of dvc.yaml."""

VARIANT_NAMES = (
    "original",
    "brightness",
    "contrast",
    "flip_left_right",
    "flip_up_down",
    "hue",
    "jpeg",
    "saturation",
)
