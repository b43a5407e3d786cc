"""The same small Mamba in transformers and in ours, for the tests that compare them."""

import copy

import torch
import transformers
from torch.nn import functional as F

from lib.models.ssm.mamba import MambaConfig, MambaLM
from lib.models.ssm.mamba_weights import from_transformers

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2}
OPTIONS = [
    {},
    {"state_size": 5, "expand": 1, "conv_kernel": 3, "time_step_rank": 3},
    {"use_bias": True, "use_conv_bias": False, "layer_norm_epsilon": 1e-3},
]
KEPT = {"eos_token_id": None, "pad_token_id": None, "bos_token_id": None}


def stirred(model, seed=0):
    """All weights away from their start, so that none that is mixed up goes unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.empty_like(weight).normal_(std=0.1, generator=generator))
    return model.eval()


def theirs(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return stirred(transformers.MambaForCausalLM(transformers.MambaConfig(**SIZES | KEPT | options)))


def ours(**options):
    config = MambaConfig(**{"dim": 32, "layers": 2, "vocabulary": 50} | options)
    return stirred(MambaLM(config, generator=torch.Generator().manual_seed(0)))


def tokens(length=13):
    return torch.randint(50, (2, length), generator=torch.Generator().manual_seed(1))


def exactly(model):
    """A function of tokens: logits of our Mamba with the weights of theirs, or of ours, in double precision."""
    ours = model if isinstance(model, MambaLM) else from_transformers(model)
    return copy.deepcopy(ours).double()


def gradients(model, x, logits):
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), x[:, 1:].flatten())
    names, weights = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, weights), strict=True))
