"""What learned token reductions share: numbers beside the tower. Symbols: `lib/__init__.py`."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.models.clip.reduction.base import Options, Reduced


class Learned(Reduced):
    """A vision tower with fewer tokens, of whose reduction some numbers are learned.

    They are the parameters of `learned`, a module that is no part of the tower: its checkpoint holds none of them, and
    whoever moves the tower to another device moves `learned`, too.
    """

    def __init__(self, model: nn.Module, method: str, options: Options):
        super().__init__(model, method, options)
        weight = next(model.parameters())
        vars(self)["learned"] = self.begun(self.config.hidden_size).to(weight.device, weight.dtype)

    @abstractmethod
    def begun(self, width: int) -> nn.Module:
        """The numbers before anything is learned.

        width   of the tower
        """

    def softly(self) -> "Learned":
        """The same reduction as it is learned: with a gradient where a choice has none."""
        return self

    def off_budget(self) -> Float[Tensor, ""]:
        """Squared difference of the share of patches that a tower of `softly` has just kept, and the one wanted."""
        return torch.zeros(())

    def settle(self, pixels: Float[Tensor, "B C H W"]) -> None:
        """Set what is chosen rather than learned: before anything is learned, and at the end.

        pixels   of training images
        """
