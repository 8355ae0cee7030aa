"""The kernels inside one `pmap`, as steps call them."""

import jax
import numpy as np

from jax_labor.ops.disagreement import disagreement
from jax_labor.ops.prototypes import select_ppl
from jax_labor.ops.regions import select_regions
from jax_labor.ops.select import select_spl
from jax_labor.ops.uncertainty import region_impurity


def all_kernels(x1, x2, available):
    size = available.shape[1:]
    found = disagreement(x1, x2, size)
    return (
        select_spl(found, available, 9),
        select_ppl(x1, x2, found, available, points=7)[0],
        select_regions(region_impurity(x1, size, 1), available, 20, 1, 2),
    )


def test_four_devices_give_what_one_gives():
    rng = np.random.default_rng(0)
    x1, x2 = (2 * rng.standard_normal((2, 8, 3, 4, 5))).astype(np.float32)
    available = rng.random((8, 9, 11)) < 0.8
    split = [a.reshape(4, 2, *a.shape[1:]) for a in (x1, x2, available)]
    mapped = jax.pmap(all_kernels)(*split)
    for one, many in zip(jax.jit(all_kernels)(x1, x2, available), mapped, strict=True):
        np.testing.assert_array_equal(one, many.reshape(one.shape))
