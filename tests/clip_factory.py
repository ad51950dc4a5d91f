"""Tiny clips in every container and DICOMs in every transfer syntax, built from pictures that are known."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from stages.common.clips.decode import frames, read_header
from stages.common.sheets.overview import Size

Pictures = NDArray[np.uint8]  # (frames, H, W) or (frames, H, W, 3) RGB
FFV1 = {"level": "3", "slicecrc": "1", "g": "1"}
# suffix -> codec, pixel format, codec options: as cameras, scanners and converters write them
VIDEOS: dict[str, tuple[str, str, dict[str, str]]] = {
    "grey.mkv": ("ffv1", "gray", FFV1),
    "colour.mkv": ("ffv1", "bgr0", FFV1),
    "h264.mkv": ("libx264", "yuv420p", {"bf": "2"}),
    "h264.mp4": ("libx264", "yuv420p", {"bf": "2"}),
    "UPPER.MP4": ("mpeg4", "yuv420p", {}),
    "motion jpeg.mov": ("mjpeg", "yuvj420p", {}),
    "größe.avi": ("mjpeg", "yuvj420p", {}),
    "raw.avi": ("rawvideo", "gray", {}),
    "UPPER.AVI": ("mpeg4", "yuv420p", {}),
    "programme.mpeg": ("mpeg2video", "yuv420p", {}),
    "programme.mpg": ("mpeg1video", "yuv420p", {}),
}
SYNTAXES = {
    "little": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
    "rle": RLELossless,
    "jpeg": JPEGBaseline8Bit,
    "jpeg2000": JPEG2000Lossless,
}
PATIENT = "Mustermann^Erika"  # planted in every DICOM; must reach no output


def probe(path: Path) -> Size:
    """Return the size of a clip, its frames counted by decoding."""
    shapes = [picture.shape for picture in frames(path)]
    return Size(len(shapes), shapes[0][1], shapes[0][0], read_header(path).frame_rate_hz)


def speckle(frames: int, height: int, width: int, seed: int = 1) -> Pictures:
    """Return (frames, H, W) blobs that drift to the right by 3 px a frame: they move everywhere, and compress."""
    coarse = np.random.default_rng(seed).integers(40, 216, (height // 4 + 1, (width + 3 * frames) // 4 + 1))
    wide = coarse.astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    return np.stack([wide[:height, 3 * index : 3 * index + width] for index in range(frames)])


def write_video(
    path: Path,
    pictures: Pictures,
    codec: str = "ffv1",
    pixel_format: str = "gray",
    options: dict[str, str] | None = None,
    times_ms: Sequence[int] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Write pictures at 25 a second, or each at its time, in the container that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or (FFV1 if codec == "ffv1" else {}))
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = pixel_format
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if times_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24" if picture.ndim == 3 else "gray")
            frame = frame.reformat(format=pixel_format)
            frame.time_base = Fraction(1, 1000) if times_ms else Fraction(1, 25)
            frame.pts = times_ms[index] if times_ms else index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_dicom(path: Path, pictures: NDArray[np.generic], syntax: str = "little", **tags: object) -> Path:
    """Write pictures, (frames, H, W) grey or (frames, H, W, 3) RGB, as an ultrasound multi-frame image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = _dataset(path, pictures, syntax)
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _dataset(path: Path, pictures: NDArray[np.generic], syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = SYNTAXES[syntax]
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.987654321"
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.set_original_encoding(SYNTAXES[syntax].is_implicit_VR, SYNTAXES[syntax].is_little_endian, "latin_1")
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PATIENT, "MRN-4711", "20240229"
    dataset.InstitutionName, dataset.StudyDate = "Charite Geheim", "20240301"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pictures.shape[0], pictures.shape[1], pictures.shape[2]
    dataset.SamplesPerPixel = 3 if pictures.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if pictures.ndim == 4 else "MONOCHROME2"
    if pictures.ndim == 4:
        dataset.PlanarConfiguration = 0
    bits = 8 * pictures.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.FrameTime = 40.0
    _put_pixels(dataset, pictures, syntax)
    return dataset


def _put_pixels(dataset: FileDataset, pictures: NDArray[np.generic], syntax: str) -> None:
    if syntax in ("little", "implicit", "big"):
        order = ">" if syntax == "big" else "<"
        dataset.PixelData = pictures.astype(pictures.dtype.newbyteorder(order)).tobytes()
        dataset["PixelData"].VR = "OB" if pictures.dtype.itemsize == 1 else "OW"
    elif syntax == "rle":
        encoder = get_encoder(RLELossless)
        dataset.PixelData = encapsulate(
            [encoder.encode(dataset_of(frame), encoding_plugin="pydicom") for frame in pictures]
        )
    else:
        dataset.PixelData = encapsulate([encoded(frame, syntax) for frame in pictures])
        if syntax == "jpeg" and pictures.ndim == 4:
            dataset.PhotometricInterpretation = "YBR_FULL_422"


def dataset_of(frame: NDArray[np.generic]) -> Dataset:
    """Return one uncompressed frame as the dataset that pydicom's encoder takes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = 8 * frame.dtype.itemsize
    dataset.Rows, dataset.Columns = frame.shape[:2]
    dataset.SamplesPerPixel = 3 if frame.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if frame.ndim == 3 else "MONOCHROME2"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.NumberOfFrames = 1
    dataset.PixelData = frame.tobytes()
    return dataset


def encoded(frame: NDArray[np.generic], syntax: str) -> bytes:
    """Return a frame as JPEG or JPEG 2000."""
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    if syntax == "jpeg":
        Image.fromarray(frame).save(stream, "JPEG", quality=95)
    else:
        Image.fromarray(frame).save(stream, "JPEG2000", irreversible=False, no_jp2=True, mct=0)
    return stream.getvalue()


def write_cohort(cohort: Path, files: dict[str, str], **columns: Sequence[str]) -> Path:
    """Write clips.csv: `files` maps a file to its patient; clips are named after the files."""
    cohort.mkdir(parents=True, exist_ok=True)
    header = ["clip", "file", "patient", *columns]
    rows = [[file, file, patient] for file, patient in files.items()]
    rows = [[*row, *(values[number] for values in columns.values())] for number, row in enumerate(rows)]
    lines = [",".join(f'"{cell}"' for cell in row) for row in [header, *rows]]
    (cohort / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return cohort
