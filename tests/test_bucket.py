"""A work directory in a bucket: rounds, the page and the ledger, over a bucket held in memory."""

from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem
from page_rounds import open_round, page

from jax_labor import files
from jax_labor.engine.report import Reporter
from jax_labor.errors import UserError
from jax_labor.experiments import restored
from jax_labor.labels.ledger import Ledger
from jax_labor.labels.page.serve import serve
from jax_labor.labels.store import Round, newest_round
from launch import study


class Bucket(MemoryFileSystem):
    """What gs:// paths reach in these tests."""

    protocol = ("gs", "gcs")
    store, pseudo_dirs = {}, [""]

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + str(path).split("://")[-1].strip("/")


def test_a_bucket_needs_its_package(monkeypatch, tmp_path):
    def fs(*_, **__):
        raise ImportError("Please install s3fs to access S3")

    monkeypatch.setattr("fsspec.filesystem", fs)
    for work in (files.prepare_workdir, restored.read_config):
        with pytest.raises(UserError, match="s3://bucket.*install s3fs .*: pip install it"):
            work("s3://bucket/run")


def test_a_study_has_its_folder_on_a_disk(monkeypatch, capsys):
    monkeypatch.setattr(study, "show_log", lambda: None)
    monkeypatch.setattr(study, "WORKDIR", SimpleNamespace(value="gs://bucket/study"))
    with pytest.raises(SystemExit) as stop:
        study.main([])
    assert stop.value.code == 2
    assert "--workdir=gs://bucket/study is in a bucket" in capsys.readouterr().err


@pytest.fixture
def bucket():
    for name in Bucket.protocol:
        fsspec.register_implementation(name, Bucket, clobber=True)
    Bucket.store.clear()
    return epath.Path("gs://bucket/run")


def test_people_label_a_round_in_a_bucket(bucket, tmp_path):
    assert newest_round(bucket) is None
    open_round(bucket, ["a", "b"])
    with page(bucket, "ann", database=tmp_path / "page.sqlite") as (_, ann):
        photo = ann.client.get(ann.claim()["image"])
        assert photo.status_code == 200 and photo.content[:2] == b"\xff\xd8"
        for _ in range(2):
            ann.do(ann.claim(), 3)
        assert ann.claim() is None
    round_ = newest_round(str(bucket))
    assert round_.unanswered() == []
    assert not list(tmp_path.glob("rounds"))
    ledger = Ledger(bucket, 1)
    label = ledger.label("a")
    np.testing.assert_array_equal(label == 3, round_.read_query("a").asked)
    assert ledger.report(2, 2 * label.size)["effort"]["images_answered"] == 2


def test_lines_are_in_the_bucket_before_their_checkpoint(bucket):
    reporter = Reporter(bucket, tensorboard=False)
    reporter.write(1, {"loss": 2.0})
    reporter.flush()
    assert (bucket / "metrics.jsonl").read_text() == '{"step": 1, "loss": 2.0}\n'
    reporter.write(2, {"loss": 1.0})
    reporter.close()
    assert (bucket / "metrics.jsonl").read_text().count("\n") == 2


def test_closing_a_round_in_a_bucket(bucket):
    open_round(bucket)
    Round(bucket, 0).close()
    assert Round(bucket, 0).is_closed


def test_a_bucket_holds_no_database(bucket):
    with pytest.raises(UserError, match="--database"):
        serve(str(bucket))
