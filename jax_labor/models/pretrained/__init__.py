"""Weights of other frameworks, in and out: strictly, with every key accounted for."""

from jax_labor.models.pretrained.checkpoints import (
    read_checkpoint,
    read_noted,
    save_checkpoint,
)
from jax_labor.models.pretrained.convert import Report, export_weights, import_weights
from jax_labor.models.pretrained.layouts import LAYOUTS, detect_layout, get_layout
from jax_labor.models.pretrained.settings import check_layouts, check_settings
from jax_labor.models.pretrained.stylegan import (
    Options,
    build_stylegan,
    load_stylegan,
    network_settings,
)
from jax_labor.models.pretrained.stylegan_export import check_export
from jax_labor.models.pretrained.stylegan_layouts import GENERATOR
from jax_labor.models.pretrained.variables import (
    ABOUT,
    initialise,
    load_variables,
    read_variables,
    save_variables,
    take_about,
)

__all__ = [
    "ABOUT",
    "GENERATOR",
    "LAYOUTS",
    "Options",
    "Report",
    "build_stylegan",
    "check_export",
    "check_layouts",
    "check_settings",
    "detect_layout",
    "export_weights",
    "get_layout",
    "import_weights",
    "initialise",
    "load_stylegan",
    "load_variables",
    "network_settings",
    "read_checkpoint",
    "read_noted",
    "read_variables",
    "save_checkpoint",
    "save_variables",
    "take_about",
]
