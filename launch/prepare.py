"""Checks a data set and prepares it, ahead of the first run or on a machine without accelerator.

    python launch/prepare.py --dataset=camvid --root=data/CamVid --classes=camvid11
    python launch/prepare.py --dataset=gta5 --root=data/GTA5 --classes=cityscapes19 --drop_bad
    python launch/prepare.py --dataset=streets --classes=camvid11 --option=style=target

Prints images and class frequencies per split. With --check_only it decodes every file, lists all
defects and writes nothing. Exit status: 0 done, 2 a mistake in the input or a defect found.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout not installed

from absl import app, flags

from jax_labor.command_line import parse
from jax_labor.data import report
from jax_labor.errors import exit_on_mistake
from jax_labor.log import show_log

DATASET = flags.DEFINE_string("dataset", None, "gta5, synthia, cityscapes, camvid, ...")
ROOT = flags.DEFINE_string("root", "", "Folder of the data set as its publisher lays it out.")
CLASSES = flags.DEFINE_string("classes", None, "Class table of the labels once prepared.")
SPLIT = flags.DEFINE_string("split", "", "Splits joined by '+'; all when empty.")
DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder of prepared data; TFDS's own when empty.")
OPTION = flags.DEFINE_multi_string("option", [], "NAME=VALUE, an option of the data set.")
CHECK_ONLY = flags.DEFINE_bool("check_only", False, "List every defect and write nothing.")
DROP_BAD = flags.DEFINE_bool("drop_bad", False, "Leave out records with a defect, by name.")


def main(_):
    """Checks or prepares the data set; prints what it found."""
    show_log()
    with exit_on_mistake():
        request = report.Request(
            DATASET.value,
            ROOT.value,
            CLASSES.value,
            SPLIT.value,
            report.parse_options(OPTION.value),
        )
        if CHECK_ONLY.value:
            text, clean = report.check(request)
        else:
            text, clean = report.prepare(request, DATA_DIR.value, DROP_BAD.value), True
    print(text)
    sys.exit(0 if clean else 2)


if __name__ == "__main__":
    flags.mark_flags_as_required(["dataset", "classes"])
    app.run(main, flags_parser=parse)
