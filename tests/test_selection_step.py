"""The step that chooses pixels: budgets, pixels asked before, and PPL's turns over rounds."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.classes import IGNORE
from jax_labor.models.segmenter import Outputs
from jax_labor.steps.select import PROBS, STRATEGIES, make_choice, make_proposal

pytestmark = pytest.mark.usefixtures("quick_compilation")
CLASSES, SIZE = 5, (12, 10)


class Fixed:
    """In a network's place: outputs that do not depend on the images."""

    def __init__(self, rng):
        heads = 2 * rng.standard_normal((3, 2, *SIZE, CLASSES)).astype(np.float32)
        self.outputs = Outputs(heads[0], None, heads[1], heads[2], {})

    def apply(self, variables, images, train):
        assert not train
        return self.outputs


def selection(rng, strategy, window=(1, 1), **settings):
    rounds = types.SimpleNamespace(strategy=strategy, points=0, per_class=False)
    rounds.similarity, rounds.probs, rounds.class_of_pixel = "cosine", "mean", "mean"
    rounds.radius, rounds.pick, rounds.cut = *window, "top"
    vars(rounds).update(settings)
    model = Fixed(rng)
    propose, choose = make_proposal(model, strategy), make_choice(rounds, align_corners=False)
    return jax.jit(lambda v, image, batch: choose(propose(v, image), batch)), model.outputs


def ask(step, available, budget, seed=0):
    keys = jax.random.split(jax.random.key(seed), 2)
    batch = dict(available=available, budget=budget, key=keys)
    return jax.device_get(step({"params": {}, "batch_stats": {}}, jnp.zeros((2, 4, 4, 3)), batch))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_asks_within_its_budget_what_was_not_asked_before(rng, strategy):
    step, outputs = selection(rng, strategy, points=12 if strategy == "ppl" else 0)
    available = rng.random((2, *SIZE)) < 0.7
    budget = np.array([7, 0], np.int32)
    guess, points = ask(step, available, budget)
    asked = guess != IGNORE
    np.testing.assert_array_equal(asked.sum((1, 2)), budget)
    assert available[asked].all()
    np.testing.assert_array_equal(guess[asked], outputs.main.argmax(-1)[asked])
    assert points.shape == (2, 12 if strategy == "ppl" else 0)
    if strategy == "ppl":
        np.testing.assert_array_equal(np.sort(points[0])[-7:], np.flatnonzero(asked[0]))


def test_a_mask_beyond_the_budget_is_cut_by_discrepancy_or_evenly(rng):
    budget, everything = np.array([20, 20], np.int32), np.ones((2, *SIZE), bool)
    times = {"top": np.zeros((2, *SIZE), int), "random": np.zeros((2, *SIZE), int)}
    for cut, counts in times.items():
        step, outputs = selection(rng, "spl", cut=cut)
        first, second = (oracles.softmax(np.float64(x)) for x in outputs[2:4])
        mask = first.argmax(-1) != second.argmax(-1)
        discrepancy = np.abs(first - second).mean(-1)
        assert (mask.sum((1, 2)) > 40).all()
        for seed in range(60):
            guess, _ = ask(step, everything, budget, seed)
            counts += guess != IGNORE
        assert not counts[~mask].any()
        np.testing.assert_array_equal(counts.sum((1, 2)), 60 * 20)
        if cut == "top":
            for image in range(2):
                asked = counts[image] == 60
                assert asked.sum() == 20
                left = mask[image] & ~asked
                assert discrepancy[image][asked].min() > discrepancy[image][left].max()
        else:  # every pixel of the mask has its turn
            assert (counts[mask] > 0).all() and counts.max() < 60


def test_points_of_all_rounds_together_are_of_all_classes_alike(rng):
    step, outputs = selection(rng, "ppl", points=10)
    mean = jax.nn.softmax(outputs.classifier1) + jax.nn.softmax(outputs.classifier2)
    classes = np.asarray(mean.argmax(-1))
    available, found = np.ones((2, *SIZE), bool), []
    for _ in range(5):  # two of five classes a round
        guess, _ = ask(step, available, np.array([2, 2], np.int32))
        found.append(classes[0][guess[0] != IGNORE])
        available &= guess == IGNORE
    assert sorted(found[0]) == [0, 1]
    np.testing.assert_array_equal(np.bincount(np.concatenate(found)), [2] * CLASSES)


def test_points_of_every_class(rng):
    step, outputs = selection(rng, "ppl", points=2, per_class=True)
    available, most = np.ones((2, *SIZE), bool), np.array([2 * CLASSES * 3] * 2, np.int32)
    first, second = (oracles.softmax(np.float64(x)) for x in outputs[2:4])
    mask, classes = first.argmax(-1) != second.argmax(-1), (first + second).argmax(-1)
    for _ in range(2):
        left = [np.bincount(k[m], minlength=CLASSES) for k, m in zip(classes, mask, strict=True)]
        guess, points = ask(step, available, most)
        assert points.shape == (2, 2 * CLASSES)
        for k, asked, free in zip(classes, guess != IGNORE, left, strict=True):
            np.testing.assert_array_equal(
                np.bincount(k[asked], minlength=CLASSES), np.minimum(free, 2)
            )
        mask &= guess == IGNORE
        available &= guess == IGNORE


@pytest.mark.parametrize("probs", PROBS)
def test_points_are_near_the_prototypes_of_the_named_probabilities(rng, probs):
    step, outputs = selection(rng, "ppl", points=10, probs=probs)
    _, points = ask(step, np.ones((2, *SIZE), bool), np.array([10, 10], np.int32))
    heads = outputs.main, outputs.classifier1, outputs.classifier2
    main, first, second = (oracles.softmax(np.float64(x)) for x in heads)
    chosen = {"mean": (first + second) / 2, "c1": first, "c2": second, "segmenter": main}[probs]
    mask, classes = first.argmax(-1) != second.argmax(-1), (first + second).argmax(-1)
    for p, k, candidates, found in zip(chosen, classes, mask, points, strict=True):
        assert found.tolist() == oracles.ppl(p, k, candidates, 10, False, "cosine")


@pytest.mark.parametrize(
    "settings",
    [
        {"class_of_pixel": "c1"},
        {"class_of_pixel": "c2"},
        {"class_of_pixel": "both"},
        {"similarity": "l2"},
        {"similarity": "kl"},
    ],
)
def test_points_are_as_the_settings_say(rng, settings):
    step, outputs = selection(rng, "ppl", points=10, **settings)
    _, points = ask(step, np.ones((2, *SIZE), bool), np.array([10, 10], np.int32))
    first, second = (oracles.softmax(np.float64(x)) for x in outputs[2:4])
    of_each = np.stack([first.argmax(-1), second.argmax(-1)], 1)
    which = settings.get("class_of_pixel", "mean")
    classes = (first + second).argmax(-1) if which == "mean" else of_each
    classes = {"c1": of_each[:, 0], "c2": of_each[:, 1]}.get(which, classes)
    kind, mean = settings.get("similarity", "cosine"), (first + second) / 2
    for p, k, pair, found in zip(mean, classes, of_each, points, strict=True):
        assert found.tolist() == oracles.ppl(p, k, pair[0] != pair[1], 10, False, kind)


@pytest.mark.parametrize(("window", "apart"), [((1, 1), 3), ((4, 0), 5)])
def test_regions_of_all_rounds_keep_their_distance(rng, window, apart):
    step, _ = selection(rng, "ripu", window=window)
    size = (2 * window[1] + 1) ** 2
    available, centres = np.ones((2, *SIZE), bool), []
    for _ in range(2):
        guess, _ = ask(step, available, np.array([size, size], np.int32))
        asked = guess[0] != IGNORE
        centres.append(np.argwhere(asked).mean(0))
        available &= guess == IGNORE
    assert np.abs(centres[0] - centres[1]).max() >= apart


@pytest.mark.parametrize("image", [0, 1])
def test_a_region_of_another_round_is_kept_clear(rng, image):
    """Its edge counts, not its centre: a pixel beside the best region was asked before."""
    step, outputs = selection(rng, "ripu")
    probs = oracles.softmax(outputs.main[image].astype(float))
    score = oracles.region_impurity(probs, 1, 1)
    best = np.unravel_index(score.argmax(), SIZE)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for pixel in np.argwhere(np.maximum(abs(y - best[0]), abs(x - best[1])) <= 2):
        available = np.ones((2, *SIZE), bool)
        available[:, *pixel] = False
        guess, _ = ask(step, available, np.array([9, 9], np.int32))
        clear = np.maximum(abs(y - pixel[0]), abs(x - pixel[1])) > 1
        centre = np.unravel_index(np.where(clear, score, -np.inf).argmax(), SIZE)
        window = np.maximum(abs(y - centre[0]), abs(x - centre[1])) <= 1
        assert (guess[image] != IGNORE)[window].all()


def test_where_no_point_keeps_its_distance_the_best_are_asked(rng):
    step, outputs = selection(rng, "ripu", window=(12, 0))  # no two fit into 12x10 pixels
    available = np.ones((2, *SIZE), bool)
    available[:, 5, 5] = False
    guess, _ = ask(step, available, np.array([4, 4], np.int32))
    for logits, chosen in zip(outputs.main, guess, strict=True):
        score = oracles.region_impurity(oracles.softmax(logits.astype(float)), 12, 0)
        score[5, 5] = -np.inf
        best = np.argsort(-score, axis=None)[:4]
        np.testing.assert_array_equal(np.flatnonzero(chosen != IGNORE), np.sort(best))


def test_a_point_is_scored_by_its_own_entropy_and_its_region_s_impurity(rng):
    step, outputs = selection(rng, "ripu", window=(4, 0))
    guess, _ = ask(step, np.ones((2, *SIZE), bool), np.array([1, 1], np.int32))
    for logits, chosen in zip(outputs.main, guess, strict=True):
        score = oracles.region_impurity(oracles.softmax(logits.astype(float)), 4, 0)
        assert (chosen != IGNORE).argmax() == score.argmax()
