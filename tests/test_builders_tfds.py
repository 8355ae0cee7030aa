"""Data sets that TFDS has prepared: read back equal, mistakes told, and fit for a generator."""

import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny_data
from small_gan import config

from configs import stylegan2
from jax_labor.classes import IGNORE
from jax_labor.data import report
from jax_labor.data.catalogue import load
from jax_labor.errors import UserError
from jax_labor.experiments.assembly import load_domain
from jax_labor.experiments.gan_assembly import Images
from jax_labor.pixels import encode_png

IDS = (0, 1, 2, 10, IGNORE)


class Pets(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A stranger's data set: an image, its ids as PNG and as an array, and a class."""

    name = "pets"
    VERSION = tfds.core.Version("2.0.0")
    url_infos = {}

    def _info(self):
        features = tfds.features.FeaturesDict({
            "image": tfds.features.Image(),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "ids": tfds.features.Tensor(shape=(None, None), dtype=np.int32, encoding="zlib"),
            "breed": tfds.features.ClassLabel(num_classes=2),
        })  # fmt: skip
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(3), "test": self._generate_examples(2)}

    def _generate_examples(self, count):
        for seed in range(count):
            ids = tiny_data.labels(seed, IDS)
            image, mask = encode_png(tiny_data.image(seed)), encode_png(ids)
            yield seed, {"image": image, "mask": mask, "ids": ids.astype(np.int32), "breed": 0}


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    builder = Pets(data_dir=tmp_path_factory.mktemp("tfds"), file_format="array_record")
    builder.download_and_prepare()
    return builder.data_path


@pytest.fixture
def read(pets, tmp_path):
    def load_it(split="train", classes="camvid11", root=pets, **options):
        return load("tfds", root=str(root), data_dir=str(tmp_path / "prepared"), split=split,
                    classes=classes, options=options)  # fmt: skip

    return load_it


def test_images_alone(read):
    records = read("train+test")
    assert len(records) == 5 and not records.has_labels and records.size(4) == (24, 32)
    assert records.names[2:4] == ("train-0000002", "test-0000000")
    np.testing.assert_array_equal(records[2]["image"], tiny_data.image(2))


@pytest.mark.parametrize("label", ["mask", "ids"])
def test_labels(read, label):
    records = read(label=label)
    expected = np.stack([tiny_data.labels(seed, IDS) for seed in range(3)])
    np.testing.assert_array_equal([records.label(i)[..., 0] for i in range(3)], expected)
    counts = np.bincount(expected.ravel(), minlength=256)[:11]
    np.testing.assert_array_equal(records.class_pixels, counts)
    assert not read(label=label, unlabelled=True).has_labels
    assert read(label=label, size=(12, 16)).label(0).shape == (12, 16, 1)


def test_ids_outside_the_table(read, pets):
    with pytest.raises(UserError, match="2 problems(.|\n)*test-0000001: .*id 10 .*0-7, 255"):
        read("test", "ccp8", label="ids")
    request = report.Request("tfds", str(pets), "ccp8", "test", {"label": "mask"})
    assert "test-0000000: data set 'tfds': unknown id 10" in report.check(request)[0]


def test_classes_of_its_own(read, pets, tmp_path):
    """Of which ids outside TFDS's labels may be ignored too."""
    folder = shutil.copytree(pets, tmp_path / "own/pets/2.0.0")
    (folder / "classes.json").write_text('{"classes": ["ear", "nose", "tail"], "ignore": 10}')
    records = read("test", "own", folder, label="mask")
    assert records.table.names == ("ear", "nose", "tail")
    expected = tiny_data.labels(1, IDS)
    expected[expected == 10] = IGNORE
    np.testing.assert_array_equal(records.label(1)[..., 0], expected)
    with pytest.raises(UserError, match="classes.json has the classes ear"):
        read("test", "camvid11", folder, label="mask")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "photo"}, r"no feature 'photo' that is an image; .* mask .Image.*options.image"),
        ({"image": "breed"}, r"no feature 'breed' that is an image; .* breed .ClassLabel."),
        ({"label": "segm"}, r"no feature 'segm' that is a map.* ids .Tensor.*options.label"),
        ({"label": "breed"}, "no feature 'breed' that is a map"),
        ({"label": "image"}, "no feature 'image' that is a map"),
        ({"split": "val"}, "no split 'val'; it has train, test"),
        ({"classes": "own"}, "there is no classes.json or classes.txt in .*2.0.0"),
        ({"classes": "camvid"}, "no class table 'camvid'. Did you mean"),
    ],
)
def test_mistakes(read, options, message):
    with pytest.raises(UserError, match=message):
        read(**options)


def test_other_files_than_array_record(read, pets, tmp_path):
    info = json.loads((pets / "dataset_info.json").read_text()) | {"fileFormat": "tfrecord"}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "features.json").write_text((pets / "features.json").read_text())
    with pytest.raises(UserError, match="are tfrecord, .* anew with file_format='array_record'"):
        read(root=tmp_path)


def test_files_that_are_damaged_or_missing(read, pets, tmp_path):
    root = shutil.copytree(pets, tmp_path / "copy")
    (shard,) = root.glob("pets-train*")
    tiny_data.truncate(shard)
    with pytest.raises(UserError, match="train-0000000: cannot be read .*its file is damaged"):
        read(root=root)
    shard.unlink()
    with pytest.raises(UserError, match=f"{shard.name}: is missing"):
        read(root=root)
    assert len(read("test", root=root)) == 2


def test_a_split_without_records(read, pets, tmp_path):
    root = shutil.copytree(pets, tmp_path / "copy")
    info = json.loads((root / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["0"]
    (root / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="the split has no images"):
        read(info["splits"][0]["name"], root=root)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("share", [0, 0.5, 0.95])
def test_facts_that_are_damaged(read, pets, tmp_path, name, share):
    root = shutil.copytree(pets, tmp_path / "copy")
    tiny_data.truncate(root / name, share)
    with pytest.raises(UserError, match="copy: dataset_info.json or features.json cannot be read"):
        read(root=root)


def test_what_was_prepared_serves_this_data_set_alone(read, pets, tmp_path):
    root = shutil.copytree(pets, tmp_path / "mine/pets/2.0.0")
    names = read(root=root).names
    shutil.rmtree(root)
    assert read(root=root).names == names
    with pytest.raises(UserError, match="Nor is .* from a folder 'cars/2.0.0'"):
        read(root=tmp_path / "mine/cars/2.0.0")


def test_a_generator_trains_on_it(pets, tmp_path):
    settings = config(tmp_path / "prepared")
    # What --config.data.train.name=tfds leaves of the card's own choice, image_folder.
    settings.data.train = stylegan2.get_config("auto").data.train
    settings.data.train.name, settings.data.train.root = "tfds", str(pets)
    images = Images(settings, load_domain(settings, "train"), (8, 12))
    iterator = images.iterator()
    batch = next(iterator)
    iterator.close()
    assert len(images) == 3 and batch["image"].shape == (8, 8, 12, 3)
