"""Who takes part. A new peer is a file in `peers/` and a line here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.race import Variant

PLAIN, PLAIN32 = Variant("plain C++ loop", "plain_cpp"), Variant("plain C++ loop", "plain_cpp", "float32")
BLOCKED, DENSE = Variant("bioFA, blocked", "biofa", options=("blocked",)), Variant(
    "bioFA, dense", "biofa", options=("dense",)
)
BLOCKED32, DENSE32 = Variant("bioFA, blocked", "biofa", "float32", ("blocked",)), Variant(
    "bioFA, dense", "biofa", "float32", ("dense",)
)
BIOFA, BIOFA32 = Variant("bioFA", "biofa"), Variant("bioFA", "biofa", "float32")
REFERENCE = Variant("NumPy reference", "biofa", options=("reference",))
STOCK = Variant("stock Brian2 standalone", "brian2_stock")
TORCH = ("torch==2.13.0", "numpy")
JAX = ("jax==0.10.2", "numpy")
BATCHED, BATCHED32 = Variant("bioFA, batched", "biofa"), Variant("bioFA, batched", "biofa", "float32")

RACE = (
    PLAIN, PLAIN32, BLOCKED, DENSE, BLOCKED32, DENSE32, REFERENCE,
    Variant("NumPy, BLAS rank-1", "numpy_blas"),
    Variant("NumPy, BLAS rank-1", "numpy_blas", "float32", quick=False),
    STOCK,
    Variant("PyTorch, batch 1", "pytorch", packages=TORCH),
    Variant("PyTorch, batch 1", "pytorch", "float32", packages=TORCH, quick=False),
    Variant("JAX, batch 1", "jax_loop", packages=JAX),
    Variant("JAX, batch 1", "jax_loop", "float32", packages=JAX, quick=False),
    Variant("ANNarchy", "annarchy", packages=("annarchy",)),
    Variant("ANNarchy", "annarchy", "float32", packages=("annarchy",), quick=False),
)
MINIBATCH = (
    BATCHED, BATCHED32,
    Variant("bioFA, one after another", "biofa", "float32", ("dense",), quick=False),
    Variant("PyTorch", "pytorch", packages=TORCH),
    Variant("PyTorch", "pytorch", "float32", packages=TORCH),
    Variant("JAX", "jax_loop", packages=JAX),
    Variant("JAX", "jax_loop", "float32", packages=JAX),
)
EVENT_DRIVEN, EVENT_DRIVEN32 = Variant("bioFA, event-driven", "biofa"), Variant(
    "bioFA, event-driven", "biofa", "float32"
)
STOCK_EVENTS = Variant("stock Brian2 standalone", "brian2_events")
EVENTS = (EVENT_DRIVEN, EVENT_DRIVEN32, STOCK_EVENTS, Variant("ANNarchy", "annarchy_events", packages=("annarchy",)))
FROZEN = (EVENT_DRIVEN, Variant("NEST", "nest_events", packages=("nest-simulator>=3.10",)))
WIDTHS = (PLAIN, DENSE, BLOCKED)
LENGTHS = (PLAIN, BLOCKED, STOCK)
OTHER = ", other build"
"""How the name of a variant of another build ends."""


def beside(variants: Sequence[Variant], checkout: Path | None) -> list[Variant]:
    """Some variants, each of bioFA's followed by that of another build, where its checkout is given."""
    found = []
    for variant in variants:
        found.append(variant)
        if checkout is not None and variant.module == "biofa" and "reference" not in variant.options:
            found.append(replace(variant, name=f"{variant.name}{OTHER}", checkout=str(checkout.resolve())))
    return found
