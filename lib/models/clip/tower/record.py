"""What a call of a tower asks for besides its output: hidden states and attentions. Symbols: `lib/__init__.py`."""

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

RECORDS = ("hidden_states", "attentions")


class Record:
    """Hidden states and attentions on the way through a tower, as far as a call asks for them.

    config    of the tower; its defaults hold where the call says nothing
    layers    number of layers
    options   of the call, as transformers has them: flags, or numbers of hidden states; those read are taken away
    """

    def __init__(self, config: Any, layers: int, options: dict[str, Any]):
        asked = {name: options.pop(f"output_{name}", getattr(config, f"output_{name}", False)) for name in RECORDS}
        states = asked["hidden_states"]
        one = isinstance(states, int) and not isinstance(states, bool)
        self.selected: Collection[int] | None = None
        if one or isinstance(states, list | tuple):
            self.selected = {
                number % (layers + 1) for number in ([states] if one else states) if -layers - 1 <= number <= layers
            }
        self.states: list[Any] | None = [] if states or one else None
        self.attentions: list[Tensor] | None = [] if asked["attentions"] else None
        # As in the tower: the other implementations have no weights to give.
        self.weighs = self.attentions is not None and config._attn_implementation == "eager"

    def state(self, state: Any) -> None:
        """Take what is between two layers."""
        if self.states is not None:
            self.states.append(state if self.selected is None or len(self.states) in self.selected else None)

    def through(self, layer: nn.Module, attention: nn.Module, x: Tensor) -> Tensor:
        """Tokens after a layer that is called as a whole.

        attention   the layer's own
        """
        if not self.weighs:
            return layer(x, None)
        hook = attention.register_forward_hook(lambda _, __, given: self.attentions.append(given[1]))
        try:
            return layer(x, None)
        finally:
            hook.remove()

    def into(self, output: BaseModelOutputWithPooling, seen: Callable[[Any], Tensor]) -> BaseModelOutputWithPooling:
        """An output with what was recorded.

        seen   what a reader sees of a state
        """
        if self.states is not None:
            output.hidden_states = tuple(None if state is None else seen(state) for state in self.states)
        if self.attentions is not None:
            output.attentions = tuple(self.attentions)
        return output
