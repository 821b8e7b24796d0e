"""bioFA: feedback alignment in rate and spiking populations, compiled by Brian2, checked by NumPy.

    import bioFA
    experiment = bioFA.load("digits")
    result = bioFA.simulate(experiment, seed=1)
    print(result)
    result.save("result.h5")
"""

from bioFA.errors import BioFAError, FileError, MissingError, ModelError, RunError
from bioFA.experiment import Experiment, Protocol, Record
from bioFA.files import builtin_models, dumps, load, loads
from bioFA.instance import Instance, draw
from bioFA.network import Network, Pathway, Population
from bioFA.result import Result, load_result
from bioFA.schemes.layered import Layered, layered
from bioFA.simulate import simulate
from bioFA.verify import Verification, verify

__all__ = [
    "BioFAError",
    "Experiment",
    "FileError",
    "Instance",
    "Layered",
    "MissingError",
    "ModelError",
    "Network",
    "Pathway",
    "Population",
    "Protocol",
    "Record",
    "Result",
    "RunError",
    "Verification",
    "builtin_models",
    "draw",
    "dumps",
    "layered",
    "load",
    "load_result",
    "loads",
    "simulate",
    "verify",
]
