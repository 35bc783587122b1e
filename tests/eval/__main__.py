"""Run the tasks: `python -m tests.eval`. With ANTHROPIC_API_KEY a model works on them, else the scripted reader."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

import structlog

from tests.eval.desk import Assistant, scores
from tests.eval.model import MODEL, Model
from tests.eval.scripted import scripted
from tests.eval.tasks import TASKS


async def run() -> int:
    """Print a line for each task and the score; return how many are unsolved."""
    key, name = os.environ.get("ANTHROPIC_API_KEY"), os.environ.get("EVAL_MODEL", MODEL)
    model = Model.of(key, name) if key else None
    assistant: Assistant = model or scripted
    who = f"{name}, which costs its owner's tokens" if model else "the scripted reader, which is no model"
    print(f"{len(TASKS)} tasks over the sandbox, for {who}.")
    if model is None:
        print("ANTHROPIC_API_KEY is not set; set it to evaluate a model, and EVAL_MODEL to choose one.")
    unsolved = 0
    with tempfile.TemporaryDirectory() as folder:
        async for score in scores(assistant, Path(folder), apart=model is not None):
            unsolved += bool(score.wrong)
            mark = "solved  " if not score.wrong else "unsolved"
            print(
                f"{mark} {score.task.name}: {', '.join(score.calls)}{''.join(f'; {w}' for w in score.wrong)}"
            )
    print(f"{len(TASKS) - unsolved} of {len(TASKS)} solved.")
    if model is not None:
        print(f"{model.tokens:,} tokens.")
    return unsolved


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(bool(asyncio.run(run())))
