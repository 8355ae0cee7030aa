"""PPL of LabOR (Shin et al., ICCV 2021): ask about uncertain points near class prototypes.

The default is the paper's setting: GTA5 -> Cityscapes, ResNet-101 DeepLab-V2, 40 points an image,
counted at label resolution.

    python launch/main.py --config=configs/ppl.py --workdir=runs/ppl

Presets: synthia, streets_camvid, camvid_dusk, demo.
"""

from configs import common

# Prototypes are only as good as the predictions they are made of: after 100 steps, as SPL's rounds
# begin, rare classes are not predicted at all. 40 points hold few pixels of those, which have to
# weigh more, and leave out most of an image, where the segmenter's own surest labels serve.
_DUSK = {"rounds.warmup": 500, "rounds.every": 60, "loss.balance": 0.5, "loss.pseudo": 0.5}
SETTINGS = {"camvid_dusk": _DUSK}


def get_config(preset: str = ""):
    """PPL on the domains of `preset`."""
    c = common.preset(common.base(), preset)
    c.rounds.strategy = "ppl"
    c.rounds.share, c.rounds.points = 0.0, 40
    c.update_from_flattened_dict(SETTINGS.get(preset, {}))
    return c
