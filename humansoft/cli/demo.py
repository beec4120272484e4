"""demo: the whole path on real people, from a log to predictions and a comparison."""

from pathlib import Path

from humansoft.catalogue.load import load_dataset
from humansoft.checking import check
from humansoft.cli.comparing import print_comparison
from humansoft.cli.files import staged
from humansoft.cli.fitting import describe_fit, print_fit
from humansoft.cli.logs import print_findings, sizes
from humansoft.cli.runs import print_predictions, print_scores
from humansoft.cli.tables import records
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.data.splits import split
from humansoft.errors import UsageError
from humansoft.evaluate.compare import compare
from humansoft.evaluate.predict import predict
from humansoft.evaluate.scores import score
from humansoft.fit.fitting import fit
from humansoft.fit.result import Fit
from humansoft.fit.storage import save
from humansoft.model import SoftOptimalModel
from humansoft.temperature import PerSubject

DATASET = "overcooked_cramped_room"
_MARK = "made_by_demo.txt"
_FRACTION = 0.2
_SEED = 1


def run_demo(folder: Path, as_json: bool) -> None:
    """Check, split, fit, predict, score and compare on the bundled data; save the run."""
    _require_own(folder)
    with working(f"loading {DATASET}") as show:
        log, task = load_dataset(DATASET)
        found = check(log, task)
        train, held_out = split(log, by="time", fraction=_FRACTION)
        if not as_json:
            print_findings(log, found)
        show("fitting: checking what the data can tell")
        fitted = fit(
            SoftOptimalModel(task, temperature=PerSubject()),
            train,
            seed=_SEED,
            on_step=lambda step, value: show(f"fitting: step {step}, log-likelihood {value:,.2f}"),
        )
        show("saving, predicting, scoring")
        _save(fitted, folder)
        predictions, scores, people = predict(fitted, held_out), score(fitted, held_out), compare(fitted)
    if as_json:
        document = {"run": folder, "log": sizes(log), "findings": records(found), "fit": describe_fit(fitted)}
        print_json(document | {"scores": records(scores), "comparison": records(people)})
        return
    say(f"Fitted to the first {1 - _FRACTION:.0%} of every game; the rest is held out.")
    print_fit(fitted, temperatures=False)  # they come below, sorted
    print_predictions(predictions, most=5)
    print_scores(scores)
    print_comparison(people)
    say(f"Saved: {relative(folder)}")
    say(f"Next: humansoft compare {relative(folder)} -o people.csv; humansoft simulate {relative(folder)} --seed 1")


def _require_own(folder: Path) -> None:
    """Refuse to replace anything but an earlier demo."""
    if folder.exists() and not (folder / _MARK).is_file():
        raise UsageError(f"{folder} exists and was not made by `humansoft demo`; choose another name with -o")


def _save(fitted: Fit, folder: Path) -> None:
    with staged([folder]) as (place,):
        save(fitted, place)
        (place / _MARK).write_text("Made by `humansoft demo`; the next demo replaces this folder.\n", encoding="utf-8")
