"""Settings and data that cannot work are refused before any work is done."""

import dataclasses
import math

import pytest

from configs import common, datasetgan, spl, stylegan2
from jax_labor.classes import get_table
from jax_labor.errors import UserError
from jax_labor.experiments import labor
from jax_labor.experiments.assembly import build_network
from jax_labor.experiments.bounds import check_run
from jax_labor.experiments.checks import check_rounds, check_training
from jax_labor.experiments.folds import assign
from jax_labor.experiments.phases import labor_phases, segmentation_phases
from jax_labor.experiments.same_data import check_data, write_data
from jax_labor.files import read_json, write_json
from jax_labor.labels.budget import check_budget_of
from jax_labor.models import build_model


def changed(config, setting, value):
    with config.unlocked():
        *sections, leaf = setting.split(".")
        for section in sections:
            config = config[section]
        config[leaf] = value


@pytest.mark.parametrize("card", [spl, datasetgan, stylegan2])
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 10**30),
        ("train.log_every", 0),
        ("train.keep", 0),
        ("data.threads", -2),
        ("data.workers", -1),
    ],
)
def test_settings_that_no_run_can_have(card, setting, value):
    config = card.get_config()
    check_run(config)
    changed(config, setting, value)
    with pytest.raises(UserError, match=f"config.{setting} is {value}: use"):
        check_run(config)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_seeds_of_32_bits_are_taken(seed):
    config = spl.get_config()
    config.seed = seed
    check_run(config)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("train.steps", 0, "config.train.steps is 0: use 1"),
        ("train.steps", -3, "config.train.steps is -3: use 1"),
        ("data.eval_batch", 0, "config.data.eval_batch is 0: use 1"),
        ("data.source_view.size", (32,), "config.data.source_view.size="),
        ("data.source_view.size", None, "source_view.size and .*; they are None and"),
        ("data.target_view.size", (-4, 48), "config.data.target_view.size="),
        ("data.target_view.scale", (2.0, 0.5), "config.data.target_view.scale="),
        ("eval.size", (0, 64), "config.eval.size="),
        ("eval.size", (96, "x"), "config.eval.size="),
        ("eval.size", (96.5, 128), "config.eval.size="),
        ("data.target_view.crop_height", (None,), "config.data.target_view.crop_height="),
        ("data.target_view.scale", ("1", "2"), "config.data.target_view.scale="),
        ("eval.scales", (1.0, -1.0), "config.eval.scales=1.0,-1.0: give"),
        ("eval.scales", (None,), "config.eval.scales=None: give"),
        ("eval.scales", ("a", "b"), "config.eval.scales=a,b: give"),
        ("data.normalize", "cafe", "config.data.normalize is .cafe."),
        ("optimizer.decay_steps", -1, "config.optimizer.decay_steps is -1: use 0"),
        ("pseudo.rule", "argmin", "config.pseudo.rule"),
    ],
)
def test_settings_that_a_segmenter_cannot_have(setting, value, message):
    config = spl.get_config("demo")
    check_training(config)
    changed(config, setting, value)
    with pytest.raises(UserError, match=message):
        check_training(config)


def checked(config):
    """All checks of settings that need no data."""
    check_run(config)
    check_training(config)
    check_rounds(config)
    labor_phases(config)
    segmentation_phases(config)
    build_model(config.model, 5)
    assign("ab", config.eval.folds)


def numbers(config, prefix=""):
    for name, value in config.items():
        if name != "options":
            if hasattr(value, "items"):
                yield from numbers(value, f"{prefix}{name}.")
            elif type(value) in (int, float):
                yield prefix + name, value


@pytest.mark.parametrize(("setting", "value"), list(numbers(common.base())))
def test_no_number_is_negative_or_not_finite(setting, value):
    for wrong in (-1, None) if type(value) is int else (-1.0, math.nan, math.inf, None):
        config = spl.get_config("demo")
        config.rounds.strategy = "ripu"  # which alone reads radius and pick
        checked(config)
        changed(config, setting, wrong)
        with pytest.raises(UserError, match=setting.rpartition(".")[2]):
            checked(config)


def test_a_discrepancy_of_weights_does_not_reach_the_features():
    config = spl.get_config("demo")
    config.model.selector, config.loss.discrepancy_features = "own", True
    check_training(config)
    config.loss.discrepancy_kind = "cosine"
    with pytest.raises(UserError, match="config.loss.discrepancy_kind=l1"):
        check_training(config)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("width", 0),
        ("width", -8),
        ("dilations", (-1,)),
        ("dilations", (6, 0)),
        ("dilations", (None,)),
        ("dropout", 1.0),
    ],
)
def test_models_that_cannot_be(setting, value):
    settings = common.base().model
    changed(settings, setting, value)
    with pytest.raises(UserError, match=f"model.{setting}"):
        build_model(settings, 5)


def test_one_class_is_none():
    """As of masks of 0 and 255 by a classes file that names but one: 255 is void."""
    with pytest.raises(UserError, match="one class leaves nothing to tell apart. Name the backgr"):
        build_network(spl.get_config("demo"), 1)


@pytest.mark.parametrize(("strategy", "asked"), [("spl", True), ("ripu", False)])
def test_the_selector_is_trained_while_somebody_will_ask_it(strategy, asked):
    config = spl.get_config("demo")
    config.rounds.strategy = strategy
    warmup, *rounds, last = labor_phases(config)
    assert warmup.trains_selector  # the same for every strategy, which may share it
    assert [phase.trains_selector for phase in rounds] == [asked] * (config.rounds.count - 1)
    assert not last.trains_selector


def test_a_budget_must_be_one_for_its_images():
    check_budget_of((3, 4), share=1 / 12, points=0)
    check_budget_of((3, 4), share=0.0, points=12)
    with pytest.raises(UserError, match="share is 0.08: of 3x4 pixels that is not one. Use 0.083"):
        check_budget_of((3, 4), share=0.08, points=0)
    with pytest.raises(UserError, match="points is 13, but images have 3x4 = 12 pixels"):
        check_budget_of((3, 4), share=0.0, points=13)


@dataclasses.dataclass
class Records:
    sizes: list
    names: tuple = ("a", "b")
    has_labels: bool = True
    table: object = get_table("camvid11")
    digests: tuple = ("0123",)

    def __len__(self):
        return len(self.sizes)

    def size(self, index):
        return self.sizes[index]


def test_the_smallest_image_says_whether_a_budget_can_be():
    rounds = spl.get_config("demo").rounds
    labor._check_budget(rounds, Records([(30, 40), (20, 20)]))
    side = math.isqrt(int(1 / rounds.share))  # one pixel short of a whole one
    with pytest.raises(UserError, match=f"of {side}x{side} pixels that is not one"):
        labor._check_budget(rounds, Records([(30, 40), (side, side)]))


OTHERS = {
    "images": Records([(30, 40)] * 3, names=("a", "b", "c")),
    "sha256 of names and sizes": Records([(30, 40)] * 2, names=("a", "c")),
    "files": Records([(30, 40)] * 2, digests=("4567",)),
    "labels": Records([(30, 40)] * 2, has_labels=False),
    "classes": Records([(30, 40)] * 2, table=get_table("cityscapes19")),
}


@pytest.mark.parametrize("role", ["source", "target", "eval"])
@pytest.mark.parametrize("what", OTHERS)
def test_a_resume_with_other_data_is_refused(tmp_path, role, what):
    first = {role: Records([(30, 40)] * 2) for role in ("source", "target", "eval")}
    check_data(tmp_path, first)  # nothing to compare with yet
    write_data(tmp_path, first)
    check_data(tmp_path, first)
    other = first | {role: OTHERS[what]}
    with pytest.raises(UserError, match=f"other data:(.|\n)*- {role}.{what}: was .*, now") as error:
        check_data(tmp_path, other)
    assert "data.json" in str(error.value) and "--force" in str(error.value)
    check_data(tmp_path, other, force=True)
    kept = read_json(tmp_path / "data.json")
    for facts in kept.values():  # as earlier versions wrote it
        del facts["files"]
    write_json(tmp_path / "data.json", kept)
    check_data(tmp_path, first)
