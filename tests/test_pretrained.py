"""Models that begin with the weights of a file: what is loaded, frozen, scaled and normalised, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from ablate.components.contracts import ImageShape
from ablate.components.discover import discover
from ablate.errors import RunError, StudyError
from ablate.store.recipes import recipe_of
from ablate.study.differences import differences
from ablate.study.plan import explain
from ablate.study.resolve import resolve_study
from ablate.study.toml import Changes, read_study
from ablate.training.build import build, load
from ablate.training.checkpoint import capture, write_checkpoint
from ablate.training.groups import grouped, layers_of, scale_rates
from ablate.training.loop import begin_epoch, evaluate, train_epoch
from ablate.training.machine import Machine
from ablate.training.pretrained import freeze, heads_of
from ablate.training.rehearsal import rehearse
from ablate.training.trained import evaluation_images, trained_model
from tests.support import first_run, planned, run_here
from tests.test_trained import Made

if TYPE_CHECKING:
    from ablate.training.ingredients import Ingredients

TIMM, VISION, OWN = "timm:test_resnet", "torchvision:shufflenet_v2_x0_5", "simple-cnn"
FROZEN = "baseline.model.pretrained.freeze=true"
IMAGENET = "mean = [0.5], std = [0.25]"


def weights(model: str, file: Path, classes: int = 7, channels: int = 1) -> dict[str, torch.Tensor]:
    """Save the weights of a model as made with a seed that no run has, and return them."""
    torch.manual_seed(12345)
    made = discover().get("model", model).build(ImageShape(channels, 8, 8), classes, settings={})
    if file.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(made.state_dict(), file)
    else:
        torch.save({"state_dict": made.state_dict()}, file)
    state: dict[str, torch.Tensor] = made.state_dict()
    return state


def chosen(model: str, table: str) -> str:
    return f'baseline.model={{ use = "{model}", pretrained = {table} }}'


def built(study: Path, *settings: str) -> Ingredients:
    spec, registry = first_run(study, *settings)
    return build(spec, registry, load(spec, registry, Path("data"), torch.device("cpu")))


@pytest.mark.parametrize(
    ("model", "head", "file"),
    [(TIMM, "fc", "a.pt"), (TIMM, "fc", "a.safetensors"), (VISION, "fc", "a.pth"), (OWN, "", "a.pt")],
)
def test_a_model_begins_with_the_weights_of_a_file_and_a_head_of_its_own(
    study: Path, model: str, head: str, file: str
) -> None:
    saved = weights(model, Path(file), classes=7)
    run, fresh = built(study, chosen(model, f'"../{file}"')), built(study, chosen(model, "false"))
    head = head or [name for name, _ in run.model.named_modules()][-1]
    for name, tensor in run.model.state_dict().items():
        before = fresh.model.state_dict()[name] if name.startswith(f"{head}.") else saved[name]
        assert torch.equal(tensor, before), name


def test_a_head_of_as_many_classes_is_taken_too(study: Path) -> None:
    saved = weights(TIMM, Path("a.pt"), classes=built(study).classes)
    assert torch.equal(built(study, chosen(TIMM, '"../a.pt"')).model.get_parameter("fc.weight"), saved["fc.weight"])


def test_weights_for_colours_give_grey_images_what_they_gave(study: Path) -> None:
    saved = weights(TIMM, Path("a.pt"), channels=3)
    first = "conv1.0.weight" if "conv1.0.weight" in saved else "conv1.weight"
    found = built(study, chosen(TIMM, '"../a.pt"')).model.get_parameter(first)
    torch.testing.assert_close(found.detach(), saved[first].sum(1, keepdim=True))


def test_the_key_covers_the_weights_and_not_where_they_lie(study: Path) -> None:
    weights(TIMM, Path("a.pt"))
    Path("b.pt").write_bytes(Path("a.pt").read_bytes())
    one, other = (first_run(study, chosen(TIMM, f'"../{name}.pt"'))[0] for name in "ab")
    plain = first_run(study, chosen(TIMM, "false"))[0]
    assert one.key == other.key != plain.key == first_run(study, f'baseline.model={{ use = "{TIMM}" }}')[0].key
    weights(TIMM, Path("b.pt"), classes=9)
    changed = first_run(study, chosen(TIMM, '"../b.pt"'))[0]
    assert explain(changed, one.identity).startswith("model.pretrained.weights ")


def test_what_is_frozen_stays_as_it_is_with_its_statistics(study: Path) -> None:
    weights(TIMM, Path("a.pt"))
    run = built(study, chosen(TIMM, '{ file = "../a.pt", freeze = true }'))
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    train_epoch(run, begin_epoch(run))
    moved = {name for name, tensor in run.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"fc.weight", "fc.bias"}


def test_statistics_of_a_layer_without_weights_are_frozen_with_all_but_the_head() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False), nn.Linear(4, 2))
    freeze(model, ["3"], True)
    before = model.get_buffer("2.running_mean").clone()
    model.train()(torch.randn(8, 4))
    assert torch.equal(model.get_buffer("2.running_mean"), before)


def test_a_key_of_weights_that_are_a_text_cannot_be_set_alone(study: Path) -> None:
    weights(TIMM, Path("a.pt"))
    with pytest.raises(StudyError, match=r'model.pretrained is "../a.pt", and no table that freeze could stand in'):
        planned(study, chosen(TIMM, '"../a.pt"'), "baseline.model.pretrained.freeze=true")
    with pytest.raises(StudyError, match=r"model.pretrained is false, and no table"):
        planned(study, chosen(TIMM, "false"), "baseline.model.pretrained.freeze=true")


def test_parts_are_frozen_by_name(study: Path) -> None:
    weights(TIMM, Path("a.pt"))
    run = built(study, chosen(TIMM, '{ file = "../a.pt", freeze = ["layer1", "bn1.weight"] }'))
    frozen = {name for name, p in run.model.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in run.model.named_parameters() if n.startswith("layer1.") or n == "bn1.weight"}


@pytest.mark.parametrize(
    ("content", "table", "what"),
    [
        (
            {"a": torch.zeros(2)},
            '"../a.pt"',
            "the weights of .*a.pt do not fit timm:test_resnet: .* tensors are others",
        ),
        ([1, 2], '"../a.pt"', "a.pt: holds no weights by name; save them with torch.save"),
        (b"no weights", '"../a.pt"', "a.pt: cannot be read as weights: it was not written by torch, or holds more"),
        (b"ablate checkpoint\n" + b"0" * 99, '"../a.pt"', "cannot be read as weights: its checksum does not match"),
        (TIMM, '{ file = "../a.pt", freeze = ["layr1"] }', "freeze: the model has no 'layr1'; did you mean 'layer1'"),
        (
            TIMM,
            '{ file = "../a.pt", mean = [0.5, 0.5], std = [1.0, 1.0] }',
            "mean has 2 numbers, and the images have 1",
        ),
    ],
)
def test_weights_that_cannot_be_used_are_told_in_a_rehearsal(study: Path, content: Any, table: str, what: str) -> None:
    if isinstance(content, bytes):
        Path("a.pt").write_bytes(content)
    elif content == TIMM:
        weights(TIMM, Path("a.pt"))
    else:
        torch.save(content, "a.pt")
    spec, registry = first_run(study, chosen(TIMM, table))
    with pytest.raises(RunError, match=what):
        rehearse(spec, registry, Machine(Path("data"), "cpu", 1))


@pytest.mark.parametrize(
    ("model", "table", "what"),
    [
        (TIMM, '"nowhere.pt"', r"nowhere\.pt: no such file"),
        (TIMM, "3", "3 names no weights"),
        (TIMM, "{ fil = 3 }", "unknown key 'fil'; did you mean 'file'"),
        (OWN, "true", "nothing is published of simple-cnn, as timm and torchvision do of their models"),
        (VISION, "true", r"the published weights of torchvision:.* are not on this machine: https://download\.pytorch"),
        ("timm:resnet18", "true", r"not on this machine: https://huggingface.co/timm/resnet18\.a1_in1k"),
    ],
)
def test_weights_that_are_not_there_are_told_before_anything_runs(
    study: Path, model: str, table: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(Path("empty").resolve()))
    with pytest.raises(StudyError, match=what) as told:
        planned(study, chosen(model, table))
    if "published weights" in what:
        assert str(Path("empty").resolve() / "hub" / "checkpoints") in str(told.value)
        assert "with a network, python -c" in str(told.value)


def test_published_weights_are_taken_where_the_library_keeps_them(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(Path("torch").resolve()))
    folder = Path("torch/hub/checkpoints")
    folder.mkdir(parents=True)
    saved = weights(VISION, folder / "shufflenetv2_x0.5-f707e7126e.pth", classes=1000, channels=3)
    colour = 'study.note=""'
    table = '{ normalise = true, input_size = "weights" }'
    spec, _ = first_run(study, chosen(VISION, table), colour)
    asked = spec.recipe.model.added["pretrained"]
    assert (asked["mean"], asked["input_size"]) == ([0.485, 0.456, 0.406], 224)
    run = built(study, chosen(VISION, "true"))
    name = "stage2.0.branch1.0.weight"
    assert torch.equal(run.model.get_parameter(name), saved[name])


def test_images_are_normalised_and_resized_as_the_weights_want_them(study: Path) -> None:
    larger = discover().get("model", OWN).build(ImageShape(1, 16, 16), 7, settings={})
    torch.save(larger.state_dict(), "a.pt")
    run = built(study, chosen(OWN, f'{{ file = "../a.pt", {IMAGENET}, input_size = 16 }}'))
    assert (run.data.mean.item(), run.data.std.item()) == (0.5, 0.25)
    seen: list[torch.Size] = []
    first = next(module for module in run.model.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    train_epoch(run, begin_epoch(run))
    assert {tuple(shape[1:]) for shape in seen} == {(1, 16, 16)}


def test_a_checkpoint_of_a_run_gives_the_weights_that_it_measured(study: Path) -> None:
    run = built(study, chosen(TIMM, "false"), "baseline.ema=0.5")
    train_epoch(run, begin_epoch(run))
    write_checkpoint(Path("a.pt"), "", capture(run, 1, None, []))
    begun = built(study, chosen(TIMM, '"../a.pt"')).model.state_dict()
    assert run.average is not None
    assert all(torch.equal(begun[name], kept) for name, kept in run.average.module.state_dict().items())


def test_a_trained_model_is_made_again_without_the_file(study: Path) -> None:
    weights(TIMM, Path("a.pt"))
    table = f'{{ file = "../a.pt", freeze = ["layer1"], {IMAGENET}, input_size = 16 }}'
    made = Made(study, chosen(TIMM, table), "baseline.precision=fp32")
    Path("a.pt").unlink()
    recorded = recipe_of({**made.spec.identity, "splits": made.spec.identity["dataset"]["splits"]})
    spec = replace(made.spec, recipe=replace(recorded, dataset=made.spec.recipe.dataset))
    model = trained_model(spec, made.registry, made.state, made.result["weights"])
    found = evaluation_images(spec, made.registry, Path("data"), "test", made.state["usual_layout"]).evaluate(model)
    assert found == {name: made.result[f"test/{name}"] for name in ("loss", "accuracy")}


def test_a_run_with_frozen_pretrained_weights_is_made_and_resumes_by_bits(study: Path) -> None:
    weights(TIMM, Path("a.pt"))
    groups = 'baseline.optimizer={ use = "adamw", lr = 0.01, groups = { layer_decay = 0.5, decay_norms = false } }'
    assert run_here(study, chosen(TIMM, '{ file = "../a.pt", freeze = ["layer1"] }'), groups) == 0


def test_layers_learn_at_a_rate_that_falls_towards_the_input() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.Conv2d(2, 2, 3)), nn.Linear(2, 3))
    assert list(layers_of(model).values()) == [0, 0, 0, 0, 1, 1, 2, 2]
    groups = grouped(model, {"layer_decay": 0.5, "decay_norms": False})
    assert [(group["lr_scale"], group.get("weight_decay"), len(group["params"])) for group in groups] == [
        (1.0, None, 1),
        (1.0, 0.0, 1),
        (0.5, None, 1),
        (0.5, 0.0, 1),
        (0.25, None, 1),
        (0.25, 0.0, 3),
    ]


def test_timms_models_say_what_their_layers_are() -> None:
    model = discover().get("model", TIMM).build(ImageShape(3, 32, 32), 10, settings={})
    layers = layers_of(model)
    assert layers["conv1.0.weight"] == 0
    assert layers["layer1.0.conv1.weight"] < layers["layer4.0.conv1.weight"] < layers["fc.weight"]


def test_a_scheduler_that_sets_one_rate_for_all_groups_leaves_their_ratio() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD(
        [{"params": [p], "lr_scale": s} for p, s in zip(parameters, (1.0, 0.5), strict=True)], 1
    )
    scale_rates(optimizer)
    for group in optimizer.param_groups:
        group["lr"] = 0.2
    for parameter in parameters:
        parameter.grad = torch.ones(1)
    optimizer.step()
    assert [p.item() for p in parameters] == pytest.approx([-0.2, -0.1])
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.2]
    assert all("scheduled_lr" not in group for group in optimizer.param_groups)


def test_a_wrapper_whose_step_would_ignore_the_rates_of_groups_is_refused() -> None:
    lookahead: Any = import_module("timm.optim").Lookahead
    wrapper = lookahead(torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr_scale": 0.5}], 1))
    with pytest.raises(RunError, match="layer_decay has no effect on Lookahead"):
        scale_rates(wrapper)


def test_a_model_exempts_parameters_from_weight_decay_by_patterns_too() -> None:
    class Exempting(nn.Sequential):
        def no_weight_decay(self) -> set[str]:
            return {"1.*"}

    groups = grouped(Exempting(nn.Linear(1, 1), nn.Linear(1, 1)), {"layer_decay": 1.0, "decay_norms": False})
    assert [(group.get("weight_decay"), len(group["params"])) for group in groups] == [(None, 1), (0.0, 3)]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("{ layer_decay = 0 }", "0 is not a number"),
        ("{ decay = 0.5 }", "unknown key 'decay'"),
        ("0.75", r"0.75 is not a table, as in groups = \{ layer_decay = 0.75 \}"),
    ],
)
def test_groups_that_cannot_be_are_told(study: Path, table: str, what: str) -> None:
    with pytest.raises(StudyError, match=what):
        planned(study, f'baseline.optimizer={{ use = "adamw", lr = 0.1, groups = {table} }}')


def test_a_setting_of_groups_can_be_set_alone(study: Path) -> None:
    adam = 'baseline.optimizer={ use = "adamw", lr = 0.1, groups = { layer_decay = 0.5 } }'
    spec, _ = first_run(study, adam, "baseline.optimizer.groups.layer_decay=0.7")
    assert spec.recipe.optimizer.added == {"groups": {"layer_decay": 0.7, "decay_norms": True}}
    assert "groups" not in spec.recipe.optimizer.settings


def test_changes_of_added_settings_are_told_one_by_one(study: Path) -> None:
    weights(TIMM, Path("a.pt"))
    groups = 'baseline.optimizer={ use = "adamw", lr = 0.1, groups = { layer_decay = 0.5, decay_norms = false } }'
    whole = chosen(TIMM, '{ file = "../a.pt" }')
    plain, begun, still = (
        resolve_study(read_study(study, Changes(settings)), discover(study), Path("data"), {}).variants[0].recipe
        for settings in ((chosen(TIMM, "false"),), (whole, groups), (whole, groups, FROZEN))
    )
    digest = begun.model.added["pretrained"]["weights"][:8]
    told = differences(replace(plain, optimizer=replace(begun.optimizer, added={})), begun)
    assert told == [
        ("model.pretrained", "default", f"weights {digest}"),
        ("optimizer.groups", "default", "layer_decay 0.5, decay_norms false"),
    ]
    assert differences(begun, still) == [("model.pretrained", "freeze false", "freeze true")]


class Backwards(nn.Module):
    """A network whose last layer was registered first, and which has another of as many outputs after it."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Linear(5, 5)
        self.body = nn.Linear(4, 5)
        self.unused = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.logits(self.body(x).relu())
        return made


def test_the_head_is_the_layer_that_is_called_last() -> None:
    model = Backwards()
    assert heads_of(model, 5, lambda: model(torch.zeros(2, 4))) == ["logits"]
    assert not any(module._forward_hooks for module in model.modules())


def test_a_distilled_network_has_two_heads(study: Path) -> None:
    timm = pytest.importorskip("timm")
    name = "deit_tiny_distilled_patch16_224"
    small = {"img_size": 8, "patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 2, "in_chans": 1}
    torch.save(timm.create_model(name, num_classes=7, **small).state_dict(), "a.pt")
    settings = ", ".join(f"{key} = {value}" for key, value in small.items() if key not in ("img_size", "in_chans"))
    chosen = f'baseline.model={{ use = "timm:{name}", {settings}, pretrained = {{ file = "../a.pt", freeze = true }} }}'
    run = built(study, chosen)
    trained = {name for name, one in run.model.named_parameters() if one.requires_grad}
    assert trained == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}


def test_images_that_the_model_resizes_are_evaluated_in_smaller_batches(study: Path) -> None:
    weights(TIMM, Path("a.pt"), channels=1)
    run = built(study, chosen(TIMM, '{ file = "../a.pt", input_size = 224 }'), "baseline.batch_size=8")
    sizes: list[int] = []
    run.model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    evaluate(run, run.data.train)
    assert max(sizes) == 8
