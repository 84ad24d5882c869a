"""What the files and folders of a store are called. No other module names one.

STORE/runs/KEY/                one folder for each run:
    run.json                   spec and environment, written when the run starts
    lr_find.json               for a run that finds its own learning rate: its range test, committed before it trains
    history.jsonl              a line for each epoch
    predictions.npz            the logits and labels of its last evaluation, unless the study keeps none
    result.json                committed last: a run is done when it stands
    files/                     what the run's task wrote for itself
    output.log                 what it printed, where it was made on another machine than the command's
    failure.json               why the last try ended without a result
    checkpoint.pt              the state to go on from; removed once there is a result, unless the study keeps it
    lock                       held by the one process that makes the run
    owner.json                 which process that is, touched every few seconds (see `owner`)
    result.damaged.json        a result that could not be read, moved aside when the run began again
STORE/studies/NAME.json        what was run under a study's name (see `studies`)
STORE/tuning/NAME.json         what tuning found for a study (see `tune.records`)
STORE/tuning/journal.log       Optuna's trials, unless another storage is named
STORE/last.json                the study that was run last
STORE/index.json               results that were read before and found sound (see `result_cache`)
STORE/metrics.json             values of metrics that were computed from predictions (see `metric_cache`)
STORE/store.json               the version of this layout
STORE/.notices.XXXXXXXX        what a command asks of runs on other machines, while it lasts (see `execute.notices`)
STORE/.mailbox.XXXXXXXX/       what such runs tell it, where the engine carries no news (see `execute.mailbox`)
STORE/damaged/TIME/KEY/        damaged files of runs, moved aside (see `integrity`)
STORE/pilot/                   a store of its own for pilot runs
"""

from __future__ import annotations

RUN_FILES = RUN, RANGE_TEST, HISTORY, PREDICTIONS, RESULT, FAILURE, CHECKPOINT, LOG, LOCK, OWNER = (
    "run.json",
    "lr_find.json",
    "history.jsonl",
    "predictions.npz",
    "result.json",
    "failure.json",
    "checkpoint.pt",
    "output.log",
    "lock",
    "owner.json",
)
"""All files that may be in the folder of a sound run."""
DAMAGED_RESULT = "result.damaged.json"
OWN_FILES_OF_RUN = "files"

RUNS, STUDIES, TUNING, DAMAGED, PILOT = "runs", "studies", "tuning", "damaged", "pilot"
OWN_FILES = LAST, RESULT_CACHE, METRIC_CACHE, LAYOUT = "last.json", "index.json", "metrics.json", "store.json"
"""The documents of a store itself."""
JOURNAL = "journal.log"
