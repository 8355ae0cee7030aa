"""SPL of LabOR (Shin et al., ICCV 2021): ask about the pixels on which two classifiers disagree.

The default is the paper's setting: GTA5 -> Cityscapes, ResNet-101 DeepLab-V2, 2.2 % of the pixels.
Published: 66.6 mIoU, full supervision 66.7 (paper's protocol).

    python launch/main.py --config=configs/spl.py --workdir=runs/spl
    python launch/main.py --config=configs/spl.py:demo --config.rounds.share=0.01

Presets: synthia, streets_camvid, camvid_dusk, demo, and factory: from a data set that DatasetGAN
wrote (--config.data.source.root=/path/to/factory/dataset) to photos of people.
"""

from configs import common

# On CamVid the masks of five rounds spend 1.8 of the 2.2 %, those of eight 2.1. At dusk the first
# masks are large, and their highest discrepancies lie in a few blobs.
SETTINGS = {
    "streets_camvid": {"rounds.count": 8},
    "camvid_dusk": {"rounds.count": 8, "rounds.cut": "random"},
}


def get_config(preset: str = ""):
    """SPL on the domains of `preset`."""
    c = common.preset(common.base(), preset)
    c.update_from_flattened_dict(SETTINGS.get(preset, {}))
    return c
