"""The layout of the features behind published Fréchet distances: mseitzer/pytorch-fid."""

from jax_labor.models.inception import convolutions
from jax_labor.models.pretrained.layout import Layout
from jax_labor.models.pretrained.naming import conv, norm

INCEPTION = Layout(
    name="inception_fid",
    about="pt_inception-2015-12-05-*.pth: features of the Frechet distance, classifier fc dropped",
    modules=tuple(
        line(f"{name.replace('/', '.')}.{part}", f"{name}/{part}")
        for name in convolutions()
        for line, part in ((conv, "conv"), (norm, "bn"))
    ),
    anchors=("Conv2d_1a_3x3.conv", "Mixed_7c.branch_pool.bn"),
    drop=("fc.*",),
)
