"""The card of a written data set: its content, its labels' uncertainty, and its looks."""

import textwrap

import jax
import numpy as np
from matplotlib import colormaps

from jax_labor.classes import IGNORE
from jax_labor.data import catalogue, generated
from jax_labor.engine.pictures import Panel, colourise, save_sheet
from jax_labor.files import write_bytes, write_json, write_text
from jax_labor.plots import new_figure, png
from jax_labor.steps.pixel_labels import make_labelling, to_picture
from jax_labor.tables import table as text_table

_ROWS, _HEIGHT = 8, 192
_UNCERTAIN = colormaps["magma"]


def write_card(folder, maker, labelled, table) -> None:
    """Writes README.md, card.json, sheet.png, labelled.png and scores.png into `folder`.

    card.json is last: a card without it is written again.

    Args:
        folder: the folder of a finished data set.
        maker: the Maker that made it.
        labelled: the LabelledSamples that the classifiers learned from; None when they were read.
        table: the classes.
    """
    facts = generated.statistics(folder)
    _draw_sheet(folder, maker, table, facts["scores"])
    if labelled:
        facts["agreement"] = _draw_labelled(folder, maker, labelled, table)
    write_bytes(folder / "scores.png", _draw_scores(facts))
    facts["generator"] = {"source": maker.generator.source, "sha256": maker.generator.checksum}
    facts["factory"] = dict(maker.settings)
    write_text(folder / "README.md", _words(facts))
    write_json(folder / "card.json", facts)


def _draw_sheet(folder, maker, table, scores) -> None:
    """Kept and dropped candidates, from the most to the least certain of each."""
    names = catalogue.load(
        generated.NAME, root=str(folder), split=generated.TRAIN, classes=""
    ).names
    kept = np.array([int(name.rpartition("-")[2]) for name in names])
    dropped = np.setdiff1d(np.arange(len(kept) + len(scores["dropped"])), kept)
    halves = []
    for numbers, score in ((kept, scores["kept"]), (dropped, scores["dropped"])):
        order = numbers[np.argsort(score, kind="stable")]
        places = np.linspace(0, len(order) - 1, min(_ROWS, len(order))).astype(int)
        made = maker.make(order[places]) if len(order) else None
        halves.append(_panels(made, table) if made else [])
    empty = [None, None, None]
    halves = [half + [empty] * (_ROWS - len(half)) for half in halves]
    rows = [left + right for left, right in zip(*halves, strict=True)]
    columns = ("kept", "label", "uncertainty", "dropped", "label", "uncertainty")
    title = "from the most (top) to the least certain (bottom)"
    save_sheet(
        folder / "sheet.png", rows, columns, legend=table.legend(), title=title, height=_HEIGHT
    )


def _panels(made, table) -> list[list]:
    palette = table.palette()
    return [
        [image, Panel(colourise(label, palette), smooth=False), _heat(divergence)]
        for image, label, divergence in zip(*(made[key] for key in generated.PICTURES), strict=True)
    ]


def _draw_labelled(folder, maker, labelled, table) -> dict:
    """What was labelled beside what the classifiers say of it; returns their agreement."""
    settings = maker.settings
    size = labelled.labels.shape[1:]
    label = jax.jit(make_labelling(size, None, settings.voting, settings.score))
    said = label(maker.ensemble, labelled.maps)
    said = jax.device_get(said._replace(divergence=to_picture(said.divergence)))
    known = labelled.labels != IGNORE
    right = (said.label == labelled.labels) & known
    palette = table.palette()
    rows = [
        [
            image,
            *(Panel(colourise(x, palette), smooth=False) for x in (given, np.uint8(own))),
            _heat(heat),
        ]
        for image, given, own, heat in zip(
            labelled.images, labelled.labels, said.label, said.divergence, strict=True
        )
    ][:_ROWS]
    columns = ("sample", "labelled", "classifiers", "uncertainty")
    save_sheet(folder / "labelled.png", rows, columns, legend=table.legend(), height=_HEIGHT)
    return {"samples": len(labelled.names), "pixels": float(right.sum() / known.sum())}


def _heat(divergence: np.ndarray) -> Panel:
    """Black where the members agree, bright where they diverge by half a nat or more."""
    return Panel(_UNCERTAIN(divergence, bytes=True)[..., :3])


def _draw_scores(facts) -> bytes:
    """A PNG: histogram of the candidates' uncertainty, and the share of every class."""
    figure = new_figure((11, 4))
    left, right = figure.subplots(1, 2)
    kept, dropped = facts["scores"]["kept"], facts["scores"]["dropped"]
    bins = np.histogram_bin_edges([*kept, *dropped], 40)
    stacked = {"label": ["kept", "dropped"], "color": ["#2a78b5", "#d9822b"], "stacked": True}
    left.hist([kept, dropped], bins, **stacked)
    left.set(xlabel="uncertainty of the image, nats", ylabel="images")
    left.legend(frameon=False)
    names, figures = facts["classes"], facts["splits"]
    rows = np.arange(len(names))
    for index, (split, found) in enumerate(figures.items()):
        pixels = np.array(found["class_pixels"], float)
        right.barh(rows + 0.4 * index, 100 * pixels / max(pixels.sum(), 1), 0.4, label=split)
    right.set_yticks(rows + 0.2 * (len(figures) - 1), names)
    right.invert_yaxis()
    right.set(xlabel="pixels, %")
    right.legend(frameon=False)
    return png(figure)


def _words(facts) -> str:
    splits, names = facts["splits"], facts["classes"]
    rows = []
    for index, name in enumerate(names):
        row = [name]
        for found in splits.values():
            pixels = found["class_pixels"]
            share = 100 * pixels[index] / max(sum(pixels), 1)
            row += [f"{share:.2f}", str(found["class_images"][index])]
        rows.append(row)
    columns = ["class", *(f"{s}: {what}" for s in splits for what in ("pixels %", "images"))]
    scores = {name: np.array(values or [np.nan]) for name, values in facts["scores"].items()}
    agreement = facts.get("agreement")
    learned = "Its classifiers were read from files."
    if agreement:
        learned = (
            f"Its classifiers learned from {agreement['samples']} labelled samples (split"
            f" `labelled`) and agree with {100 * agreement['pixels']:.2f} % of their pixels:"
            " labelled.png."
        )
    return f"""# A generated, labelled data set

{splits["train"]["images"]} images of a generator ({facts["generator"]["source"]}, SHA-256
{facts["generator"]["sha256"]}) with labels read off its features by an ensemble of pixel
classifiers (DatasetGAN, Zhang et al., CVPR 2021). {learned}

{len(facts["scores"]["dropped"])} of {len(facts["scores"]["dropped"]) + splits["train"]["images"]}
candidates were dropped as the most uncertain. Uncertainty (Jensen-Shannon divergence, nats): kept
{scores["kept"].min():.4f} to {scores["kept"].max():.4f}: scores.png, sheet.png.

{textwrap.indent(text_table(rows, columns), "    ")}

Read it with TensorFlow Datasets alone:

    import tensorflow_datasets as tfds
    tfds.builder_from_directory("{generated.version_folder(".")}").as_data_source("train")

Its records are `image` uint8[H, W, 3], `label` uint8[H, W, 1] (the row of the table above, counted
from 0; 255 = void), `divergence` uint8[H, W, 1] (the uncertainty of each pixel, 500 to the nat; 255
is 0.51 nats or more), `name` and `score`, the image's uncertainty. The colours of the classes are
in `{generated.version_folder(".")}/metadata.json`.

or train on it: `--config.data.source.name=generated --config.data.source.root=THIS_FOLDER`, as an
absolute path.
"""
