import numpy as np
import pytest

from jax_labor.classes import IGNORE, TABLES, ClassTable, apply_id_map, get_table
from jax_labor.errors import UserError


def small_table(**changes):
    fields = {
        "name": "small",
        "names": ("a", "b"),
        "colors": ((1, 2, 3), (4, 5, 6)),
        "ids": (7, 3),
        "ignored_ids": (0, 255),
        "source": "test",
    }
    return ClassTable(**(fields | changes))


@pytest.mark.parametrize("name,count", [
    ("cityscapes19", 19), ("synthia16", 16), ("synthia13", 13), ("camvid11", 11),
])  # fmt: skip
def test_sizes_and_distinct_colors(name, count):
    table = get_table(name)
    assert table.num_classes == count == len(set(table.colors))
    assert table.name == name and table.source.startswith("http")


def test_cityscapes_equals_the_official_scripts():
    labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    table = get_table("cityscapes19")
    official = sorted((x for x in labels if 0 <= x.trainId < 19), key=lambda x: x.trainId)
    assert table.names == tuple(x.name for x in official)
    assert table.ids == tuple(x.id for x in official)
    assert table.colors == tuple(x.color for x in official)
    rest = {x.id for x in labels if not 0 <= x.trainId < 19 and x.id >= 0}
    assert set(table.ignored_ids) == rest | {255}


def test_synthia_subsets_keep_order_and_drop_the_right_classes():
    full, sixteen, thirteen = (
        get_table(n).names for n in ("cityscapes19", "synthia16", "synthia13")
    )
    assert [n for n in full if n not in ("terrain", "truck", "train")] == list(sixteen)
    assert [n for n in sixteen if n not in ("wall", "fence", "pole")] == list(thirteen)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_encode_undoes_decode_and_ignores(table):
    train_ids = np.append(np.arange(table.num_classes), IGNORE).astype(np.int32).reshape(1, -1)
    on_disk = table.decode(train_ids)
    assert on_disk.dtype == np.uint8 and on_disk.shape == train_ids.shape
    np.testing.assert_array_equal(table.encode(on_disk), train_ids)
    assert (table.encode(np.array(table.ignored_ids)) == IGNORE).all()


def test_encode_matches_a_loop_for_every_integer_type():
    table = small_table()
    labels = np.random.default_rng(0).choice([7, 3, 0], size=(5, 4))
    expected = [[{7: 0, 3: 1, 0: 255}[int(v)] for v in row] for row in labels]
    for dtype in (np.uint8, np.uint16, np.int32, np.int64):
        encoded = table.encode(labels.astype(dtype))
        assert encoded.dtype == np.uint8
        np.testing.assert_array_equal(encoded, expected)
    assert table.encode(np.zeros((0, 3), np.uint8)).shape == (0, 3)


@pytest.mark.parametrize("bad", [5, 256, 70000, -1])
def test_unknown_ids_are_named(bad):
    with pytest.raises(UserError, match=rf"small.*unknown id {bad} .*known: 0, 3, 7, 255"):
        small_table().encode(np.array([7, bad, 3]))


def test_float_labels_are_refused():
    with pytest.raises(UserError, match="float64"):
        small_table().encode(np.zeros((2, 2)))


def test_decode_refuses_train_ids_outside_the_table():
    with pytest.raises(UserError, match="train ids: unknown id 2 "):
        small_table().decode(np.array([0, 1, 2]))


def test_apply_id_map_names_its_origin():
    np.testing.assert_array_equal(apply_id_map(np.array([2, 4]), {2: 0, 4: 255}, "x"), [0, 255])
    with pytest.raises(UserError, match="^gta5: unknown id 3"):
        apply_id_map(np.array([3]), {2: 0, 4: 255}, "gta5")


def test_palette():
    palette = small_table().palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    assert palette[:2].tolist() == [[1, 2, 3], [4, 5, 6]] and not palette[2:].any()


@pytest.mark.parametrize("changes,message", [
    ({"names": ("a",)}, "1 names, 2 colors"),
    ({"names": ("a", "a")}, "name a occurs twice"),
    ({"ids": (0, 3)}, "id 0 occurs twice"),
    ({"colors": ((1, 2, 3), (4, 5, 256))}, "256\\) is no color"),
    ({"colors": ((1, 2, 3), (4, 5))}, "is no color"),
    ({"names": (), "colors": (), "ids": ()}, "0 classes"),
])  # fmt: skip
def test_inconsistent_tables_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        small_table(**changes)


def test_get_table_suggests():
    with pytest.raises(UserError, match="no class table 'camvid12'. Did you mean 'camvid11'"):
        get_table("camvid12")
    with pytest.raises(UserError, match="There are cityscapes19, synthia16, synthia13, camvid11"):
        get_table("zzz")
