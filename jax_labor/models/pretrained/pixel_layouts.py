"""The layout of a pixel classifier's checkpoint: nv-tlabs/datasetGAN_release."""

from jax_labor.models.pretrained.layout import Layout
from jax_labor.models.pretrained.naming import DENSE, Module, norm

WRAPPER = "model_state_dict"

PIXEL_CLASSIFIER = Layout(
    name="datasetgan",
    about="DatasetGAN model_<i>.pth: a pixel classifier, layers.0, layers.2 to layers.6",
    modules=(
        Module("layers.0", "linear0", DENSE),
        norm("layers.2", "bn0"),
        Module("layers.3", "linear1", DENSE),
        norm("layers.5", "bn1"),
        Module("layers.6", "linear2", DENSE),
    ),
    anchors=("layers.0", "layers.3", "layers.6"),
)
