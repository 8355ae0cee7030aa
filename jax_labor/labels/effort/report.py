"""The report on human effort: a table, effort.json and pictures."""

from collections.abc import Sequence

from etils import epath

from jax_labor.errors import UserError
from jax_labor.files import write_bytes, write_json, write_text
from jax_labor.labels.effort import figures, pictures
from jax_labor.labels.store import open_rounds
from jax_labor.tables import table

NOBODY = "No person has answered anything here: the answers, if any, are ground truth."


def write_report(workdir: epath.PathLike, out: epath.PathLike, beside: Sequence = ()) -> str:
    """Writes effort.json, effort.txt and pictures into `out`; returns the text.

    Only answers that stand in files count: an image that somebody is still labelling does not.

    Args:
        workdir: the run whose rounds are read.
        out: folder to write into.
        beside: workdirs of more runs to count with it, so that kinds of query that no single run
            has can be compared.

    Raises:
        UserError: a workdir has no rounds, or a file of a round cannot be read.
    """
    images = [facts for run in (workdir, *beside) for facts in read(run)]
    content = report(images)
    text = as_text(content) if images else NOBODY
    out = epath.Path(out)
    write_json(out / "effort.json", content)
    write_text(out / "effort.txt", text + "\n")
    for name, picture in pictures.draw(images).items():
        write_bytes(out / f"{name}.png", picture)
    return text


def read(workdir: epath.PathLike) -> list[dict]:
    """`figures.human_answers` of every open or closed round of a run.

    Each also has its round, the query's kind and asked pixels, the names of its classes, and
    `finished`, the time of its answer's file in seconds.
    """
    rounds = open_rounds(workdir)
    if not rounds:
        raise UserError(f"{workdir}: there is no rounds/NNN in it. Give the workdir of a run.")
    images = []
    for round_ in rounds:
        classes = [entry["name"] for entry in round_.facts().get("classes", ())]
        for facts in figures.human_answers(round_):
            query = round_.query_facts(facts["name"])
            path = round_.folder / "answers" / f"{facts['name']}.json"
            facts |= {"round": round_.number, "classes": classes, "finished": path.stat().mtime}
            images.append(facts | {"kind": query["kind"], "asked": query["asked"]})
    return images


def report(images: Sequence[dict]) -> dict:
    """Everything that effort.json holds, of `images` as of `read`."""
    curves = figures.pace(images)
    outcomes = figures.by_suggestion(images)
    return {
        "total": figures.totals(images),
        "by_kind": figures.by(images, "kind"),
        "by_round": figures.by(images, "round"),
        "by_annotator": figures.by_annotator(images),
        "by_class": figures.by_class(images),
        "by_suggestion": {
            outcome: {"items": len(values), "seconds": figures.quartiles(values)}
            for outcome, values in outcomes.items()
        },
        "pace": {
            person: {"seconds_per_item": curve, "gain": figures.gain(curve)}
            for person, curve in curves.items()
        },
        "reviews": figures.reviews(images),
    }


def as_text(content: dict) -> str:
    """The tables of `report`, for a terminal."""
    parts = [_headline(content["total"])]
    for key, title in (("by_kind", "query"), ("by_round", "round"), ("by_annotator", "annotator")):
        rows = [_cost_row(name, row) for name, row in content[key].items()]
        if key == "by_kind" or len(rows) > 1:
            parts.append(table(rows, [title, *_COST_COLUMNS]))
    rows = [_class_row(name, row) for name, row in content["by_class"].items()]
    if rows:
        parts.append(table(rows, _CLASS_COLUMNS))
    rows = [_outcome_row(name, row) for name, row in content["by_suggestion"].items()]
    if any(row[1] for row in rows):
        parts.append(table(rows, ["suggestion", "items", "s/item", "(quartiles)"]))
    rows = [
        [person, fact["gain"]["first_quarter"], fact["gain"]["last_quarter"]]
        for person, fact in content["pace"].items()
        if fact["gain"]
    ]
    if rows:
        parts.append(table(rows, ["pace", "s/item, first quarter", "last quarter"]))
    rows = [
        [pair, fact["images"], fact["pixels"], _percent(fact["agree"]), fact["kappa"]]
        for pair, fact in content["reviews"].items()
    ]
    if rows:
        parts.append(table(rows, ["review", "images", "pixels", "agree", "kappa"]))
    return "\n\n".join(parts)


def _headline(total: dict) -> str:
    spent = "nobody's time is known"
    if total["seconds"] is not None:
        acts = [f", {total[key]} {key}" for key in ("clicks", "keys") if total[key] is not None]
        spent = (
            f"{duration(total['seconds'])}{''.join(acts)} (images timed: {total['images_timed']}),"
            f" {total['pixels_per_second']:.2f} labelled pixels per second"
        )
    people = "1 person" if total["annotators"] == 1 else f"{total['annotators']} people"
    return (
        f"{total['images_answered']} images answered and {total['images_skipped']} skipped by"
        f" {people}: {spent}.\n{total['items']} items: {total['unsure']} unsure and"
        f" {total['skipped']} skipped; suggestion shown for {total['shown']}, accepted for"
        f" {total['accepted']}, accepted at first but corrected later for {total['corrected']}."
    )


_COST_COLUMNS = [
    "images",
    "skipped",
    "items",
    "s/image",
    "(quartiles)",
    "s/item",
    "clicks/image",
    "keys/image",
    "pixels/s",
    "h/1000 images",
]


def _cost_row(name: str, row: dict) -> list:
    image, item = row["seconds_per_image"], row["seconds_per_item"]
    return [
        name,
        row["images_answered"],
        row["images_skipped"],
        row["items"],
        image and image[1],
        _spread(image),
        item and item[1],
        row["clicks_per_image"],
        row["keys_per_image"],
        row["pixels_per_second"],
        row["hours_per_1000_images"],
    ]


_CLASS_COLUMNS = [
    "class",
    "items",
    "s/item",
    "(quartiles)",
    "clicks",
    "keys",
    "shown",
    "accepted",
    "corrected",
]


def _class_row(name: str, row: dict) -> list:
    cost = [row["seconds"] and row["seconds"][1], _spread(row["seconds"])]
    counts = [row["shown"], row["accepted"], row["corrected"]]
    return [name, row["items"], *cost, row["clicks"], row["keys"], *counts]


def _outcome_row(name: str, row: dict) -> list:
    return [name, row["items"], row["seconds"] and row["seconds"][1], _spread(row["seconds"])]


def _spread(quartiles: Sequence[float] | None) -> str | None:
    return quartiles and f"{quartiles[0]:.2f}..{quartiles[2]:.2f}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min 05 s, 2 h 07 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
