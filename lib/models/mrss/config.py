"""Which multi-resolution form of a Mamba, and of which sizes. Symbols: `lib/__init__.py`."""

from dataclasses import dataclass
from types import ModuleType

from lib import names
from lib.models.checks import check_choice, check_count, check_counts, check_number
from lib.models.ssm.mamba_block import MambaConfig
from lib.models.tables import Modules

FORMS = Modules("FORMS", "mixers")
STEMS = Modules("STEMS", "shortened", "features")
BASELINE = "single"
LOWEST = 2**16  # rate, as a factor: a down- and an upsampler have weights for every token of a chunk


@dataclass(frozen=True)
class MrssConfig:
    """A variant, and the sizes of its Mamba blocks.

    mamba     sizes; `layers` is the number of blocks in all, whatever their rates
    variant   "single", the baseline, or one of `lib.names.FORMS` or of `lib.names.STEMS`
    factor    r from 1 to 65,536; where a form takes several, as "dual" does, also (2, 4, 8). With 1, every variant is
              the baseline, but those without a low rate, such as "wrapped", which take no other
    full      blocks at full rate, below `layers`, of forms with blocks of both rates; None for half of them
    budget    largest share of chunks that a form with a router computes at full rate; of one that chooses rates, the
              share of tokens that it is held to
    raises    ValueError, quoting the value and what is allowed
    """

    mamba: MambaConfig
    variant: str = BASELINE
    factor: int | tuple[int, ...] = 1
    full: int | None = None
    budget: float = 0.5

    def __post_init__(self):
        check_choice("variant", self.variant, variants())
        form = self._form
        if isinstance(self.factor, tuple):
            check_counts("factor", self.factor, 1, LOWEST)
            if not getattr(form, "SEVERAL", False):
                raise ValueError(f"factor = {self.factor}: {self.variant!r} takes one integer")
        else:
            check_count("factor", self.factor, 1, LOWEST)
        check_count("full", self.full, 0, also=(None,))
        check_number("budget", self.budget, above=0, most=1)
        if not self.one_rate and hasattr(form, "check"):
            form.check(self)

    @property
    def factors(self) -> tuple[int, ...]:
        """The factor, or each of several."""
        return self.factor if isinstance(self.factor, tuple) else (self.factor,)

    @property
    def one_rate(self) -> bool:
        """Whether the mixers are the baseline's, because of the variant or of a factor of 1."""
        return self._form is None or (set(self.factors) == {1} and not getattr(self._form, "FULL_RATE", False))

    @property
    def stem(self) -> bool:
        """Whether a stem shortens the sequence before the baseline's blocks."""
        return self.variant in names.STEMS and self.factor != 1

    @property
    def at_full(self) -> int:
        """Number of blocks at the full rate, of forms with blocks of both rates."""
        return self.mamba.layers // 2 if self.full is None else self.full

    @property
    def _form(self) -> ModuleType | None:
        return FORMS[self.variant] if self.variant in names.FORMS else None


def variants() -> tuple[str, ...]:
    """Names of all variants: the baseline, the forms, the stems."""
    return (BASELINE, *names.FORMS, *names.STEMS)


def check_both_rates(config: MrssConfig) -> None:
    """Accept a config with at least one block at the full and one at the low rate.

    raises   ValueError, quoting both numbers, for any other
    """
    if not 1 <= config.at_full < config.mamba.layers:
        sizes = f"full = {config.full}, layers = {config.mamba.layers}"
        raise ValueError(f"{sizes}: {config.variant!r} needs one block of each rate")
