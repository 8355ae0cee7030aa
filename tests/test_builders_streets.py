import numpy as np
import pytest

from jax_labor.data import streets
from jax_labor.data.builders import make_source
from jax_labor.data.catalogue import load
from jax_labor.errors import UserError

SMALL = {"height": 48, "width": 64, "train": 4, "val": 2}


def test_streets_are_what_the_renderer_draws(tmp_path):
    records = load(
        "streets", data_dir=str(tmp_path), split="train", classes="camvid11", options=SMALL
    )
    assert len(records) == 4 and records.names[0] == "source_train_00000"
    seed = make_source("streets", None, "camvid11", SMALL).scan("train").items[2].seed
    image, label = streets.render(seed, "source", (48, 64))
    np.testing.assert_array_equal(records[2]["image"], image)
    np.testing.assert_array_equal(records[2]["label"][..., 0], label)


def test_no_two_streams_share_scenes():
    seeds = set()
    for style in streets.STYLES:
        for seed in (0, 1):
            source = make_source("streets", None, "camvid11", {"style": style, "seed": seed})
            for split in source.splits():
                seeds |= {item.seed for item in source.scan(split).items}
    assert len(seeds) == 2 * 2 * (300 + 50 + 50)


def test_only_what_decides_the_content_changes_the_digest():
    def digest(split="train", **options):
        source = make_source("streets", None, "camvid11", SMALL | options)
        return source.digest(source.scan(split), split)

    same = digest()
    assert same == digest(val=9) and digest("val") != same
    others = [digest(**change) for change in (
        {"style": "target"}, {"height": 50}, {"width": 50}, {"train": 5}, {"seed": 1},
    )]  # fmt: skip
    assert len({same, *others}) == 6


@pytest.mark.parametrize("options,message", [
    ({"style": "night"}, "style is 'night': use source or target"),
    ({"height": 8}, "at least 16 a side"),
    ({"train": 0}, "at least 1"),
    ({"seed": -1}, "not negative"),
    ({"colour": 1}, "no option 'colour'; it has style, height"),
])  # fmt: skip
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        make_source("streets", None, "camvid11", options)
