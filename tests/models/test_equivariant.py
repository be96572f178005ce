"Interchangeable digits: a permuted question has the permuted answer, at every step, also after training."
from dataclasses import replace
import pytest, torch
from trm_lab.core.errors import InputError
from trm_lab.data.batches import ordered_batches
from trm_lab.data.generate import generate_dataset
from trm_lab.models.export import describe
from trm_lab.models.variants import build_model
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.solve import solve_by_step
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer

KINDS = {"mlp": {"mlp_t": True, "pos_encodings": "none"}, "rope": {"pos_encodings": "rope"},
    "boxes": {"pos_encodings": "rope_2d+row_col_box+local_bias", "box": "2x2"}}
SIZES = {"hidden_size": 32, "num_heads": 2, "swiglu_multiple": 8, "H_cycles": 2, "L_cycles": 2,
    "puzzle_emb_len": 2}
RENAMED = torch.tensor([0, 1, 4, 2, 5, 3]) # padding and blank stay

@pytest.fixture(scope="module")
def four(): return generate_dataset(Sudoku(2, 2), 64, 8)

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [0, 15])
def test_permuting_digits_permutes_the_answer(kind, steps, four):
    "In float64, so that the order in which digits are added up decides nothing."
    config = TrainConfig(arch="trm_equivariant", model={**SIZES, **KINDS[kind]}, global_batch_size=16,
        dtype="float64", device="cpu", lr_warmup_steps=1, ema=False)
    trainer = Trainer(config, four)
    for _ in range(steps): trainer.step()
    model, batch = trainer.averaged(), next(ordered_batches(four.test, 8))
    other = replace(batch, inputs=RENAMED[batch.inputs])
    one, two = (solve_by_step(model, each, 12) for each in (batch, other))
    assert torch.equal(RENAMED[one.tokens], two.tokens) and torch.allclose(one.q_halt, two.q_halt, atol=1e-6)
    with torch.no_grad():
        first, second = (model.read(model.step(x := model.embed(each), model.start(x)))
            for each in (batch, other))
    assert torch.allclose(first.logits, second.logits[..., RENAMED], atol=1e-9)
    assert not torch.allclose(first.logits, second.logits, atol=1e-3)

def test_no_weight_belongs_to_a_digit():
    "So a model for more digits has weights of the same shapes, where a digit's part is as wide."
    def shapes(digits):
        sizes = {**SIZES, "seq_len": 36, "vocab_size": 2 + digits, "hidden_size": 16*digits}
        return {name: t.shape for name, t in build_model("trm_equivariant", sizes).state_dict().items()}
    assert shapes(4) == shapes(6)

@pytest.mark.parametrize("settings, what", [
    ({"hidden_size": 30, "num_heads": 3}, "a multiple of the 4 interchangeable tokens"),
    ({"fixed_tokens": 6}, "a multiple of the 0 interchangeable"),
    ({"num_heads": 16}, "multiple of num_heads")])
def test_what_cannot_be(settings, what):
    with pytest.raises(InputError, match=what):
        build_model("trm_equivariant", {"seq_len": 16, "vocab_size": 6, **SIZES, **settings})

def test_it_says_that_it_cannot_be_exported():
    model = build_model("trm_equivariant", {"seq_len": 16, "vocab_size": 6, **SIZES})
    with pytest.raises(InputError, match="it cannot be exported; export another"): describe(model)
