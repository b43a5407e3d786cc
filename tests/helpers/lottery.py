"""What a stranger adds to each table of methods by CONTRIBUTING.md, and where it is seen afterwards."""

ROWS = {  # table -> the row, the file, a neighbour that the file is made of, and words of it that change
    "REDUCTIONS": ("lib/models/clip/reduction/lottery.py", "random.py", {"Random": "Lottery"}),
    "LEARNED": ("lib/models/clip/learned/lottery.py", "summary_token.py", {"SummaryToken": "Lottery"}),
    "FORMS": ("lib/models/mrss/lottery.py", "hybrid.py", {}),
    "STEMS": ("lib/models/mrss/stems/lottery.py", "pooled.py", {}),
    "DISTILLATIONS": ("lib/models/distill/lottery.py", None, {}),
    "STATE_CHOICES": ("lib/models/distill/states/lottery.py", "energy.py", {"def energy": "def lottery"}),
    "ADAPTERS": ("lib/models/lora/kinds/lottery.py", "rslora.py", {"RankStabilised": "Lottery"}),
    "TOWERS": ("lib/models/ssm_vlm/towers/lottery.py", "vision_mamba.py", {}),
    "SCAN_REDUCTIONS": ("lib/models/ssm_vlm/fewer/lottery.py", "norm.py", {"def norm": "def lottery"}),
    "BACKENDS": ("lib/kernels/scan/lottery.py", None, {}),
    "PEERS": ("lib/experiments/peers/lottery.py", None, {}),
    "SEQUENCES": ("lib/tasks/data/lottery.py", "clocks.py", {"def clocks": "def lottery", '"clocks"': '"lottery"'}),
    "REFERENCES": ("lib/tasks/references/lottery.py", "majority.py", {"def majority": "def lottery"}),
}  # fmt: skip
WRITTEN = {
    "DISTILLATIONS": "from lib.models.distill.by_taps import truncated_svd as lottery\n\n__all__ = ['lottery']\n",
    "PEERS": "from lib.experiments.peers.transformers import fallback as lottery\n\n__all__ = ['lottery']\n",
    "BACKENDS": "from lib.kernels.scan.torch import about, backward, forward, saved_shape, unavailable\n\n"
    "__all__ = ['about', 'backward', 'forward', 'saved_shape', 'unavailable']\n",
}

SEEN = """
import torch
from lib import names
from lib.experiments import clip_variants, mrss_training, peers
from lib.models.clip import load
from lib.models.clip.learned import learnable
from lib.models.clip.reduction import reduce_tokens
from lib.models.distill.replace import METHODS
from lib.models.distill.states.reduce import CRITERIA
from lib.models.lora.layers import add_lora
from lib.models.mrss import variants
from lib.models.ssm.mamba import MambaConfig
from lib.models.ssm_vlm.reduced import ReducedTower
from lib.models.ssm_vlm.tower import VisionTower
from lib.models.ssm.scan import KERNELS, selective_scan_fn
from lib.report import parameters
from lib.tasks.data.sequences import TASKS
from lib.tasks.references import REFERENCES, suited

allowed = {name: model.model_fields for name, model in parameters.MODELS.items()}
assert "'lottery'" in allowed["clip_vtp"]["method"].description  # parameters
assert "'lottery'" in allowed["kernel_distillation"]["method"].description
assert "'lottery'" in allowed["ssm_background"]["backend"].description
assert "'lottery'" in allowed["mrss"]["task"].description
assert "'lottery'" in allowed["ssm_vlm"]["tower"].description
assert "lottery" in {one.name for one in clip_variants.variants()}  # comparisons
assert "lottery, r = 4" in variants.family(MambaConfig(dim=32, layers=2), 4)
assert "lottery, r = 4" in variants.stems(MambaConfig(dim=32, layers=2), 4)
assert "lottery" in mrss_training.TASKS
assert "lottery" in peers.everyone(torch.device("cpu")) and callable(peers.PEERS["lottery"])
assert "lottery" in METHODS and "lottery" in KERNELS and "lottery" in TASKS
assert "lottery" in CRITERIA and callable(CRITERIA["lottery"])

tower = load.random_init("openai/clip-vit-base-patch32", 0).vision_model  # and it runs
x = torch.randn(1, 3, 224, 224)
with torch.inference_mode():
    assert torch.equal(reduce_tokens(tower, "lottery", 1.0)(x).pooler_output, tower(x).pooler_output)
    assert torch.equal(learnable(tower, "lottery", 1.0)(x).pooler_output, tower(x).pooler_output)
    small = load.load("clip-scenes-0").model.config.vision_config
    assert VisionTower(small, "lottery")(torch.randn(1, 3, 64, 64)).pooler_output.shape == (1, 96)
    fewer = ReducedTower(VisionTower(small, "vision_mamba"), "lottery", 0.5)
    assert fewer(torch.randn(1, 3, 64, 64)).last_hidden_state.shape == (1, 32, 96)
u, A, B = torch.randn(1, 4, 8), -torch.rand(4, 2), torch.randn(1, 2, 8)
assert torch.isfinite(selective_scan_fn(u, u, A, B, B, delta_softplus=True, backend="lottery")).all()
task = TASKS["lottery"](torch.Generator().manual_seed(0))
layers = torch.nn.Sequential(torch.nn.Linear(4, 4))
assert add_lora(layers, "0", 2, 4.0, adapter="lottery") == ["0"] and type(layers[0]).__name__ == "Lottery"
assert task.length == 128 and "lottery" in suited(task) and REFERENCES["lottery"](task, torch.Generator()).accuracy
"""
