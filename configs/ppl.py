"""PPL of LabOR (Shin et al., ICCV 2021): ask about uncertain points near class prototypes.

The default is the paper's setting: GTA5 -> Cityscapes, ResNet-101 DeepLab-V2, 40 points an image,
counted at label resolution.

    python launch/main.py --config=configs/ppl.py --workdir=runs/ppl

Presets: synthia, streets_camvid, camvid_dusk, demo.
"""

from configs import common

# Prototypes are only as good as the predictions they are made of, and 40 points leave no room for
# bad ones: after 100 steps, as SPL's rounds begin, classes that are rare are not predicted at all.
ROUNDS = {"camvid_dusk": dict(warmup=500, every=60)}


def get_config(preset: str = ""):
    """PPL on the domains of `preset`."""
    c = common.preset(common.base(), preset)
    c.rounds.strategy = "ppl"
    c.rounds.share, c.rounds.points = 0.0, 40
    c.rounds.update(ROUNDS.get(preset, {}))
    return c
