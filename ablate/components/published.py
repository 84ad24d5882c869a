"""The weights that timm and torchvision publish of a model: where this machine has them, and what they were made for.

Nothing is fetched: a library does that itself, where there is a network, with the command that is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from ..errors import InputError

LIBRARIES = ("timm", "torchvision")


@dataclass(frozen=True)
class Published:
    """What a library publishes of a model.

    places: where its file may lie, the first that is there counts. address: where it is published. fetch: Python that
    gets it. mean, std: of each channel of images in [0, 1], as the weights were made with; size: of the images.
    """

    places: tuple[Path, ...]
    address: str
    fetch: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int

    def file(self, model: str) -> Path:
        """Return the file. Raises InputError that says what is expected, and where, if this machine has none."""
        for place in self.places:
            if place.is_file():
                return place
        raise InputError(
            f"the published weights of {model} are not on this machine: {self.address}\n"
            f"looked for {' and '.join(map(str, self.places))}\n"
            f'with a network, python -c "{self.fetch}" gets them; without one, copy the file there, '
            'or name a copy of it: pretrained = "FILE"'
        )


def published(model: str) -> Published:
    """Return what is published of a model such as `timm:resnet18`. Raises InputError where nothing is."""
    library, _, name = model.partition(":")
    if library not in LIBRARIES:
        raise InputError(
            f"nothing is published of {model}, as timm and torchvision do of their models\n"
            'name a file, and give mean, std and input_size yourself: pretrained = { file = "weights.pt", ... }'
        )
    found = _of_timm(name) if library == "timm" else _of_torchvision(name)
    if found is None:
        raise InputError(f'{library} publishes no weights of {name}\nname a file: pretrained = "weights.pt"')
    return found


def _of_timm(name: str) -> Published | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_CACHE
    from timm.models import get_pretrained_cfg

    facts = get_pretrained_cfg(name)
    if facts is None or not facts.has_weights:
        return None
    # Some name the file apart from the address.
    address, file = (facts.url, "") if isinstance(facts.url, str) else facts.url or ("", "")
    places = [_in_hub(address, file)] if address else []
    hub, _, revision = (facts.hf_hub_id or "").partition("@")
    files = [facts.hf_hub_filename] if facts.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]
    for name_there in files if hub else []:
        cached = try_to_load_from_cache(hub, name_there, revision=revision or None)
        places.append(
            Path(cached)
            if isinstance(cached, str)
            else Path(HF_HUB_CACHE) / f"models--{hub.replace('/', '--')}" / "snapshots" / "REVISION" / name_there
        )
    return Published(
        tuple(places), f"https://huggingface.co/{hub}" if hub else address,
        f"import timm; timm.create_model('{name}', pretrained=True)",
        tuple(facts.mean), tuple(facts.std), facts.input_size[-1],
    )  # fmt: skip


def _of_torchvision(name: str) -> Published | None:
    from torchvision.models import get_model_weights

    every = list(get_model_weights(name))
    if not every:
        return None
    best = get_model_weights(name).DEFAULT
    made = best.transforms()
    fetch = f"import torchvision; torchvision.models.get_model('{name}', weights='DEFAULT')"
    return Published(
        (_in_hub(best.url),), best.url, fetch,
        tuple(made.mean), tuple(made.std), int(made.crop_size[0]),
    )  # fmt: skip


def _in_hub(url: str, file: str = "") -> Path:
    """Return where torch keeps what it fetched from an address, under the name of a file or the address's own."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / (file or Path(urlparse(url).path).name)
