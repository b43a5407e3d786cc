"""Small models of every family of transformers that scans as Mamba-2 does."""

from mambas import KEPT

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2} | KEPT
THREE = SIZES | {"num_hidden_layers": 3}
ATTENTION = {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
HEADS = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 2, "mamba_d_state": 6, "mamba_chunk_size": 4}
MADE = {
    "mamba2": lambda t: t.Mamba2ForCausalLM(
        t.Mamba2Config(**SIZES, num_heads=8, head_dim=8, n_groups=2, state_size=6, chunk_size=4)
    ),
    "bamba": lambda t: t.BambaForCausalLM(t.BambaConfig(**SIZES, **ATTENTION, **HEADS, attn_layer_indices=[1])),
    "falcon_h1": lambda t: t.FalconH1ForCausalLM(t.FalconH1Config(**SIZES, **ATTENTION, **HEADS, mamba_d_ssm=64)),
    "granitemoehybrid": lambda t: t.GraniteMoeHybridForCausalLM(
        t.GraniteMoeHybridConfig(
            **SIZES, **ATTENTION, **HEADS, layer_types=["mamba", "attention"], shared_intermediate_size=16,
            num_local_experts=2, num_experts_per_tok=1,
        )
    ),
    "nemotron_h": lambda t: t.NemotronHForCausalLM(
        t.NemotronHConfig(
            **THREE, **ATTENTION, hybrid_override_pattern="M*M", mamba_num_heads=8, mamba_head_dim=8,
            n_groups=2, ssm_state_size=6, chunk_size=4, head_dim=16,
        )
    ),
    "zamba2": lambda t: t.Zamba2ForCausalLM(
        t.Zamba2Config(
            **THREE, **ATTENTION, layers_block_type=["mamba", "hybrid", "mamba"], n_mamba_heads=8,
            mamba_headdim=8, mamba_ngroups=2, mamba_d_state=6, chunk_size=4, mamba_expand=2, num_mem_blocks=1,
        )
    ),
}  # fmt: skip
