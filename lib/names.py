"""Names of chapters, tasks, methods and backends: the one list of each, which every layer reads.

A leaf: it imports nothing of lib. To add a method, add a row here and the file that the row names; parameters,
comparisons, documentation and tests follow. A row whose file is missing fails by its name (`code`).
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True)
class Method:
    """A row of a table of methods.

    label    as readers see it in figures, tables and records
    module   where its code is, a module of lib
    about    what it does, in one line
    """

    label: str
    module: str
    about: str


@dataclass(frozen=True)
class Sequences(Method):
    """A row of the table of sequence tasks, with what decides how its accuracies are compared.

    split    sequences that are tested, and that are trained on, where every seed splits one collection anew
    solved   accuracy above which a model knows the rule of the task, where it does or stays on a plateau far below
    tokens   whether every token has an answer, so that no stem can shorten the sequence
    """

    split: tuple[int, int] | None = None
    solved: float | None = None
    tokens: bool = False


@dataclass(frozen=True)
class Compared(Method):
    """A row of the table of multi-resolution forms that only the comparison of all of them trains, see `family`.

    source   citation key of the paper that describes it, for a peer
    """

    source: str = ""


CHAPTERS = {  # notebook -> the subject's word on every floor
    "ssm_background": "ssm",
    "mrss": "mrss",
    "kernel_distillation": "distill",
    "clip_vtp": "clip",
    "lora": "lora",
    "claims": "claims",
}

_REDUCTION, _DISTILL = "lib.models.clip.reduction", "lib.models.distill"
_MRSS, _SCAN = "lib.models.mrss", "lib.kernels.scan"

REDUCTIONS = {  # token reductions, by the name that `reduce_tokens` takes
    "original": Method("original code", f"{_REDUCTION}.original", "the original report's pruning to the letter"),
    "norm": Method("L2 norm", f"{_REDUCTION}.norm", "the patches of largest L2 norm, chosen before the first layer"),
    "random": Method("random", f"{_REDUCTION}.random", "patches drawn at random, the same for all images"),
    "class_attention": Method(
        "class attention",
        f"{_REDUCTION}.class_attention",
        "the patches that the class token attends to most, inside one layer",
    ),
    "adaptive": Method(
        "adaptive",
        f"{_REDUCTION}.adaptive",
        "the fewest patches that hold a share of the class token's attention; each image has its own number",
    ),
    "merge": Method(
        "ToMe, decreasing",
        f"{_REDUCTION}.merge",
        "similar tokens become one, layer by layer, matched by their keys (ToMe)",
    ),
    "merge_then_prune": Method(
        "merge, then prune",
        f"{_REDUCTION}.merge_then_prune",
        "half of what goes merges in early layers, then the class token chooses",
    ),
    "merge_in_rounds": Method(
        "merge in rounds",
        f"{_REDUCTION}.merge_in_rounds",
        "similar tokens become one, before the first layer and inside the others, matched by their features, in rounds",
    ),
}

FORMS = {  # multi-resolution forms; their label in records is "<name>, r = <factor>"
    "dual": Method("dual", f"{_MRSS}.dual_branch", "every block has a low-rate one beside it, or several, and a gate"),
    "low": Method("low", f"{_MRSS}.low_rate", "all blocks at T / r, inside a full-rate gated convolution"),
    "hybrid": Method("hybrid", f"{_MRSS}.hybrid", "the first blocks at the full rate, the others at T / r"),
    "dynamic": Method("dynamic", f"{_MRSS}.dynamic", "low, and a router that sends chunks through full-rate blocks"),
    "wrapped": Compared(
        "wrapped", f"{_MRSS}.wrapped", "a control: what is around the blocks of low, with the blocks at the full rate"
    ),
    "hiss": Compared(
        "HiSS",
        f"{_MRSS}.hiss",
        "blocks in each chunk of r tokens, and blocks on its last output",
        "bhirangi2024hiss",
    ),
    "scale_mixer": Compared(
        "MS-SSM", f"{_MRSS}.scale_mixer", "a full-rate scan for each scale, mixed by the input", "karami2025msssm"
    ),
    "hnet": Compared(
        "H-Net", f"{_MRSS}.hnet", "blocks on tokens unlike those before them, about one in r", "hwang2025hnet"
    ),
    "sparse_gate": Compared(
        "sparse gate", f"{_MRSS}.sparse_gate", "dual, with a gate that skips the full-rate block for chunks it closes"
    ),
    "dynamic_rate": Compared(
        "rate by segment", f"{_MRSS}.dynamic_rate", "all blocks at a rate chosen per segment: T / r, its doubles, or T"
    ),
    "sequence_rate": Compared(
        "rate by sequence", f"{_MRSS}.sequence_rate", "the same, once for a whole sequence, after its first segment"
    ),
}

_STEMS = "lib.models.mrss.stems"
STEMS = {  # controls of tasks with one answer a sequence: what shortens it before the first block, by the factor
    "patches": Method("patches", f"{_STEMS}.patches", "the features of r tokens as those of one"),
    "strided": Method("strided stem", f"{_STEMS}.strided", "the first of r tokens"),
    "pooled": Method("pooled stem", f"{_STEMS}.pooled", "the mean of r tokens"),
}

DISTILLATIONS = {  # ways to make a fixed kernel small, by the name that `distill` takes
    "modal": Method("modal", f"{_DISTILL}.by_modes", "states per channel, chosen among the layer's own modes"),
    "balanced_truncation": Method(
        "balanced truncation",
        f"{_DISTILL}.by_modes",
        "states per channel, from the SVD of the Hankel matrix and its shifted copy, with the weights of that system",
    ),
    "balanced_refit": Method(
        "balanced truncation, refitted",
        f"{_DISTILL}.by_modes",
        "the same decays, with weights fitted to L taps: nearer there, without a bound beyond",
    ),
    "h2_optimal": Method(
        "H2-optimal",
        f"{_DISTILL}.h2_optimal",
        "states per channel that interpolate the kernel at their mirrored poles: a minimum of the error over all lags",
    ),
    "truncated_svd": Method("truncated SVD", f"{_DISTILL}.by_taps", "basis kernels: a low rank across channels"),
    "structured_sparse": Method(
        "structured sparsity", f"{_DISTILL}.by_taps", "the same few lags in all channels, those of largest energy"
    ),
}

_STATES = f"{_DISTILL}.states"
STATE_CHOICES = {  # which states of a Mamba are kept, by the name that `reduce_states` takes
    "refit": Method(
        "refitted", f"{_STATES}.refit", "drop one after another; C of the others is refitted by least squares"
    ),
    "energy": Method("energy", f"{_STATES}.energy", "the states of most energy at the output"),
    "hankel": Method("Hankel values", f"{_STATES}.hankel", "the largest Hankel values of a block at its mean step"),
    "slowest": Method("slowest", f"{_STATES}.by_decay", "the states that forget slowest"),
    "fastest": Method("fastest", f"{_STATES}.by_decay", "the states that forget fastest"),
    "random": Method("random", f"{_STATES}.random", "states drawn by lot"),
}

BACKENDS = {  # of the selective scan, the fastest first
    "cpp": Method("cpp", f"{_SCAN}.cpp", "C++, compiled for this CPU on first use"),
    "cuda": Method("cuda", f"{_SCAN}.cuda", "CUDA C++, compiled for this GPU on first use"),
    "torch": Method("torch", f"{_SCAN}.torch", "torch, chunk by chunk; runs everywhere"),
}

OPERATORS = {"ssm": "lib.kernels.operations"}  # a space of `torch.ops` -> the module that counts its operations

_PEERS = "lib.experiments.peers"
PEERS = {  # what the selective scan is compared with
    "associative": Method(
        "transformers, compiled", f"{_PEERS}.transformers", "an associative scan, compiled by torch for its shape"
    ),
    "mambapy": Method("transformers, mambapy", f"{_PEERS}.transformers", "a parallel scan in torch, from mambapy"),
    "mamba_ssm": Method("mamba_ssm", f"{_PEERS}.mamba_ssm", "the CUDA kernel of Mamba's authors"),
    "llama_cpp": Method("llama.cpp", f"{_PEERS}.llama_cpp", "ggml's operator on a CPU, forward only"),
    "fallback": Method("transformers, fallback", f"{_PEERS}.transformers", "a loop over tokens in torch"),
}

_DATA = "lib.tasks.data"
SEQUENCES = {  # sequence tasks
    "digits": Sequences("digits", f"{_DATA}.digits", "scikit-learn's digits, read pixel by pixel", split=(449, 1348)),
    "clocks": Sequences("synthetic oscillators", f"{_DATA}.clocks", "two superposed frequencies, with noise"),
    "motions": Sequences(
        "BasicMotions", f"{_DATA}.motions", "what a wrist does, by accelerometer and gyroscope", split=(40, 40)
    ),
    "plugs": Sequences("PLAID", f"{_DATA}.plugs", "the current that an appliance draws", split=(534, 535)),
    "copying": Sequences("selective copying", f"{_DATA}.copying", "repeat the items hidden in noise, in order"),
    "induction": Sequences("induction heads", f"{_DATA}.induction", "repeat what once followed a token", solved=0.9),
}
BENCHMARKS = {  # sequence tasks with sequences held back, by which settings are chosen; trained by the fair protocol
    "cifar": Sequences("CIFAR-10, 2 x 2 patches", f"{_DATA}.cifar", "256 colour patches of an image, row by row"),
    "cifar_grey": Sequences("CIFAR-10, pixels", f"{_DATA}.cifar_grey", "1,024 grey pixels of an image, row by row"),
    "characters": Sequences("characters", f"{_DATA}.characters", "the King James Bible's next character", tokens=True),
    "tagging": Sequences("tagging", f"{_DATA}.tagging", "which slow and which fast process is on", tokens=True),
    "forecasting": Sequences("forecasting", f"{_DATA}.forecasting", "a current, some samples ahead", tokens=True),
    "filling": Sequences("filling in", f"{_DATA}.filling", "samples missing from an appliance's current", tokens=True),
    "mqar": Sequences("MQAR", f"{_DATA}.mqar", "the values of several keys, each when its key returns", solved=0.9),
    "copying_long": Sequences("selective copying, long", f"{_DATA}.copying_long", "16 items in noise", solved=0.9),
    "induction_long": Sequences("induction, long", f"{_DATA}.induction_long", "what once followed a token", solved=0.9),
    "plaid": Sequences("PLAID, its own split", f"{_DATA}.plaid", "which appliance draws a current"),
    "vowels": Sequences("JapaneseVowels", f"{_DATA}.vowels", "which of nine speakers says two vowels"),
    "basic_motions": Sequences("BasicMotions, its own split", f"{_DATA}.basic_motions", "what a wrist does"),
}
_REFERENCES = "lib.tasks.references"
REFERENCES = {  # of a sequence task: what a trained model has to beat
    "majority": Method("most frequent class", f"{_REFERENCES}.majority", "the same answer to everything"),
    "nearest_neighbour": Method("1-NN", f"{_REFERENCES}.nearest_neighbour", "the answer of the nearest sequence"),
    "logistic": Method("logistic regression", f"{_REFERENCES}.logistic", "linear in all features, or in a window's"),
    "ngram": Method("n-grams", f"{_REFERENCES}.ngram", "counts of characters, smoothed by Kneser and Ney's method"),
    "cnn": Method("CNN", f"{_REFERENCES}.cnn", "five residual blocks of dilated causal convolutions, trained alike"),
}
SMALL_CLIPS = {"scenes": "scenes", "cifar10": "CIFAR-10"}  # what the small CLIPs learned -> as readers see it
DISTILLED = ("digits", "plugs", "clocks")  # sequence tasks whose models are distilled


def family() -> tuple[str, ...]:
    """Names of the multi-resolution forms that all experiments and figures compare: all but rows of type `Compared`."""
    return tuple(name for name, row in FORMS.items() if not isinstance(row, Compared))


def code(kind: str, name: str, row: Method) -> ModuleType:
    """The module of a row.

    kind     the table, for the message
    raises   ImportError, naming the row and the file that is missing
    """
    try:
        return import_module(row.module)
    except ModuleNotFoundError as error:
        if error.name != row.module:
            raise
        file = row.module.replace(".", "/") + ".py"
        raise ImportError(f"names.{kind}: {name!r} has no code: write {file}") from None
