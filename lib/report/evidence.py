"""Evidence: all that judges and texts read, by name. Its parts are in `lib.report.views`, a file per subject."""

from lib.report.views import (
    clip,
    clip_learned,
    clip_saliency,
    clip_towers,
    distill,
    distill_compared,
    distill_states,
    lora,
    lora_shots,
    mrss,
    mrss_compared,
    original,
    repeats,
    ssm,
    ssm_vlm,
    ssm_vlm_trained,
)


class Evidence(
    ssm.Views,
    mrss.Views,
    mrss_compared.Views,
    distill.Views,
    distill_compared.Views,
    distill_states.Views,
    clip.Views,
    clip_learned.Views,
    clip_saliency.Views,
    clip_towers.Views,
    lora.Views,
    lora_shots.Views,
    ssm_vlm.Views,
    ssm_vlm_trained.Views,
    original.Views,
    repeats.Views,
):
    """Records of the reference machine as frames, the original report's tables, and toys computed live.

    Each attribute is read when it is first needed, and raises `lib.report.frames.Missing` where a record that it needs
    is absent or incomplete. Arguments: see `lib.report.views.base.Base`.
    """
