"""Several processes that train one network as one process would, on any number of devices and nodes.

    torchrun --nproc-per-node 8 -m nrsed_lib.run.cli compute <notebook> --profile paper

torchrun starts the processes and says who is who; `start` hands that to Lightning Fabric, which finds each one its
device and joins them. Without torchrun nothing here does anything, and Lightning is not even imported. A notebook can
not be several processes: it shows what such a command has left, as what is found learned is not learned again.

What makes N processes one. Every process draws the randomness of the whole batch and, where that is cheap, makes the
whole batch; then it keeps its `Share` of the rows. Dropout is drawn for the whole batch as well, batch norm takes its
statistics over all rows, a loss is weighted by the share of the rows it is the mean of, and gradients are added up.
What remains is the rounding of sums taken in another order. Nothing of this depends on the number of processes, so a
training may resume with another number.

Fabric's DDP wrapper is not used: it wants one `forward` a step, which a separator that embeds and separates does not
have, no parameter unused, and shares of equal size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_fabric: Fabric | None = None
Columns = TypeVar("Columns", bound=tuple)


def start() -> None:
    """Join the processes that torchrun has started; alone, do nothing. To be called before a device is used."""
    global _fabric
    size, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if _fabric is None and size > 1:
        from lightning_fabric import Fabric

        _fabric = Fabric(
            accelerator="cuda" if torch.cuda.is_available() else "cpu",
            strategy="ddp",
            devices=local,
            num_nodes=size // local,
        )
        _fabric.launch()


def size() -> int:
    return _fabric.world_size if _fabric else 1


def rank() -> int:
    return _fabric.global_rank if _fabric else 0


def is_first() -> bool:
    """Whether this process is the one that writes files and shows progress."""
    return rank() == 0


def wait() -> None:
    """Until all processes are here."""
    if _fabric:
        _fabric.barrier()


def total(x: Tensor) -> Tensor:
    """The sum of every process's `x`, through which gradients flow; the same bits on each."""
    if _fabric is None:
        return x
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(x)


@dataclass(frozen=True)
class Share:
    """The rows of a batch that this process keeps.

    The batch is made of groups (strong, weak, unlabelled clips), one after the other, `groups` rows
    each; of every group each process has a part, as even as can be.
    """

    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.groups) < size():
            raise ValueError(
                f"a batch of {' + '.join(map(str, self.groups))} rows can not be shared by {size()} processes: "
                f"enlarge sed.batch or lass.train.batch, or start at most {min(self.groups)} processes"
            )

    @cached_property
    def rows(self) -> Tensor:
        """Row numbers (B_own,)."""
        parts = torch.arange(sum(self.groups)).split(list(self.groups))
        return torch.cat([part.tensor_split(size())[rank()] for part in parts])

    @property
    def own(self) -> tuple[int, ...]:
        """Rows of each group that are this process's."""
        return tuple(len(torch.arange(group).tensor_split(size())[rank()]) for group in self.groups)

    def weight(self, groups: slice) -> float:
        """What the mean over this process's rows of some groups counts in that over all rows of them."""
        return sum(self.own[groups]) / sum(self.groups[groups])

    def of(self, x: Tensor) -> Tensor:
        """(B, …) → (B_own, …)."""
        return x if _fabric is None else x.index_select(0, self.rows.to(x.device))

    def each(self, function: Callable[[Tensor], Columns], x: Tensor) -> Columns:
        """`function` of all rows, (B, …) → a named tuple of (B, …) or None; each process computes its own rows."""
        found = function(self.of(x))
        whole: list[Any] = [None if column is None else self.gather(column) for column in found]
        return type(found)(*whole)

    def gather(self, own: Tensor) -> Tensor:
        """(B_own, …) → (B, …): what `of` took apart, without gradients."""
        if _fabric is None:
            return own
        whole = own.new_zeros(sum(self.groups), *own.shape[1:])
        return total(whole.index_copy_(0, self.rows.to(own.device), own))


def as_one(net: nn.Module, share: Share) -> nn.Module:
    """Make `net`, in training, the network that one process with the whole batch would have; returns it.

    Parameters, buffers and their names stay as they are. Raises TypeError for a layer whose rows depend
    on each other, or are drawn, in a way that is not known here.
    """
    if _fabric is None:
        return net
    known: dict[type[nn.Module], type[nn.Module]] = {
        nn.BatchNorm2d: BatchNorm,
        nn.Dropout: Dropout,
        nn.Dropout1d: Dropout1d,
    }
    for name, layer in net.named_modules():
        if type(layer) in known:
            layer.__class__ = known[type(layer)]  # the same state, another forward
            layer.share = share
        elif isinstance(layer, nn.modules.batchnorm._NormBase | nn.modules.dropout._DropoutNd | nn.RNNBase) and (
            not isinstance(layer, nn.RNNBase) or layer.dropout > 0
        ):
            raise TypeError(f"{name} ({type(layer).__name__}) can not be shared by processes; add it to {__name__}")
    return net


def add_gradients(net: nn.Module) -> None:
    """Give every process the sum of all gradients."""
    if _fabric is None:
        return
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    summed = total(torch.cat([g.flatten() for g in gradients]))
    for gradient, part in zip(gradients, summed.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def add(measured: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The sums over all processes of what each measured on its share, () each."""
    if _fabric is None:
        return dict(measured)
    return dict(zip(measured, total(torch.stack(list(measured.values()))), strict=True))


class BatchNorm(nn.BatchNorm2d):
    """Mean and variance over the rows of all processes.

    torch's own SyncBatchNorm is for GPUs only. The variance is that of the centred values: the mean
    of squares less the square of the mean loses digits.
    """

    def forward(self, x: Tensor) -> Tensor:  # (B_own, C, T, F) → the same shape
        if not self.training:
            return super().forward(x)
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        nb = wide.new_tensor([x.numel() // x.shape[1]])
        *sums, nb = total(torch.cat([wide.sum((0, 2, 3)), nb])).split([x.shape[1], 1])
        mean = sums[0] / nb  # (C,)
        centred = wide - mean.view(1, -1, 1, 1)
        variance = total(centred.square().sum((0, 2, 3))) / nb
        with torch.no_grad():
            assert self.num_batches_tracked is not None and self.momentum is not None  # torch's defaults
            self.num_batches_tracked.add_(1)
            for running, now in ((self.running_mean, mean), (self.running_var, variance * nb / (nb - 1))):
                assert running is not None
                running.lerp_(now.to(running), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)


class _WholeBatchDropout(nn.modules.dropout._DropoutNd):
    """Draws for the whole batch, in the order of memory that it would have, and applies its own rows."""

    share: Share  # set on each layer by `as_one`

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        shape = (sum(self.share.groups), *x.shape[1:])
        order = sorted(range(x.ndim), key=x.stride, reverse=True)
        ones = x.new_ones([shape[axis] for axis in order]).permute([order.index(axis) for axis in range(x.ndim)])
        return x * self.share.of(super().forward(ones))


class Dropout(_WholeBatchDropout, nn.Dropout):
    pass


class Dropout1d(_WholeBatchDropout, nn.Dropout1d):
    pass
