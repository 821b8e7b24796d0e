"""PyTorch on the CPU: updates written out with `addr_`, of a batch with `addmm_`, in place, no autograd, one thread."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.case import Case
from benchmarks.serve import Peer, Weights, serve, time


def prepare(case: Case, precision: str, options: list[str], scratch: Path) -> Peer:
    """Tensors of the case, and the loop over them."""
    torch.set_num_threads(1)
    kind = getattr(torch, precision)
    inputs, targets, feedback = (
        torch.tensor(array, dtype=kind) for array in (case.inputs, case.targets, case.feedback)
    )
    logistic, rate, rows = case.activation == "logistic", case.rate, len(case.inputs)

    @torch.no_grad()
    def run_batches(presentations: int) -> tuple[float, Weights]:
        w0, w1 = torch.tensor(case.w0, dtype=kind), torch.tensor(case.w1, dtype=kind)
        began = time.perf_counter()
        for k in range(0, presentations // case.batch * case.batch, case.batch):
            first = k % rows  # rows are a multiple of the batch
            x = inputs[first : first + case.batch]
            h = torch.mm(x, w0.T)
            if logistic:
                h.sigmoid_()
            y = torch.mm(h, w1.T)
            if logistic:
                y.sigmoid_()
            e = targets[first : first + case.batch] - y
            delta = torch.mm(e, feedback.T)
            if logistic:
                delta *= h * (1 - h)
            w1.addmm_(e.T, h, alpha=rate)
            w0.addmm_(delta.T, x, alpha=rate)
        return time.perf_counter() - began, (w0.numpy(), w1.numpy())

    @torch.no_grad()
    def run(presentations: int) -> tuple[float, Weights]:
        w0, w1 = torch.tensor(case.w0, dtype=kind), torch.tensor(case.w1, dtype=kind)
        began = time.perf_counter()
        for k in range(presentations):
            x = inputs[k % rows]
            h = torch.mv(w0, x)
            if logistic:
                h.sigmoid_()
            y = torch.mv(w1, h)
            if logistic:
                y.sigmoid_()
            e = targets[k % rows] - y
            delta = torch.mv(feedback, e)
            if logistic:
                delta *= h * (1 - h)
            w1.addr_(e, h, alpha=rate)
            w0.addr_(delta, x, alpha=rate)
        return time.perf_counter() - began, (w0.numpy(), w1.numpy())

    note = f"kernels for {torch.backends.cpu.get_cpu_capability()}"
    return Peer(run_batches if case.batch > 1 else run, {"torch": torch.__version__}, note=note)


if __name__ == "__main__":
    serve(prepare)
