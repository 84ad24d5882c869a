"""The user's own data in the forms that it comes in: arrays, a CSV file that lists images, a folder of `datasets`.

Each may say what an image is of, such as a patient: a study's cuts then leave such groups whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval

from ablate import Source, dataset

Side = Annotated[int, Interval(ge=4, le=1024)]


@dataset("arrays")
def arrays(
    folder: Path, *, path: Path, channels: Literal["auto", "first", "last"] = "auto", group: str = "group"
) -> Source:
    """Your own arrays of images and labels: an .npz file, or a folder of .npy files.

    path: the file or folder; a relative one starts at the study file. Arrays are found by name: train_images and
    train_labels, or x_train and y_train, with val and test beside them where you have them, or images and labels alone.
    channels: where they stand in the images' shape; "auto" sees 1, 3 and 4.
    group: the name of the array that says what each image is of, as in train_group; "" to leave it out.
    Images are uint8 (N, H, W), (N, C, H, W) or (N, H, W, C); labels are whole numbers from 0, or texts. Nothing is
    unpickled. Images in .npy files with channels first are mapped where they lie, so leave them as they are while runs
    train; others are kept as a copy in the cache.
    """
    from ablate import array_source  # which imports NumPy

    return array_source(path.expanduser().resolve(), folder, channels=channels, group=group)


@dataset("csv-images")
def csv_images(
    folder: Path, *, file: Path, size: Side = 32, label: str = "label", split: str = "split", group: str = "group"
) -> Source:
    """Your own images, listed in a CSV file with the columns path, label and, where you have them, split and group.

    file: the table, with a header; a relative path starts at the study file. Paths in it start at its own folder.
    size: side in pixels; the shorter side of each image is scaled to it, and the middle of the longer kept.
    label: the column with the classes, by name.
    split: the column that says train, val or test; without one, or with "", the study cuts the images.
    group: the column that says what an image is of, such as a patient; "" to leave it out.
    Images become RGB, and are decoded once and kept, as those of image-folder.
    """
    from ablate import csv_images_source  # which imports NumPy

    columns = {"label": label, "split": split, "group": group}
    return csv_images_source(file.expanduser().resolve(), folder, size, columns)


@dataset("huggingface")
def huggingface(
    folder: Path, *, root: Path, size: Side = 32, image: str = "image", label: str = "label", group: str = "group"
) -> Source:
    """Your own folder of Parquet or Arrow files, as the library datasets saves them; nothing is fetched.

    root: what save_to_disk wrote, or a folder of .parquet files with the split in their names; a relative path starts
    at the study file. It takes pyarrow: pip install "ablate-studies[huggingface]".
    size: side in pixels; the shorter side of each image is scaled to it, and the middle of the longer kept.
    image: the column of encoded images. label: the column of labels, whole numbers or texts.
    group: the column that says what an image is of, such as a patient; "" to leave it out.
    Images become RGB, and are decoded once and kept, as those of image-folder.
    """
    from ablate import huggingface_source  # which imports NumPy

    columns = {"image": image, "label": label, "group": group}
    return huggingface_source(root.expanduser().resolve(), folder, size, columns)
