"""What LabOR and DatasetGAN are measured against: other ways to use the same labels, or more.

    python launch/main.py --config=configs/segmentation.py:source
    python launch/main.py --config=configs/segmentation.py:adversarial,demo
    python launch/main.py --config=configs/segmentation.py:supervised,camvid_dusk
    python launch/main.py --config=configs/segmentation.py:semi,ccp \
        --config.data.source.root=/path/to/factory/dataset

The part before the comma is the method, the part after it a domain preset: synthia, streets_camvid,
camvid_dusk, demo; ccp and figures for DatasetGAN's study, where `source` has all real labels;
factory; without one the paper's GTA5 -> Cityscapes.
"""

from configs import common


def get_config(preset: str = "source"):
    """The named method on the named domains."""
    method, _, domains = preset.partition(",")
    c = common.preset(common.base(), domains)
    c.experiment = "segmentation"
    c.loss.adversarial = c.loss.adversarial_aux = 0.0
    common.choose(METHODS, method, "method")(c)
    return c


def source(c) -> None:
    """Source images only."""
    c.loss.target = 0.0


def adversarial(c) -> None:
    """Outputs that look like the source's (AdaptSegNet, Tsai et al., CVPR 2018: 42.4 mIoU)."""
    c.loss.target = 0.0
    c.loss.adversarial = 0.001
    if c.model.aux:
        c.loss.adversarial_aux = 0.0002


def supervised(c) -> None:
    """Every label of the target as well: the upper bound."""
    c.loss.target = 1.0


def transfer(c) -> None:
    """The few generated images that were labelled for a factory, and nothing else."""
    source(c)
    c.data.source = common.domain("generated", root="generated", split="labelled")


def semi(c) -> None:
    """The same few, and the target's images under IAST's pseudo-labels (Mei et al., ECCV 2020)."""
    transfer(c)
    c.loss.pseudo = 1.0
    # From the first step they fix early mistakes. 20 figures, 400 steps, one seed: mIoU 32.7
    # without pseudo-labels, 19.7 with them from the first step, 35.0 from the middle.
    c.loss.pseudo_start = 0.5


METHODS = dict(source=source, adversarial=adversarial, supervised=supervised)
METHODS |= dict(transfer=transfer, semi=semi)
