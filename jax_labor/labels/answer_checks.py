"""What the JSON of an answer may say: any program may have written it."""

import math

ANSWERED, SKIPPED = "answered", "skipped"
ORACLE, SEGMENTER = "oracle", "segmenter"
PROGRAMS = (ORACLE, SEGMENTER)  # annotators that are nobody: no person may have such a name
NAME_LENGTH = 64
_ACTIONS = ("class", "patch", "unsure", "skip", None)
EFFORT = ("seconds", "clicks", "keys")
_AMOUNTS = (*EFFORT, "labelled")


def annotator_name(text: str) -> str:
    """The name of a person, without spaces around it; a ValueError says what one is."""
    name = text.strip()
    if not (1 <= len(name) <= NAME_LENGTH and name.isprintable()):
        raise ValueError(f"a name of 1 to {NAME_LENGTH} printable characters")
    if name in PROGRAMS:
        raise ValueError(f"a person's name: {', '.join(PROGRAMS)} are programs'")
    return name


def _is_number(value) -> bool:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return known and math.isfinite(value)


def _is_amount(value) -> bool:
    return value is None or (_is_number(value) and value >= 0)


def _is_item(entry) -> bool:
    """Whether an entry of `items` says all that the figures of effort read."""
    return (
        isinstance(entry, dict)
        and {"item", "action", "class", "shown", "accepted", *EFFORT} <= entry.keys()
        and isinstance(entry["item"], int)
        and entry["action"] in _ACTIONS
        and (isinstance(entry["class"], int) or entry["action"] != "class")
        and all(entry[key] is not None and _is_amount(entry[key]) for key in EFFORT)
    )


def _are_items(value) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(map(_is_item, value)))


def _is_text(value) -> bool:
    return isinstance(value, str)


def _is_review(value) -> bool:
    return value is None or (
        isinstance(value, dict) and all(_is_amount(value.get(key)) for key in EFFORT)
    )


def _is_agreement(value) -> bool:
    """Whether it is what `labels.agreement` says of one image, where it says anything."""
    if value is None:
        return True
    if not (isinstance(value, dict) and {"pixels", "agree", "kappa"} <= value.keys()):
        return False
    pixels, agree, kappa = (value[key] for key in ("pixels", "agree", "kappa"))
    return (
        pixels is not None
        and _is_amount(pixels)
        and (_is_number(agree) or (agree is None and pixels == 0))
        and (kappa is None or _is_number(kappa))
    )


CHECKS = (
    ("status", lambda value: value in (ANSWERED, SKIPPED), f'"{ANSWERED}" or "{SKIPPED}"'),
    ("annotator", _is_text, "a name"),
    *((key, _is_amount, "a number that is not negative, or null") for key in _AMOUNTS),
    (
        "items",
        _are_items,
        "a list of {item, action, class, seconds, clicks, keys, shown, accepted}",
    ),
    ("reviewer", lambda value: value is None or _is_text(value), "a name, or null"),
    ("review", _is_review, "{seconds, clicks, keys}, or null"),
    ("agreement", _is_agreement, "{pixels, agree, kappa}, or null"),
)
"""(key, whether a value of it is possible, what to write) for each key that is read."""
