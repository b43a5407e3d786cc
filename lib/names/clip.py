"""Token reductions, and what the small CLIPs learned."""

from lib.names.rows import Method

_REDUCTION = "lib.models.clip.reduction"
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
    "norm_each_layer": Method(
        "L2 norm, each layer",
        f"{_REDUCTION}.norm_each_layer",
        "the patches of largest L2 norm, chosen anew before each attention block, an equal share each time",
    ),
    "key_query_norm": Method(
        "norm of keys and queries",
        f"{_REDUCTION}.key_query_norm",
        "the patches of the longest keys and queries, chosen inside one layer",
    ),
    "pitome": Method(
        "PiToMe", f"{_REDUCTION}.pitome", "similar tokens of large groups become one, isolated ones are protected"
    ),
    "tofu": Method(
        "ToFu",
        f"{_REDUCTION}.tofu",
        "of two similar tokens one goes in early layers; in late ones they merge at full length",
    ),
    "saint": Method(
        "SAINT", f"{_REDUCTION}.saint", "tokens that many others are similar to go, layer by layer, without merging"
    ),
    "kmeans": Method(
        "K-means", f"{_REDUCTION}.kmeans", "patches become the means of groups, which iterations find inside one layer"
    ),
}

_LEARNED = "lib.models.clip.learned"
LEARNED = {  # token reductions of which some numbers are learned, by the name that `learnable` takes
    "summary_token": Method(
        "learned summary token",
        f"{_LEARNED}.summary_token",
        "the patches of largest L2 norm, and one learned token for the others",
    ),
    "summary_shift": Method(
        "mean plus a learned token",
        f"{_LEARNED}.summary_shift",
        "the patches of largest L2 norm, and for the others their mean plus a learned token",
    ),
    "threshold": Method(
        "learned threshold",
        f"{_LEARNED}.threshold",
        "the patches whose attention is above a threshold that is a linear function of the image's class token",
    ),
}

SMALL_CLIPS = {"scenes": "scenes", "cifar10": "CIFAR-10"}  # what the small CLIPs learned -> as readers see it
