"""Whether a model is of the kind a file's weights were trained in: equal shapes do not tell."""

from jax_labor.errors import UserError
from jax_labor.models.factory import DEFAULTS
from jax_labor.models.heads import ASPPV2, HeadV3, HeadV3Plus
from jax_labor.models.pretrained.layouts import get_layout

PUBLISHED = {"v2": ASPPV2.dilations, "v3": HeadV3.dilations, "v3plus": HeadV3Plus.dilations}


def check_settings(layout: str, model, normalize: str = "") -> None:
    """Compare the settings a layout implies (strides, epsilon, dilations, input) with those given.

    The same tensors give other numbers where the dialect differs, and nothing else would say so.

    Args:
      layout: name of a layout.
      model: the configuration's `model` section, as `build_model` takes it.
      normalize: the configuration's `data.normalize`; "" where no image is read.

    Raises:
      UserError: naming each setting that differs and the value that fits the file.
    """
    given = DEFAULTS | (dict(model) if hasattr(model, "keys") else dict(vars(model)))
    given["dilations"] = tuple(given["dilations"]) or PUBLISHED.get(given["head"])
    given["normalize"] = normalize
    wrong = [
        f"{'data' if name == 'normalize' else 'model'}.{name} must be {value!r}"
        f" (is {given[name]!r})"
        for name, value in get_layout(layout).model
        if given[name] not in (value, "")
    ]
    if wrong:
        raise UserError(f"layout {layout} is of networks with other settings: {'; '.join(wrong)}.")


def check_layouts(source: str, target: str) -> None:
    """Compare what two layouts imply, before weights that came in one go out in the other.

    Raises:
      UserError: the code that reads `target` would compute other numbers from these weights.
    """
    ours, theirs = dict(get_layout(source).model), dict(get_layout(target).model)
    wrong = [
        f"{name} {ours[name]!r}, not {theirs[name]!r}"
        for name in ours.keys() & theirs.keys()
        if ours[name] != theirs[name]
    ]
    if wrong:
        raise UserError(
            f"the weights came in layout {source}; its networks have {', '.join(sorted(wrong))} as "
            f"in layout {target}. Export them in layout {source}."
        )
