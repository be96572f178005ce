"Fine-tuning, compilation, parts of a batch: what the trainer promises beside its plain path."
import shutil
import pytest, torch
from trm_lab.models.checkpoints import save_model
from trm_lab.data.datasets import Dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.core.errors import InputError, build
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.files import write_json
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer
from trm_lab.training.loop import fit
from dataclasses import replace

MODEL = {"hidden_size": 16, "num_heads": 2, "swiglu_multiple": 16, "H_cycles": 2, "L_cycles": 1,
    "pos_encodings": "learned", "puzzle_emb_len": 1}
def tiny(**changes):
    return build(TrainConfig, {"name": "tiny", "puzzle": "sudoku-4x4", "train_steps": 8,
            "global_batch_size": 16, "lr_warmup_steps": 2, "eval_every": 0, "dtype": "float32",
            "model": MODEL, **changes}, "tiny")

def identified(names, seed=0):
    "4×4 puzzles, each with an identity of its own."
    plain = generate_dataset(Sudoku(2, 2), len(names), 4, seed)
    train = replace(plain.train, puzzle_identifiers=plain.train.puzzle_identifiers + 1
        + torch.arange(len(names)).numpy().astype("int32"))
    return Dataset(plain.puzzle, train, plain.test,
        replace(plain.metadata, num_puzzle_identifiers=len(names) + 1), ["<blank>", *names])

@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    "A checkpoint whose identities were a, b, c, …"
    place, dataset = tmp_path_factory.mktemp("old"), identified([f"old{i}" for i in range(24)])
    model = fit(Trainer(tiny(holdout=0.), dataset))
    with torch.no_grad(): model.puzzle_emb.weights.normal_()
    save_model(place/"old.safetensors", model, dataset.puzzle)
    write_json(place/"data"/"identifiers.json", dataset.identifiers)
    return place, model

def test_known_identities_keep_their_rows_and_new_ones_begin_at_the_mean(learned):
    place, old = learned
    rows = old.puzzle_emb.weights
    mixed = identified(["new0", "old3", *(f"new{i}" for i in range(1, 18)), "old0"])
    begun = Trainer(tiny(init_from=str(place/"old.safetensors"),
            init_identifiers=str(place/"data"/"identifiers.json"), model={}), mixed).model
    for name, p in begun.named_parameters(): assert torch.equal(p, old.get_parameter(name)), name
    expected = {"<blank>": rows[0], "old3": rows[4], "old0": rows[1]}
    for i, name in enumerate(mixed.identifiers):
        assert torch.allclose(begun.puzzle_emb.weights[i], expected.get(name, rows.mean(0)), atol=1e-6), name
    # as many identities, and no list: the same ones, as the reference takes it
    same = identified([f"x{i}" for i in range(24)])
    assert torch.equal(
        Trainer(tiny(init_from=str(place/"old.safetensors"), model={}), same).model.puzzle_emb.weights, rows)
    fewer = Trainer(tiny(init_from=str(place/"old.safetensors"), model={}), mixed).model
    assert torch.allclose(fewer.puzzle_emb.weights,
        rows.mean(0).expand_as(fewer.puzzle_emb.weights), atol=1e-6)

def test_frozen_weights_learn_new_identities_only(learned):
    place, old = learned
    trainer = Trainer(tiny(init_from=str(place/"old.safetensors"), freeze="weights", train_steps=120,
            puzzle_emb_lr=3e-2, halt_max_steps=1, augment=False, holdout=0., model={}),
        identified([f"new{i}" for i in range(20)]))
    before = trainer.model.puzzle_emb.weights.clone()
    losses = [float(trainer.step()["lm_loss"]) for _ in range(120)]
    for name, p in trainer.model.named_parameters(): assert torch.equal(p, old.get_parameter(name)), name
    assert (not torch.equal(trainer.model.puzzle_emb.weights[1:], before[1:])
        and torch.equal(trainer.model.puzzle_emb.weights[0], before[0]))
    assert sum(losses[-20:]) < 0.98*sum(losses[:20]), losses
    with pytest.raises(InputError, match="only the puzzle embedding learns, but this model has none"):
        Trainer(tiny(freeze="weights", model={**MODEL, "puzzle_emb_ndim": 0}),
            identified([f"new{i}" for i in range(20)]))

@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_frozen_answer_leaves_only_the_halting_head_to_learn(learned, optimizer):
    place, old = learned
    trainer = Trainer(tiny(init_from=str(place/"old.safetensors"), freeze="answer", optimizer=optimizer,
            lr=3e-2, init_identifiers=str(place/"data"/"identifiers.json"), weight_decay=0., train_steps=60,
            model={}),
        identified([f"old{i}" for i in range(24)]))
    losses = [float(trainer.step()["q_halt_loss"]) for _ in range(60)]
    changed = {name for name, p in trainer.model.named_parameters()
        if not torch.equal(p, old.get_parameter(name))}
    assert changed == {"q_head.weight", "q_head.bias"}
    assert torch.equal(trainer.model.puzzle_emb.weights, old.puzzle_emb.weights)
    assert all(torch.equal(trainer.ema.shadow[name], old.get_parameter(name)) for name, _ in
        old.named_parameters() if not name.startswith("q_head"))
    assert sum(losses[-20:]) < 0.9*sum(losses[:20]), losses
    with pytest.raises(InputError, match="a halt_loss_weight of 0 leaves nothing to learn"):
        tiny(freeze="answer", halt_loss_weight=0.)

def test_a_checkpoint_that_does_not_fit_is_named(learned):
    place, _ = learned
    data = identified([f"x{i}" for i in range(24)])
    with pytest.raises(InputError, match="init_from .* has another architecture than 'arch' says, 'hrm'"):
        Trainer(tiny(arch="hrm", init_from=str(place/"old.safetensors"), model={}), data)
    with pytest.raises(InputError, match="init_from .*L_level.layers.2"):
        Trainer(tiny(init_from=str(place/"old.safetensors"), model={"L_layers": 3}), data)
    with pytest.raises(InputError, match="there is no such file or model"):
        Trainer(tiny(init_from="nowhere.safetensors", model={}), data)

@pytest.mark.soak # a minute
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch.compile needs a C++ compiler")
def test_compiled_networks_compute_the_same():
    "Losses of a few steps, compiled and not, on the CPU; with attention that knows the grid."
    data = identified([f"x{i}" for i in range(24)])
    # the compiler takes a second of the processor for each kernel of a layer
    model = {**MODEL, "pos_encodings": "rope_2d+local_bias", "L_layers": 1}
    plain, compiled = (Trainer(tiny(compile=on, holdout=0., model=model), data) for on in (False, True))
    for step in range(5):
        a, b = plain.step(), compiled.step()
        for name in ("lm_loss", "q_halt_loss", "grad_norm"):
            assert torch.allclose(a[name], b[name], rtol=1e-4, atol=1e-5), f"{name} at step {step + 1}"
    compiled.averaged() # the average can be copied out of a compiled model

def test_parts_of_a_batch_that_do_not_divide_it():
    with pytest.raises(InputError, match="16 slots of a process cannot be divided into 3 equal parts"):
        Trainer(tiny(accumulate=3), identified([f"x{i}" for i in range(24)]))
