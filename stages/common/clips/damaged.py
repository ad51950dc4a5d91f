"""What a reader of one container raises; decode.py makes of it one problem that names the file."""


class DamagedError(Exception):
    """A file that does not hold the frames it states, or none that can be decoded."""


class RefusedError(DamagedError):
    """A file that is whole and yet of no use: what is wrong with it and its remedy are its own."""

    def __init__(self, what: str, expected: str, got: str, remedy: str) -> None:
        super().__init__(f"{what}: {got}")
        self.what, self.expected, self.got, self.remedy = what, expected, got, remedy
