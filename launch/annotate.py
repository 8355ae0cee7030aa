"""People label: serves the labelling page of a run, and what belongs to it.

    python launch/annotate.py serve --workdir=runs/spl
    python launch/annotate.py report --workdir=runs/spl --out=effort
    python launch/annotate.py export --workdir=runs/spl --format=cvat --out=to_cvat
    python launch/annotate.py import --workdir=runs/spl --format=cvat --source=annotations.xml \
        --annotator=ann
    python launch/annotate.py simulate --workdir=runs/spl --url=http://127.0.0.1:8765 --token=...

`serve` shows the newest round that waits for answers (a run with --config.annotator=people writes
them) until it is stopped with Ctrl-C. `simulate` answers from the run's ground truth, with errors
and at a speed that can be set, over the page's own interface; samples of a generator have no ground
truth, so there a segmenter that was trained on real labels says what they are.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout not installed

from absl import app, flags

from jax_labor.command_line import parse_words
from jax_labor.errors import UserError, exit_on_mistake
from jax_labor.labels.store import Round, newest_round
from jax_labor.log import show_log

WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)

HOST = flags.DEFINE_string("host", "127.0.0.1", "serve: address to listen at.")
PORT = flags.DEFINE_integer("port", 8765, "serve: port to listen at; 0 takes a free one.")
PASSWORD = flags.DEFINE_string("password_file", "", "serve: file of a password to ask for.")
CERTIFICATE = flags.DEFINE_string("certificate", "", "serve: TLS certificate (PEM).")
KEY = flags.DEFINE_string("key", "", "serve: private key of the certificate (PEM).")
DATABASE = flags.DEFINE_string("database", "", "serve: SQLite file; default in the workdir.")
CLAIM = flags.DEFINE_integer("claim_seconds", 600, "serve: how long an idle claim is kept.")
BLIND = flags.DEFINE_bool("blind_review", False, "serve: reviewers do not see the first answer.")

ROUND = flags.DEFINE_integer("round", None, "export, import: number; default the newest round.")
FORMAT = flags.DEFINE_string("format", "", "export, import: cvat, label_studio, labelme, ...")
BESIDE = flags.DEFINE_list("beside", [], "report: other runs to compare with.")
OUT = flags.DEFINE_string("out", "", "report, export: folder to write.")
SOURCE = flags.DEFINE_string("source", "", "import: file or folder that the other tool wrote.")
ANNOTATOR = flags.DEFINE_string("annotator", "", "import: who labelled.")

URL = flags.DEFINE_string("url", "http://127.0.0.1:8765", "simulate: the page's address.")
TOKEN = flags.DEFINE_string("token", "", "simulate: the page's token or password.")
ORACLE = flags.DEFINE_string(
    "oracle", "", "simulate: finished run of a segmenter to label a generator's samples with."
)
PEOPLE = flags.DEFINE_integer("annotators", 1, "simulate: how many at once.")
ERROR = flags.DEFINE_float("error", 0.0, "simulate: share of wrong answers.", 0.0, 1.0)
SECONDS = flags.DEFINE_float("seconds", 1.0, "simulate: median seconds per answer; 0 = at once.")
REAL_TIME = flags.DEFINE_float(
    "real_time", 1.0, "simulate: share of the answering time that is really waited.", 0.0, 1.0
)
SEED = flags.DEFINE_integer("seed", 0, "simulate: of errors and times.")


def serve() -> None:
    """Serves the page until a signal."""
    from jax_labor.labels.page.serve import serve as run

    run(
        WORKDIR.value,
        host=HOST.value,
        port=PORT.value,
        password_file=PASSWORD.value or None,
        certificate=CERTIFICATE.value or None,
        key=KEY.value or None,
        database=DATABASE.value or None,
        claim_seconds=CLAIM.value,
        blind_review=BLIND.value,
    )


def report() -> None:
    """Prints what labelling cost, and draws it."""
    from jax_labor.labels.effort import write_report

    print(write_report(WORKDIR.value, OUT.value or Path(WORKDIR.value) / "effort", BESIDE.value))


def export() -> None:
    """Writes a round's queries and answers for another tool."""
    from jax_labor.labels.exchange import export_round

    _need(format=FORMAT.value, out=OUT.value)
    export_round(_round(), FORMAT.value, OUT.value)
    print(OUT.value)


def import_() -> None:
    """Reads what another tool wrote as answers of a round."""
    from jax_labor.labels.exchange import import_round

    _need(format=FORMAT.value, source=SOURCE.value, annotator=ANNOTATOR.value)
    names = import_round(_round(), FORMAT.value, SOURCE.value, ANNOTATOR.value)
    print(f"{len(names)} images answered, {len(_round().unanswered())} open")


def simulate() -> None:
    """Answers the newest round through the page, from what is known of its labels."""
    from jax_labor.experiments.segmenter_oracle import run_truth
    from jax_labor.labels.simulate import simulate as run

    _need(token=TOKEN.value)
    figures = run(
        URL.value,
        TOKEN.value,
        annotators=PEOPLE.value,
        truth=run_truth(WORKDIR.value, ORACLE.value),
        error=ERROR.value,
        seconds=SECONDS.value,
        real_time=REAL_TIME.value,
        seed=SEED.value,
    )
    for name, value in figures.items():
        print(f"{name}: {value}")


def _round() -> Round:
    found = (
        newest_round(WORKDIR.value) if ROUND.value is None else Round(WORKDIR.value, ROUND.value)
    )
    if found is None or not found.is_open:
        what = "no round" if ROUND.value is None else f"no round {ROUND.value}"
        raise UserError(f"--workdir={WORKDIR.value}: {what} is open there; start training first")
    return found


def _need(**values) -> None:
    missing = [f"--{name}" for name, value in values.items() if not value]
    if missing:
        raise UserError(f"{', '.join(missing)} must be given; see launch/annotate.py --help")


COMMANDS = {
    "serve": serve,
    "report": report,
    "export": export,
    "import": import_,
    "simulate": simulate,
}


def main(argv):
    """Runs the command that the first word names."""
    show_log()
    with exit_on_mistake():
        if len(argv) != 2 or argv[1] not in COMMANDS:
            raise UserError(f"name one command: {' | '.join(COMMANDS)}")
        COMMANDS[argv[1]]()


if __name__ == "__main__":
    app.run(main, flags_parser=parse_words)
