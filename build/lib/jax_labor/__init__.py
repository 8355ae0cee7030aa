"""jax_labor: semantic segmenters from as few human labels as possible (LabOR, DatasetGAN)."""

__version__ = "0.1.0"
