"""Weights and learning curve as plain arrays: a folder that any program reads.

    weights.npz                 every array of the state, `pathway.w` (n_post, n_pre), as numpy.load reads it, without
                                pickle
    weights/<pathway>.csv       the same weights, one row a postsynaptic neuron, 17 digits, so without loss
    learning_curve.csv          presentation, nse, of each recorded presentation
    evaluations.csv             presentation, split, nse, error
    model.toml                  the description
    README.md                   what is what

In Python the same stand as pandas tables, `Result.frames()`, and as an xarray dataset, `Result.to_xarray()`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bioFA.exchange.base import MODEL, Exported
from bioFA.exchange.format import Format
from bioFA.modelfiles import toml
from bioFA.runs.result import Result

FORMAT = Format("weights and learning curve as .npz and .csv with a README", needs_result=True)


def export(result: Result, path: Path) -> Exported:
    """Write the folder."""
    path.mkdir()
    np.savez(path / "weights.npz", allow_pickle=False, **result.state)
    written = [path / "weights.npz"]
    (path / "weights").mkdir()
    for name, matrix in result.trained.weights.items():
        written.append(path / "weights" / f"{name}.csv")
        np.savetxt(written[-1], matrix, delimiter=",", fmt="%.17g")
    for name, table in result.frames().items():
        written.append(path / f"{name}.csv")
        table.to_csv(written[-1], index=False)
    (path / MODEL).write_text(toml.kept(result.experiment), encoding="utf-8")
    (path / "README.md").write_text(_readme(result), encoding="utf-8")
    return Exported((*written, path / MODEL, path / "README.md"))


def _readme(result: Result) -> str:
    network = result.experiment.network
    rows = "\n".join(
        f"| {p.name} | {p.source} | {p.target} | {p.port} | {network.shape(p)} |"
        f" {p.plasticity.family_name if p.plasticity is not None else '-'} |"
        for p in network.owners()
        if f"{p.name}.w" in result.state
    )
    versions = ", ".join(f"{name} {version}" for name, version in result.provenance.get("versions", {}).items())
    return f"""# {result.experiment.name}, scheme {result.experiment.scheme}, seed {result.seed}

{result.experiment.description}

Learned for {result.presentations} presentations. Weights have the shape (n_post, n_pre), so that the drive of a layer is `W @ r`.
`weights.npz` holds them as `pathway.w`, with the state of neurons as `population.variable`; `numpy.load('weights.npz')` reads it.
`weights/PATHWAY.csv` are the same weights, one row a postsynaptic neuron. `learning_curve.csv` has the normalised squared error (nse) of each
recorded presentation, before learning from it; `evaluations.csv` the nse and the error (a fraction) on each split. `{MODEL}` is the
description: `biofa run {MODEL} --seed {result.seed}` learns the same again.

| pathway | from | to | port | shape | rule |
|---|---|---|---|---|---|
{rows}

Made with {versions or 'bioFA'}.
"""  # noqa: E501
