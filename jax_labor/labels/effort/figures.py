"""What labelling costs people, from the answer files of a run's rounds alone."""

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.labels.agreement import combine
from jax_labor.labels.answer_checks import EFFORT, PROGRAMS
from jax_labor.labels.store import ANSWERED, Round

SEVERAL = "(several classes)"
UNSURE = "(unsure)"
SKIPPED_ITEM = "(skipped)"
TAKEN_BACK = "(taken back)"  # undone, and the image then skipped
_UNTIMED = dict.fromkeys(EFFORT)
_UNSAID = dict.fromkeys((*EFFORT, "labelled", "items", "reviewer", "review", "agreement"))
_SUGGESTION = ("shown", "accepted", "corrected")


def human_answers(round_: Round) -> list[dict]:
    """Contents of answers/NAME.json of every image that a person answered or skipped, so far.

    `items` is reduced to one entry an item, see `final_items`. What another program said nothing
    of is None (no `items`: empty). An image whose `seconds` are 0 was not timed (an import from
    another tool): `seconds`, `clicks` and `keys` are then None; so those of `review`, which every
    image with a reviewer has.
    """
    with ThreadPoolExecutor() as pool:  # in a bucket each takes as long as many on a disk
        found = pool.map(functools.partial(_human_answer, round_), round_.answered())
        return [facts for facts in found if facts is not None]


def _human_answer(round_: Round, name: str) -> dict | None:
    facts = round_.answer_facts(name)
    if facts["annotator"] in PROGRAMS:
        return None
    facts = _UNSAID | facts
    if facts["labelled"] is None:
        facts["labelled"] = int((round_.read_answer(name) != IGNORE).sum())
    facts["items"] = final_items(facts["items"] or ())
    facts |= _effort(facts)
    # An older file has the review's effort in its sums, and no `review`.
    reviewed = facts["reviewer"] is not None
    facts["review"] = _effort(facts["review"] or {}) if reviewed else None
    return facts


def _effort(facts: dict) -> dict:
    """Seconds, clicks and keys, all None where nobody took the time."""
    return {key: facts.get(key) for key in EFFORT} if facts.get("seconds") else _UNTIMED


def final_items(log: Iterable[dict]) -> list[dict]:
    """One entry for each item: what was said last, with the effort of every time it was answered.

    Adds `corrected`: the model's suggestion was accepted at first and replaced later.
    """
    final: dict[int, dict] = {}
    for entry in log:
        before = final.get(entry["item"])
        now = {"corrected": False, **entry}
        if before is not None:
            for key in EFFORT:
                now[key] += before[key]
            taken_back = before["accepted"] and not now["accepted"]
            now["corrected"] |= before["corrected"] or taken_back
        final[entry["item"]] = now
    return list(final.values())


def summary(rounds: Iterable[Round]) -> dict:
    """The human effort in `rounds`, for results.json; see `totals`."""
    return totals([facts for round_ in rounds for facts in human_answers(round_)])


def totals(images: Sequence[dict]) -> dict:
    """Sums over `images`, each as of `human_answers`.

    Returns:
        annotators, reviewers among them;
        images_answered, images_skipped, images_timed, images_reviewed;
        items, and of these unsure, skipped, shown (the model's suggestion was visible), accepted,
        corrected (accepted at first, replaced later);
        labelled_pixels;
        seconds, clicks, keys: of the timed images that say them, their reviews included, None when
        there are none;
        pixels_per_second: labelled pixels of the timed images over their seconds, those spent on
        images that were skipped in the end included.
    """
    items = [item for facts in images for item in facts["items"]]
    timed = [facts for facts in images if _spent(facts, "seconds") is not None]
    seconds = _sum(timed, "seconds")
    answered = [facts for facts in images if facts["status"] == ANSWERED]
    people = {facts["annotator"] for facts in images}
    people |= {facts["reviewer"] for facts in images if facts["review"]}
    return {
        "annotators": len(people),
        "images_answered": len(answered),
        "images_skipped": len(images) - len(answered),
        "images_timed": len(timed),
        "images_reviewed": sum(facts["reviewer"] is not None for facts in images),
        "items": len(items),
        "unsure": sum(item["action"] == "unsure" for item in items),
        "skipped": sum(item["action"] == "skip" for item in items),
        **{key: sum(bool(item[key]) for item in items) for key in _SUGGESTION},
        "labelled_pixels": _labelled(images),
        "seconds": seconds,
        "clicks": _sum(timed, "clicks"),
        "keys": _sum(timed, "keys"),
        "pixels_per_second": _labelled(timed) / seconds if seconds else None,
    }


def by(images: Sequence[dict], key: str) -> dict[str, dict]:
    """`totals` and what one image and one item cost, of the images that share `key`.

    Returns:
        value of `key` -> totals with seconds_per_image, seconds_per_item: quartiles (lower, median,
        upper), clicks_per_image and keys_per_image: means, and hours_per_1000_images from the mean,
        all of labelling without review; None without a timed one.
    """
    groups = defaultdict(list)
    for facts in images:
        groups[str(facts[key])].append(facts)
    return {value: totals(group) | _costs(group) for value, group in sorted(groups.items())}


def by_annotator(images: Sequence[dict]) -> dict[str, dict]:
    """`by` each person; what somebody reviewed is in a row of its own, "NAME (review)"."""
    first = [facts | {"review": None} for facts in images]
    second = [_as_reviewed(facts) for facts in images if facts["review"]]
    return by(first + second, "annotator")


def _as_reviewed(facts: dict) -> dict:
    """An image as its reviewer's work."""
    alone = {"annotator": f"{facts['reviewer']} (review)", "items": [], "review": None}
    return facts | facts["review"] | alone


def _costs(images: Sequence[dict]) -> dict:
    timed = [facts for facts in images if facts["seconds"] is not None]
    seconds = image_seconds(images)
    return {
        "seconds_per_image": quartiles(seconds),
        "seconds_per_item": quartiles([s for facts in timed for s in _item_seconds(facts)]),
        "clicks_per_image": _mean(_known(timed, "clicks")),
        "keys_per_image": _mean(_known(timed, "keys")),
        "hours_per_1000_images": float(np.mean(seconds)) / 3.6 if seconds else None,
    }


def image_seconds(images: Iterable[dict]) -> list[float]:
    """Seconds of each timed image that was answered, not skipped."""
    return [f["seconds"] for f in images if f["status"] == ANSWERED and f["seconds"] is not None]


def by_class(images: Sequence[dict]) -> dict[str, dict]:
    """Items by the name of the class they were given; the most frequent first.

    An item of several classes (a patch), an unsure and a skipped one have rows of their own.

    Args:
        images: as of `human_answers`, each with `classes`, the names of its round.

    Returns:
        name -> items, seconds (quartiles of one item), clicks and keys (means), shown, accepted,
        corrected; the three costs None where no item is timed.
    """
    groups = defaultdict(list)
    for facts in images:
        timed = facts["seconds"] is not None
        for item in facts["items"]:
            groups[_class_name(item, facts["classes"])].append((item, timed))
    rows = {name: _class_row(group) for name, group in groups.items()}
    return dict(sorted(rows.items(), key=lambda row: (row[0][0] == "(", -row[1]["items"], row[0])))


def seconds_by_class(images: Sequence[dict]) -> dict[str, list[float]]:
    """Seconds of each timed item by the class it was given, in the order of `by_class`."""
    found = {name: [] for name in by_class(images)}
    for facts in images:
        for item in facts["items"] if facts["seconds"] is not None else ():
            found[_class_name(item, facts["classes"])].append(item["seconds"])
    return found


def _class_name(item: dict, names: Sequence[str]) -> str:
    special = {"unsure": UNSURE, "skip": SKIPPED_ITEM, "patch": SEVERAL, None: TAKEN_BACK}
    return special[item["action"]] if item["action"] in special else names[item["class"]]


def _class_row(group: Sequence[tuple[dict, bool]]) -> dict:
    timed = [item for item, is_timed in group if is_timed]
    return {
        "items": len(group),
        "seconds": quartiles([item["seconds"] for item in timed]),
        "clicks": _mean([item["clicks"] for item in timed]),
        "keys": _mean([item["keys"] for item in timed]),
        **{key: sum(bool(item[key]) for item, _ in group) for key in _SUGGESTION},
    }


OUTCOMES = ("accepted", "replaced", "not shown", "unsure or skipped")


def by_suggestion(images: Sequence[dict]) -> dict[str, list[float]]:
    """Seconds of each timed item, by what became of the model's suggestion (see `OUTCOMES`)."""
    found = {outcome: [] for outcome in OUTCOMES}
    for facts in images:
        for item in facts["items"] if facts["seconds"] is not None else ():
            found[_outcome(item)].append(item["seconds"])
    return found


def _outcome(item: dict) -> str:
    if item["action"] in ("unsure", "skip", None):
        return "unsure or skipped"
    if not item["shown"]:
        return "not shown"
    return "accepted" if item["accepted"] else "replaced"


def pace(images: Sequence[dict]) -> dict[str, list[float]]:
    """How fast each person went: seconds per item of their timed images, in order of `finished`.

    An image without items (it was answered as a whole) counts as one item. Where there are several
    kinds of query, a person has a curve for each.
    """
    found = defaultdict(list)
    several = len({facts["kind"] for facts in images}) > 1
    for facts in sorted(images, key=lambda f: f["finished"]):
        if facts["status"] == ANSWERED and facts["seconds"] is not None:
            whose = f"{facts['annotator']}, {facts['kind']}" if several else facts["annotator"]
            found[whose].append(facts["seconds"] / max(len(facts["items"]), 1))
    return dict(sorted(found.items()))


def gain(curve: Sequence[float]) -> dict | None:
    """Medians of the first and of the last quarter of a `pace`; None for fewer than 8 images."""
    quarter = len(curve) // 4
    if quarter < 2:
        return None
    first, last = np.median(curve[:quarter]), np.median(curve[-quarter:])
    return {"first_quarter": float(first), "last_quarter": float(last)}


def reviews(images: Sequence[dict]) -> dict[str, dict]:
    """`agreement.combine` of the reviewed images, for each pair of people and for all."""
    pairs = defaultdict(list)
    for facts in images:
        if facts["agreement"] is not None:
            pairs[f"{facts['annotator']} / {facts['reviewer']}"].append(facts["agreement"])
    if len(pairs) > 1:
        pairs["all"] = [fact for pair in pairs.values() for fact in pair]
    return {pair: combine(facts) for pair, facts in pairs.items()}


def quartiles(values: Sequence[float]) -> list[float] | None:
    """[lower quartile, median, upper quartile]; None of nothing."""
    return np.percentile(values, [25, 50, 75]).tolist() if len(values) else None


def _item_seconds(facts: dict) -> list[float]:
    return [item["seconds"] for item in facts["items"]]


def _labelled(images: Sequence[dict]) -> int:
    """Labelled pixels that count: what is painted in a skipped image does not."""
    return sum(facts["labelled"] for facts in images if facts["status"] == ANSWERED)


def _sum(images: Sequence[dict], key: str) -> float | None:
    """Of labelling and review together."""
    known = [spent for facts in images if (spent := _spent(facts, key)) is not None]
    return sum(known) if known else None


def _spent(facts: dict, key: str) -> float | None:
    """What all people spent on one image, as far as it is known; None where nothing is."""
    known = _known([facts, facts["review"] or _UNTIMED], key)
    return sum(known) if known else None


def _known(images: Sequence[dict], key: str) -> list[float]:
    return [facts[key] for facts in images if facts[key] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
