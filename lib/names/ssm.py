"""Backends of the selective scan, and the peers that it is timed against."""

from lib.names.rows import Method

_SCAN = "lib.kernels.scan"
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
