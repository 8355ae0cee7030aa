"""The launchers: they parse, run the documented line, and never leave a TPU behind."""

import importlib.util
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLOUD = ROOT / "launch" / "cloud"
SCRIPTS = ("install.sh", "slurm.sbatch", "tpu_vm.sh")
LAUNCHERS = ("sky.yaml", "slurm.sbatch", "tpu_vm.sh")
TPU = ("labor", "zone-b", "v6e-1", "runtime", "configs/spl.py", "gs://bucket/a run")

# Records each call on one line. FAIL_ON is the part of a call that makes it fail; the TPU is active
# at the second look.
GCLOUD = """#!/usr/bin/env bash
echo "${*//$'\\n'/ }" >> "$CALLS"
case "$*" in
  *describe*) [[ $(grep -c describe "$CALLS") -gt 1 ]] && echo "$STATE" || echo PROVISIONING ;;
  *scp*) cp "$5" "$CALLS.archive" ;;
esac
[[ -n "${FAIL_ON:-}" && "$*" == *"$FAIL_ON"* ]] && exit "${FAIL_STATUS:-7}" || exit 0
"""

# One process, as srun starts it: its arguments, one a line.
SRUN = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$CALLS"
exit "$STATUS"
"""


def run(script, *arguments, cwd=ROOT, **environment):
    return subprocess.run(
        ["bash", str(CLOUD / script), *arguments],
        cwd=cwd,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        timeout=60,
    )


def stub(folder, name, text):
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def run_tpu(folder, *arguments, **environment):
    """Runs tpu_vm.sh with a recording gcloud; returns the result and its calls in order."""
    stub(folder, "gcloud", GCLOUD)
    path = f"{folder}:{os.environ['PATH']}"
    settings = {"PATH": path, "CALLS": folder / "calls", "POLL_SECONDS": 0, "STATE": "ACTIVE"}
    result = run("tpu_vm.sh", *arguments, **(settings | environment))
    calls = (folder / "calls").read_text().splitlines()
    return result, [call.removeprefix("compute tpus ") for call in calls]


def kinds(calls):
    return [" ".join(call.split()[:2]) for call in calls if " describe " not in call]


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_parses(script):
    result = subprocess.run(["bash", "-n", str(CLOUD / script)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_same_line_with_known_flags(launcher):
    text = (CLOUD / launcher).read_text()
    (line,) = re.findall(r"^[^#]*python launch/main\.py.*$", text, re.MULTILINE)
    used = set(re.findall(r"--(\w+)=\"", line))
    known = set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', (ROOT / "launch" / "main.py").read_text()))
    assert used == {"config", "workdir"} <= known


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_named_cards_exist(launcher):
    cards = re.findall(r"configs/\w+\.py", (CLOUD / launcher).read_text())
    assert cards and all((ROOT / card).is_file() for card in cards)


@pytest.mark.parametrize("script", SCRIPTS)
def test_usage_without_arguments(script):
    result = run(script)
    assert result.returncode == 2
    assert script in result.stderr and result.stdout == ""


def test_extras_exist():
    extras = (ROOT / "pyproject.toml").read_text()
    assert re.search(r"^cuda = ", extras, re.MULTILINE)
    assert re.search(r"^tpu = ", extras, re.MULTILINE)


class TestSky:
    @pytest.fixture
    def card(self):
        if not importlib.util.find_spec("yaml"):
            pytest.skip("pyyaml is not installed")
        import yaml

        return yaml.safe_load((CLOUD / "sky.yaml").read_text())

    def test_resumes_in_the_bucket_after_a_clean_stop(self, card):
        from jax_labor.engine.signals import EXIT_STOPPED

        recovery = card["resources"]["job_recovery"]
        assert recovery["recover_on_exit_codes"] == [EXIT_STOPPED]
        assert card["resources"]["use_spot"] is True
        (mount,) = card["file_mounts"]
        assert card["file_mounts"][mount]["mode"] == "MOUNT"
        assert f'--workdir="{mount}/' in card["run"]

    def test_shell_parts_parse_and_use_declared_settings(self, card):
        for part in (card["setup"], card["run"]):
            result = subprocess.run(["bash", "-n"], input=part, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr
        used = set(re.findall(r"\$\{?([A-Z_]+)", f"{card['run']} {card['file_mounts']}"))
        assert {name for name in used if not name.startswith("SKYPILOT_")} == set(card["envs"])

    def test_processes_are_named_as_start_up_reads_them(self, card):
        from jax_labor.engine.startup import explicit_settings

        exported = dict(re.findall(r'export (JAX_\w+)="(.*)"', card["run"]))
        values = {"JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"}
        address = {"JAX_COORDINATOR_ADDRESS": "10.0.0.1:8476"}
        assert set(exported) == {*values, *address}
        assert explicit_settings(None, None, None, values | address)["process_id"] == 1


class TestSlurm:
    def submit(self, folder, status):
        """Runs the job's script in a checkout that has only an environment."""
        stub(folder, "srun", SRUN)
        stub(folder, "scontrol", '#!/usr/bin/env bash\necho "$*" > "$CALLS.scontrol"\n')
        (folder / ".venv" / "bin").mkdir(parents=True)
        (folder / ".venv" / "bin" / "activate").touch()
        arguments = ("configs/spl.py", "runs/a run", "--config.seed=1")
        environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": folder / "calls"}
        environment |= {"STATUS": status, "SLURM_JOB_ID": 12}
        return run("slurm.sbatch", *arguments, cwd=folder, **environment)

    @pytest.mark.parametrize(("status", "requeued"), [(0, False), (2, False), (143, True)])
    def test_requeues_only_after_a_clean_stop(self, tmp_path, status, requeued):
        assert self.submit(tmp_path, status).returncode == status
        assert (tmp_path / "calls.scontrol").exists() == requeued
        if requeued:
            assert (tmp_path / "calls.scontrol").read_text() == "requeue 12\n"

    def test_line(self, tmp_path):
        self.submit(tmp_path, 0)
        line = (tmp_path / "calls").read_text().splitlines()
        expected = ["--config=configs/spl.py", "--workdir=runs/a run", "--config.seed=1"]
        assert line[line.index("python") :] == ["python", "launch/main.py", *expected]

    def test_options(self):
        text = (CLOUD / "slurm.sbatch").read_text()
        options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, re.MULTILINE))
        assert "requeue" in options and options["signal"] == "TERM@120"
        # JAX gives SLURM process i of a node the node's device i.
        assert options["ntasks-per-node"] == options["gpus-per-node"]


class TestTpu:
    def test_order(self, tmp_path):
        result, calls = run_tpu(tmp_path, *TPU, "--config.seed=1")
        assert result.returncode == 0, result.stderr
        order = ["queued-resources create", "tpu-vm scp", "tpu-vm ssh", "tpu-vm ssh"]
        assert kinds(calls) == [*order, "queued-resources delete"]
        assert all("--zone=zone-b" in call for call in calls)
        assert all("--worker=all" in call for call in calls if call.startswith("tpu-vm"))
        install, train = (call for call in calls if call.startswith("tpu-vm ssh"))
        assert "install.sh tpu" in install
        line = r"--config=configs/spl.py --workdir=gs://bucket/a\ run --config.seed=1"
        assert f"python launch/main.py {line}" in train
        assert "--spot" not in calls[0] and "--force" in calls[-1]

    def test_copies_the_project(self, tmp_path):
        run_tpu(tmp_path, *TPU)
        with tarfile.open(tmp_path / "calls.archive") as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
        needed = {
            "pyproject.toml",
            "launch/main.py",
            "configs/spl.py",
            "jax_labor/data/pipeline.py",
        }
        assert needed <= names
        assert not any(name.startswith((".git/", ".venv/", "runs/")) for name in names)

    def test_leaves_data_at_home(self):
        script, ignored = (CLOUD / "tpu_vm.sh").read_text(), (ROOT / ".gitignore").read_text()
        for folder in ("data", "datasets", "runs"):
            assert f"--exclude=./{folder} " in script
            assert f"{folder}/" in ignored
        assert "\ndata/" not in ignored  # which would be jax_labor/data as well

    def test_copies_prepared_data_to_the_disk(self, tmp_path):
        _, calls = run_tpu(tmp_path, *TPU, "--config.seed=1", DATA="gs://bucket/data sets")
        install, train = (call for call in calls if call.startswith("tpu-vm ssh"))
        assert r"gcloud storage rsync -r gs://bucket/data\ sets datasets" in install
        assert "--config.data.dir=datasets --config.seed=1" in train

    def test_spot(self, tmp_path):
        _, calls = run_tpu(tmp_path, "--spot", *TPU)
        assert "--spot" in calls[0]

    @pytest.mark.parametrize("part", ["launch/main.py", "scp", "install.sh", "describe"])
    def test_deletes_after_a_failure(self, tmp_path, part):
        result, calls = run_tpu(tmp_path, *TPU, FAIL_ON=part, FAIL_STATUS=143)
        assert result.returncode == 143
        assert kinds(calls)[-1] == "queued-resources delete"

    def test_deletes_a_refused_request(self, tmp_path):
        result, calls = run_tpu(tmp_path, *TPU, STATE="FAILED")
        assert result.returncode == 1 and "FAILED" in result.stderr
        assert kinds(calls) == ["queued-resources create", "queued-resources delete"]

    def test_leaves_a_tpu_that_was_there_before(self, tmp_path):
        result, calls = run_tpu(tmp_path, *TPU, FAIL_ON="create")
        assert result.returncode == 7
        assert kinds(calls) == ["queued-resources create"]

    def test_says_when_it_cannot_delete(self, tmp_path):
        result, _ = run_tpu(tmp_path, *TPU, FAIL_ON="delete")
        assert "by hand" in result.stderr

    def test_refuses_a_folder_that_goes_with_the_tpu(self):
        result = run("tpu_vm.sh", *TPU[:5], "runs/spl")
        assert result.returncode == 2
