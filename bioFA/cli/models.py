"""Commands that show models and parts, and begin a project: list, show, schema, init, completion."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from pathlib import Path
from typing import Any

import click

from bioFA.cli.console import (
    WIDTH,
    json_option,
    load_experiment,
    model_argument,
    print_json,
    scheme_option,
    set_option,
    trust_option,
)
from bioFA.errors import suggestion


@click.command("list", short_help="List built-in models and parts.")
@json_option
def list_(as_json: bool) -> None:
    """List the built-in models, and the parts that a model file can name.

    \b
    Examples:
      biofa list
      biofa list --json
    """
    from bioFA import neurons, rules, tasks, weights
    from bioFA.components import headline
    from bioFA.modelfiles import toml
    from bioFA.schemes import family as schemes

    found: dict[str, list[dict[str, str]]] = {
        "models": [{"name": name, "description": toml.description(name)} for name in toml.builtin_models()]
    }
    families: dict[str, Any] = {
        "schemes": schemes,
        "rules": rules.family,
        "neurons": neurons.family,
        "tasks": tasks.family,
        "weights": weights.family,
    }
    for kind, family in families.items():
        found[kind] = [{"name": name, "description": headline(family.get(name))} for name in family.names()]
    if as_json:
        return print_json(found)
    width = min(shutil.get_terminal_size().columns, WIDTH)
    for kind, parts in found.items():
        click.echo(kind)
        for part in parts:
            click.echo(click.wrap_text(part["description"], width, f"  {part['name']:<19} ", " " * 22))
    click.echo("\nSee a model with 'biofa show NAME', run it with 'biofa run NAME'.")


@click.command(short_help="Print a model file and its network.")
@model_argument
@scheme_option
@set_option
@trust_option
@json_option
def show(model: str, scheme: str | None, changes: tuple[str, ...], as_json: bool) -> None:
    """Print a model file, and the network that it lays out.

    What is printed is itself a model file, to be changed and run. It says how many synapses there are, and what
    memory a run takes.

    \b
    Examples:
      biofa show linear
      biofa show linear --scheme bp --set protocol.epochs=5
      biofa show linear > mine.toml && biofa run mine.toml
    """
    from bioFA.modelfiles import toml
    from bioFA.runs.needs import needs

    experiment = load_experiment(model, scheme, changes)
    network = experiment.network
    needed = needs(experiment)
    if as_json:
        return print_json({
            "model": experiment.name,
            "scheme": experiment.scheme,
            "rates": experiment.rates_in_use(),
            "notes": list(experiment.circuit.caveats()),
            "experiment": toml.to_table(experiment),
            "populations": [
                {"name": p.name, "size": p.size, "neuron": p.neuron.family_name} for p in network.populations
            ],
            "pathways": [
                {
                    "name": p.name,
                    "source": p.source,
                    "target": p.target,
                    "port": p.port,
                    "carries": p.carries,
                    "shape": network.shape(p),
                    "weights": p.weights.family_name,
                    "plasticity": p.plasticity.family_name if p.plasticity is not None else None,
                    "stands_for": p.stands_for,
                }
                for p in network.pathways
            ],
            "needs": dataclasses.asdict(needed),
        })
    click.echo(toml.dumps(experiment))
    click.echo("# The network that this lays out:\n#")
    click.echo("\n".join(f"# {line}".rstrip() for line in network.describe().splitlines()))
    rates = experiment.rates_in_use()
    click.echo(f"#\n# Needs: {needed.describe()}")
    click.echo(f"# Rates: {rates['text'] or 'none'}")
    for place, how in experiment.rounded_times.items():
        click.echo(f"# Time {place}: {how}")
    for caveat in experiment.circuit.caveats():
        click.echo(f"# Note: {caveat}")
    for place in rates["departs"]:
        click.echo(f"# Learns otherwise than the model's own scheme: {place}")


@click.command(short_help="Print the Python code in a result or bundle.")
@click.argument("place", metavar="PLACE")
@json_option
def code(place: str, as_json: bool) -> None:
    """Print the Python files of somebody's own in PLACE, and whether they have run here; nothing of them runs.

    PLACE is a result, a state, a bundle, the folder of a run or a comparison, or a model file. A rule or neuron of
    one's own is a class in a Python file; results, bundles and comparisons hold that file. Opening one runs it, with
    your rights, and is refused where it has not run here before: read it, then give --trust-code to the command that
    was refused.

    \b
    Examples:
      biofa code results/mine/result.h5
      biofa code bundle_of_somebody
    """
    from bioFA.own_code import trust
    from bioFA.show.own_code import code_in, plain

    found = code_in(Path(place))
    if as_json:
        rows = [
            {"name": file.name, "sha256": file.sha256, "has_run": trust.has_run(file.sha256), "text": file.text}
            for file in found
        ]
        return print_json({"place": place, "files": rows})
    for file in found:
        state = "has run here" if trust.has_run(file.sha256) else "has not run here"
        click.echo(f"# {file.name}, SHA-256 {file.sha256}, {state}\n{plain(file.text)}")
    if not found:
        click.echo(f"{place} holds no Python code.")


@click.command(short_help="Print the JSON Schema of model files, for editors.")
def schema() -> None:
    """Print the JSON Schema of model files, from which an editor completes names and marks mistakes while you write.

    It knows every part that 'biofa list' shows, its fields, their units and bounds. With the extension "Even Better
    TOML" of VS Code, or any editor that uses taplo,
    make the first line of your model file '#:schema ./biofa.schema.json'.

    \b
    Examples:
      biofa schema > biofa.schema.json
    """
    from bioFA.modelfiles.schema import schema as made

    print_json(made())


@click.command(short_help="Make a project that runs at once.")
@click.argument("folder", metavar="DIR")
@json_option
def init(folder: str, as_json: bool) -> None:
    """Make a project of your own that runs at once: a model, a rule to change, data, README, CITATION, .gitignore.

    DIR must be new or empty. model.toml names biofa.schema.json, from which editors complete it.

    \b
    Examples:
      biofa init my_project
      cd my_project && biofa run model.toml
    """
    from bioFA.modelfiles.project import create

    written = create(Path(folder))
    if as_json:
        return print_json({"folder": folder, "files": [str(path) for path in written]})
    click.echo(f"Made {folder}: {', '.join(path.name for path in written)}")
    click.echo(f"Next: cd {shlex.quote(folder)} && biofa run model.toml    (README.md there says what else)")


@click.command(short_help="Print a script that completes commands.")
@click.argument("shell", metavar="bash|zsh|fish")
def completion(shell: str) -> None:
    """Print a script with which your shell completes commands, options, model names, schemes and formats on Tab.

    \b
    Examples:
      biofa completion bash >> ~/.bashrc
      biofa completion zsh >> ~/.zshrc
      biofa completion fish > ~/.config/fish/completions/biofa.fish
    """
    from click.shell_completion import get_completion_class

    context, known = click.get_current_context(), get_completion_class(shell)
    if known is None or shell not in ("bash", "zsh", "fish"):
        raise click.UsageError(f"unknown shell '{shell}'.{suggestion(shell, ['bash', 'zsh', 'fish'])}", context)
    click.echo(known(context.find_root().command, {}, "biofa", "_BIOFA_COMPLETE").source())
