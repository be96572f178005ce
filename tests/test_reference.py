"Our arithmetic against numbers that the reference implementation computed (tests/reference; see its README for what they are)."
from pathlib import Path
import numpy as np, pytest, torch
from trm_lab.checkpoints import read_reference_model
from trm_lab.data import Batch, Batches, read_dataset
from trm_lab.losses import board_loss, correct, stablemax_cross_entropy
from trm_lab.halting import BinaryHalting
from trm_lab.puzzles.base import Puzzle
from trm_lab.records import read_json
from trm_lab.train import TrainConfig, Trainer

REFERENCE = Path(__file__).parent/"reference"
MODELS, TRAJECTORIES = sorted((REFERENCE/"models").iterdir()), sorted((REFERENCE/"trajectories").iterdir())
CLOSE = 1e-4 # logits, latents, losses and weights, in float32
OUR_NAME = "model.inner." # in front of every name in the reference's arrays

def arrays(path):
    "The arrays of an .npz as tensors."
    with np.load(path) as found: return {name: torch.from_numpy(found[name]) for name in found.files}

def batch_of(found, prefix, index=slice(None)):
    return Batch(*(found[f"{prefix}.{name}"][index].long() for name in ("inputs", "labels", "puzzle_identifiers")))

def assert_close(ours, theirs, what, tolerance=CLOSE):
    difference = (ours.double() - theirs.double()).abs().max().item()
    assert difference <= tolerance, f"{what}: differs by {difference:.2e}, more than {tolerance:.0e}"

@pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)
def test_every_supervision_step(folder):
    "Logits, halting and each latent after each of six supervision steps."
    model, found = read_reference_model(folder).eval(), arrays(folder/"reference.npz")
    with torch.no_grad():
        x = model.embed(batch_of(found, "batch"))
        state = model.start(x)
        for step, logits in enumerate(found["eval.logits"]):
            state = model.step(x, state)
            output = model.read(state)
            assert_close(output.logits, logits, f"logits at step {step + 1}")
            for name in ("q_halt", "q_continue"): assert_close(getattr(output, name), found[f"eval.{name}"][step], f"{name} at step {step + 1}")
            for name in state: assert_close(state[name], found[f"eval.{name}"][step], f"{name} at step {step + 1}")
            assert torch.equal(output.q_halt > 0, found["eval.q_halt"][step] > 0)

@pytest.mark.parametrize("folder", MODELS, ids=lambda p: p.name)
def test_losses_and_gradients(folder):
    "The first training step: losses, each gradient tensor, and the puzzle embedding's sign-SGD update."
    model, found = read_reference_model(folder).train(), arrays(folder/"reference.npz")
    batch = batch_of(found, "batch")
    x = model.embed(batch)
    output = model.read(model.step(x, model.start(x)))
    token_loss = board_loss(stablemax_cross_entropy(output.logits, batch.labels), batch.labels).sum()
    halt_loss = BinaryHalting().loss(output, correct(output.logits, batch.labels)[1]).sum()
    loss = token_loss + 0.5*halt_loss
    for name, ours in (("lm_loss", token_loss), ("q_halt_loss", halt_loss), ("loss", loss)): assert_close(ours.detach(), found[f"train.{name}"], name)
    (loss/len(batch)).backward()
    checked = 0
    for name, parameter in model.named_parameters():
        theirs = found[f"train.grad.{OUR_NAME}{name}"]
        assert_close(parameter.grad, theirs, f"gradient of {name}", 1e-3*theirs.abs().max().item())
        checked += 1
    assert checked == sum(name.startswith("train.grad.") for name in found)
    assert_close(model.puzzle_emb.pending[1].grad, found["train.puzzle_emb_local_grad"], "gradient of the puzzle embedding")
    model.puzzle_emb.sign_step(lr=1e-2, weight_decay=0.1)
    assert_close(model.puzzle_emb.weights, found["train.puzzle_emb_after_signsgd_lr1e-2_wd0.1"], "puzzle embedding after sign-SGD")

@pytest.mark.parametrize("folder", TRAJECTORIES, ids=lambda p: p.name)
def test_twenty_training_steps(folder, tmp_path):
    "The whole loop with its carry: losses, halting decisions, final and averaged weights."
    described, found = read_json(folder/"config.json"), arrays(folder/"trajectory.npz")
    recipe = described["train"]
    config = TrainConfig(loss="stablemax", halt_max_steps=described["arch"]["halt_max_steps"], halt_exploration_prob=0., dtype="float32", device="cpu",
        global_batch_size=described["arch"]["batch_size"], ema_ramp=False, **{name: recipe[name] for name in
        ("steps", "lr", "beta1", "beta2", "weight_decay", "puzzle_emb_lr", "puzzle_emb_weight_decay", "ema_rate", "lr_warmup_steps")})
    stream = (batch_of(found, "batches", step) for step in range(config.steps))
    trainer = Trainer(config, read_reference_arc(), stream, read_reference_model(folder))
    for step in range(config.steps):
        measured = trainer.step()
        for name in ("loss", "lm_loss", "q_halt_loss"): assert_close(measured[name], found[f"traj.{name}"][step], f"{name} at step {step + 1}")
        for name in ("halted", "steps"): assert torch.equal(measured[name].long(), found[f"traj.{name}"][step].long()), f"{name} at step {step + 1}"
        assert measured["halted"].sum() == found["traj.count"][step]
    for prefix, model in (("final", trainer.model), ("ema", trainer.averaged())):
        weights = model.state_dict()
        theirs = {name.removeprefix(f"{prefix}.{OUR_NAME}"): t for name, t in found.items() if name.startswith(f"{prefix}.")}
        assert len(theirs) >= len(dict(model.named_parameters()))
        for name, t in theirs.items(): assert_close(weights[name], t, f"{prefix} {name}")

class Grid(Puzzle):
    "A board of ARC's size of which only the tokens matter here."
    type, rows, cols, vocab_size, name = "grid", 30, 30, 12, "grid-30x30"
    named = parse = print = check = symmetries = draw = generate = None
    def spec(self): return {"type": self.type}
Grid.__abstractmethods__ = frozenset()

def read_reference_arc(): return read_dataset(REFERENCE/"arc", Grid())

def test_a_dataset_of_the_reference_reads():
    "Several examples a puzzle, several puzzles a group, a learned identity each."
    dataset = read_reference_arc()
    assert (len(dataset.train), dataset.train.groups, dataset.test.groups, len(dataset.identifiers)) == (203, 8, 5, 57)
    batch = next(Batches(dataset.train, 16, seed=1))
    group_of = np.searchsorted(dataset.train.group_indices, batch.puzzle_identifiers.numpy() - 1, side="right")
    for group in set(group_of.tolist()): # one augmentation of a task a batch
        assert len(set(batch.puzzle_identifiers[torch.from_numpy(group_of == group)].tolist())) == 1
    assert (batch.labels[batch.inputs.new_tensor(0).eq(batch.labels)]).numel() == 0, "padding must not count as a label"
