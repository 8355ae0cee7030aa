"""SPL of LabOR (Shin et al., ICCV 2021): ask about the pixels on which two classifiers disagree.

The default is the paper's setting: GTA5 -> Cityscapes, ResNet-101 DeepLab-V2, 2.2 % of the pixels.
Published: 66.6 mIoU, full supervision 66.7 (paper's protocol).

    python launch/main.py --config=configs/spl.py --workdir=runs/spl
    python launch/main.py --config=configs/spl.py:demo --config.rounds.share=0.01

Presets: synthia, streets_camvid, camvid_dusk, demo, and factory: from a data set that DatasetGAN
wrote (--config.data.source.root=/path/to/factory/dataset) to photos of people.
"""

from configs import common


def get_config(preset: str = ""):
    """SPL on the domains of `preset`."""
    return common.preset(common.base(), preset)
