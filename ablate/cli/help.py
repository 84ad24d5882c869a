"""Commands that help to begin: components, doctor, new."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import paths
from .exits import exits
from .options import DataOption, JsonOption, StoreOption

app = typer.Typer()
new = typer.Typer(no_args_is_help=True, help="Write a commented file to start from, that runs as it is.")


class _ShowFirst(typer.core.TyperGroup):
    """Runs its command `show` where no other one is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["show", *args])


components = typer.Typer(cls=_ShowFirst, help="Show what a study can name, or check a component of your own.")


@components.command("show")
@exits
def show_components(
    kind: Annotated[str | None, typer.Argument(help="As dataset, model, optimizer, metric or executor.")] = None,
    name: Annotated[str | None, typer.Argument(help="One component, or PREFIX: for a library.")] = None,
    json: JsonOption = False,
) -> int:
    """Show what a study can name: summaries, settings with types and defaults, source files. `show` may be left out."""
    from ..commands.components import show_components

    return show_components(kind, name, json)


@components.command("check")
@exits
def check_component(
    name: Annotated[str, typer.Argument(help="A component, as cutout, timm:resnet18 or model:simple-cnn.")],
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting of the component; may be repeated.")
    ] = [],
    shape: Annotated[str, typer.Option(metavar="CxHxW", help="Channels, height and width of the images.")] = "3x32x32",
    plugin: Annotated[
        list[Path],
        typer.Option(
            "--plugin",
            metavar="FILE",
            help="A file or folder that registers it, if it is not in plugins/ here; may be repeated.",
        ),
    ] = [],
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Check whether a component keeps the contract of its kind: a line for each check; exit 1 where one fails."""
    from ..commands.check_component import check_component

    return check_component(name, set_, shape, plugin, paths.data_dir(data_dir), json)


@app.command()
@exits
def doctor(
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu", help="Instead, try recorded steps and runs side by side on the GPU; say what to switch on."
        ),
    ] = False,
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Check installation, machine, store and data folder; say what is wrong and what helps."""
    from ..commands.doctor import examine, examine_gpu

    return examine_gpu(json) if gpu else examine(paths.store_dir(store), paths.data_dir(data_dir), json)


@new.command("study")
@exits
def new_study(name: Annotated[str, typer.Argument(help="The study's name.", show_default=False)]) -> int:
    """Write studies/NAME.toml."""
    from ..commands.new import new_study as write

    return write(name)


@new.command("component")
@exits
def new_component(
    name: Annotated[str, typer.Argument(help="The component's name.", show_default=False)],
    kind: Annotated[str, typer.Option(help="Its kind, as model; 'ablate components' lists all.")] = "augmentation",
) -> int:
    """Write plugins/NAME.py."""
    from ..commands.new import new_component as write

    return write(kind, name)
