"""What LabOR is measured against: no target labels, adversarial alignment, or all target labels.

    python launch/main.py --config=configs/segmentation.py:source
    python launch/main.py --config=configs/segmentation.py:adversarial,demo
    python launch/main.py --config=configs/segmentation.py:supervised,camvid_dusk

The part before the comma is the method (adversarial is AdaptSegNet, Tsai et al., CVPR 2018: 42.4
mIoU on GTA5 -> Cityscapes), the part after it a domain preset: synthia, streets_camvid,
camvid_dusk, demo; without one the paper's GTA5 -> Cityscapes.
"""

from configs import common


def get_config(preset: str = "source"):
    """The named method on the named domains."""
    method, _, domains = preset.partition(",")
    c = common.preset(common.base(), domains)
    c.experiment = "segmentation"
    common.choose(METHODS, method, "method")(c)
    return c


def source(c) -> None:
    """Source images only."""
    c.loss.target = 0.0


def adversarial(c) -> None:
    """Source labels, and target outputs that a discriminator cannot tell from source outputs."""
    c.loss.target = 0.0
    c.loss.adversarial = 0.001
    if c.model.aux:
        c.loss.adversarial_aux = 0.0002


def supervised(c) -> None:
    """Every label of the target as well: the upper bound."""
    c.loss.target = 1.0


METHODS = dict(source=source, adversarial=adversarial, supervised=supervised)
