"""Where numbers are crunched: the device a user asks for, checked once."""

import torch

from humansoft.errors import ModelError


def usable(device: str | torch.device) -> torch.device:
    """Return a device on which float64 tensors can be made here.

    Raises:
        ModelError: no such device, or none on this machine.

    Example:
        >>> usable("cpu")
        device(type='cpu')
    """
    try:
        found = torch.device(device)
        torch.zeros(1, dtype=torch.float64, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:  # each backend has its own
        reason = str(error).splitlines()[0]
        raise ModelError(f"device {str(device)!r} cannot be used here ({reason}); use device='cpu'") from error
    return found
