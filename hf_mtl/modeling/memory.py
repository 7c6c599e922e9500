"""Memory that is free."""

import psutil
import torch


def free_memory(device: torch.device) -> float:
    """Return the free memory of a device, in bytes."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)
