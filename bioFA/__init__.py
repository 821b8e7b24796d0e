"""bioFA: feedback alignment in rate and spiking populations, compiled by Brian2, checked by NumPy.

    import bioFA
    experiment = bioFA.load("digits")
    result = bioFA.simulate(experiment, seed=1)
    print(result)
    result.save("result.h5")

Names are loaded when they are first used, so that `import bioFA` and `biofa --help` are quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

from bioFA import repr_html as _repr_html

if TYPE_CHECKING:
    from bioFA.comparison import Comparison, load_comparison, run_comparison
    from bioFA.errors import BioFAError, FileError, MissingError, ModelError, RunError
    from bioFA.exchange.brian2_import import FromBrian2, from_brian2
    from bioFA.exchange.brian2_live import Live, to_brian2
    from bioFA.experiment import Experiment, Phase, Protocol, Stop
    from bioFA.instance import Instance, draw
    from bioFA.measures.record import Record
    from bioFA.modelfiles.toml import builtin_models, dumps, load, loads
    from bioFA.network import Learning, Network, Pathway, Population
    from bioFA.runs.result import Result, load_result
    from bioFA.runs.simulation import resume, simulate
    from bioFA.schemes.layered import Layered, layered
    from bioFA.schemes.taught import TaughtNetwork
    from bioFA.verification.backends import Verification, verify
    from bioFA.verification.biology import Audit, audit
    from bioFA.verification.neuron_checks import NeuronCheck, check_neuron
    from bioFA.verification.rule_checks import RuleCheck, check_rule

_HOMES = {
    "bioFA.verification.biology": ("Audit", "audit"),
    "bioFA.exchange.brian2_import": ("FromBrian2", "from_brian2"),
    "bioFA.exchange.brian2_live": ("Live", "to_brian2"),
    "bioFA.verification.neuron_checks": ("NeuronCheck", "check_neuron"),
    "bioFA.verification.rule_checks": ("RuleCheck", "check_rule"),
    "bioFA.comparison": ("Comparison", "load_comparison", "run_comparison"),
    "bioFA.errors": ("BioFAError", "FileError", "MissingError", "ModelError", "RunError"),
    "bioFA.experiment": ("Experiment", "Phase", "Protocol", "Stop"),
    "bioFA.measures.record": ("Record",),
    "bioFA.modelfiles.toml": ("builtin_models", "dumps", "load", "loads"),
    "bioFA.instance": ("Instance", "draw"),
    "bioFA.network": ("Learning", "Network", "Pathway", "Population"),
    "bioFA.runs.result": ("Result", "load_result"),
    "bioFA.schemes.layered": ("Layered", "layered"),
    "bioFA.schemes.taught": ("TaughtNetwork",),
    "bioFA.runs.simulation": ("resume", "simulate"),
    "bioFA.verification.backends": ("Verification", "verify"),
}
_repr_html.drawn_by("bioFA.show.notebook")
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Audit",
    "BioFAError",
    "Comparison",
    "Experiment",
    "FileError",
    "FromBrian2",
    "Instance",
    "Layered",
    "Learning",
    "Live",
    "MissingError",
    "ModelError",
    "Network",
    "NeuronCheck",
    "Pathway",
    "Phase",
    "Population",
    "Protocol",
    "Record",
    "Result",
    "RuleCheck",
    "RunError",
    "Stop",
    "TaughtNetwork",
    "Verification",
    "audit",
    "builtin_models",
    "check_neuron",
    "check_rule",
    "draw",
    "dumps",
    "from_brian2",
    "layered",
    "load",
    "load_comparison",
    "load_result",
    "loads",
    "resume",
    "run_comparison",
    "simulate",
    "to_brian2",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("bioFA")
    if name not in _HOME:
        raise AttributeError(f"module 'bioFA' has no attribute '{name}'")
    globals()[name] = getattr(importlib.import_module(_HOME[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)
