"""parameters: a checksum over what an optimizer has stepped, so that replicas can be compared.

Sums of whole numbers, over the bits of each parameter and over the bits times their place:
they come out the same in whatever order a device adds up, and differ when a single bit
does. Only tensors that a rank has whole are looked at: shards (FSDP's, a DTensor's) differ
from rank to rank by design.
"""

from __future__ import annotations

import hashlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

MAX_ELEMENTS = 2**27
"""Of more than this in all, every second, third, … element counts: the time is bounded."""
CHUNK = 2**20


def is_due(step: int) -> bool:
    """Steps 1, 2, 5, 10, 20, 50, 100, …: as many as it takes to see them part, and no more."""
    while step % 10 == 0 and step > 0:
        step //= 10
    return step in (1, 2, 5)


def checksum(optimizer: Any) -> tuple[str, int]:
    """Return a digest of all parameters, and how many numbers they have in all; ("", 0): none."""
    torch: Any = sys.modules["torch"]
    whole = list(_whole_parameters(torch, optimizer))
    num_elements = sum(each.numel() for each in whole)
    if not num_elements:
        return "", 0
    stride = -(-num_elements // MAX_ELEMENTS)
    digest = hashlib.sha256()
    for each in whole:
        sums = torch.stack(list(_sums(torch, each, stride))).tolist()
        digest.update(f"{tuple(each.shape)} {each.dtype} {sums}\n".encode())
    return digest.hexdigest()[:16], num_elements


def _whole_parameters(torch: Any, optimizer: Any) -> Iterator[Any]:
    for group in optimizer.param_groups:
        for each in group["params"]:
            plain = each.layout == torch.strided and not each.is_quantized and not each.is_meta
            if plain and not _is_shard(each) and each.numel():
                yield each.detach()


def _is_shard(parameter: Any) -> bool:
    """True for a DTensor, and for what FSDP1 leaves a rank with.

    That is one flat parameter or, with `use_orig_params`, pieces of it in the model's own names.
    """
    flat = getattr(parameter, "_is_flat_param", False)
    flattened = getattr(parameter, "_fsdp_flattened", False)
    return flat or flattened or hasattr(parameter, "_local_tensor")


def _sums(torch: Any, tensor: Any, stride: int) -> Iterator[Any]:
    """Yield two sums for each chunk, as tensors on the tensor's own device: it is asked once."""
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    bits = tensor.reshape(-1).view(kinds[tensor.element_size()])[::stride]
    places = torch.arange(1, min(CHUNK, bits.numel()) + 1, dtype=torch.int64, device=bits.device)
    for start in range(0, bits.numel(), CHUNK):
        chunk = bits[start : start + CHUNK].to(torch.int64)
        yield chunk.sum()
        yield (chunk * places[: chunk.numel()]).sum()
