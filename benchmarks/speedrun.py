"""How long two cores take to train a model that solves 98 % (99 %) of unseen 6×6 Sudokus.

PYTHONPATH=. python3 benchmarks/speedrun.py [RECIPE.yaml] [--seeds 0 1 2] [--check STEPS]

The rules stand in benchmarks/speedrun.md. The clock runs from the first line of the recipe being read to the
last training step, so the model's making counts, and the drawing of puzzles for the steps. It stands still
while puzzles are generated and while the model is scored. What decides is the score after the last step, on
puzzles that are the same for every recipe; with `--check` the model is also scored on the way, which shows
where it passed.
"""
import argparse, json, statistics, time
from collections.abc import Callable
from pathlib import Path
import torch
from trm_lab.core.device import describe_device
from trm_lab.core.settings import read_yaml
from trm_lab.data.build import seen_in_training
from trm_lab.data.datasets import Dataset, Split
from trm_lab.data.generate import generate_dataset
from trm_lab.models.trm import RecursiveModel
from trm_lab.puzzles.base import find_puzzle
from trm_lab.solving.evaluate import evaluate
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer

RECIPE = Path(__file__).with_name("speedrun.yaml")
TEST, TEST_SEED = 500, 1000 # unseen puzzles, and the seed that they are generated from
STEPS = 16 # supervision steps that each may take

class Clock:
    "Seconds of wall time and of processor time, without the pauses."
    def __init__(self): self.spent, self.begun = [0., 0.], None
    def _now(self)->list[float]: return [time.perf_counter(), time.process_time()]
    def go(self): self.begun = self._now()

    def stop(self):
        self.spent = [s + now - b for s, now, b in zip(self.spent, self._now(), self.begun)]

    def paused(self, work:Callable):
        "What `work` returns; the clock stands still meanwhile."
        self.stop()
        try: return work()
        finally: self.go()

def puzzles(config:TrainConfig)->tuple[Dataset, Split]:
    "What a recipe trains on, and what it is asked: minimal puzzles, whatever it trains on."
    c, puzzle = config, find_puzzle(config.puzzle)
    dataset = generate_dataset(puzzle, c.train_puzzles, 1, c.data_seed, difficulty=c.difficulty)
    asked = generate_dataset(puzzle, 1, TEST, TEST_SEED).test
    if seen := int(seen_in_training(puzzle, dataset.train, asked).sum()):
        raise SystemExit(f"{seen} of {TEST} test puzzles are images of training puzzles; change data_seed")
    return dataset, asked

def score(model:RecursiveModel, dataset:Dataset, split:Split)->float:
    "The share of puzzles that it solves; every one takes all steps, as no halting rule is asked."
    return evaluate(model, dataset.puzzle, split, STEPS, tally=None).scores.exact

def run(recipe:Path, seed:int, check:int)->dict:
    "One training, and what came of it."
    clock = Clock()
    clock.go()
    config = TrainConfig(**{**read_yaml(recipe), "seed": seed, "device": "cpu"})
    dataset, asked = clock.paused(lambda: puzzles(config))
    trainer, passed = Trainer(config, dataset), {}
    for step in range(1, config.train_steps + 1):
        trainer.step()
        if check and step % check == 0 and step < config.train_steps:
            share = clock.paused(lambda: score(trainer.averaged(), dataset, asked))
            for goal in (0.98, 0.99):
                if share >= goal: passed.setdefault(f"{goal:.0%}", round(clock.spent[0], 1))
    model = trainer.averaged()
    clock.stop()
    return {"seed": seed, "solved": score(model, dataset, asked), "seconds": round(clock.spent[0], 1),
        "processor_seconds": round(clock.spent[1], 1),
        "puzzle_steps": config.train_steps*config.global_batch_size, "passed": passed}

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", type=Path, default=RECIPE)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--check", type=int, default=0, help="score every so many steps, off the clock")
    given = parser.parse_args()
    print(describe_device(torch.device("cpu"), torch.bfloat16), flush=True)
    runs = []
    for seed in given.seeds:
        runs.append(run(given.recipe, seed, given.check))
        print(json.dumps(runs[-1]), flush=True)
    worst, slowest = min(r["solved"] for r in runs), max(r["seconds"] for r in runs)
    middle = statistics.median(r["seconds"] for r in runs)
    print(f"{given.recipe.name}: {worst:.1%} at least, in {middle:.1f} s (median; "
        f"slowest {slowest:.1f} s), {len(runs)} seeds")

if __name__ == "__main__": main()
