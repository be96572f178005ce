"Settings that let a model train on late latents: what they do to slots, and that a resumed run knows no difference."
from dataclasses import replace
import pytest, torch
from test_not_finite import CONFIG, everything, same
from trm_lab.core.distributed import ProcessGroup
from trm_lab.core.errors import InputError
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import NEVER, Trainer, late_mask, late_stays

LATE = replace(CONFIG, late_share=0.25, late_steps=12, late_stride=3, halt_exploration_prob=0.5)

@pytest.fixture(scope="module")
def four(): return generate_dataset(Sudoku(2, 2), 64, 16)

def stepped(config, four, steps):
    trainer = Trainer(config, four)
    return trainer, [trainer.step() for _ in range(steps)]

# ---- late slots -------------------------------------------------------------------------

def test_late_slots_are_spread_over_processes_and_parts():
    mask = late_mask(TrainConfig(global_batch_size=20, late_share=0.2))
    assert mask.nonzero()[:, 0].tolist() == [4, 9, 14, 19]
    assert not late_mask(TrainConfig()).any()
    for share, size in ((0.29, 100), (0.7, 10), (0.1, 30)):
        assert late_mask(TrainConfig(global_batch_size=size, late_share=share)).sum() == round(share*size)
    with pytest.raises(InputError, match="late_share of 0.01 of 64 slots is not one"):
        late_mask(TrainConfig(late_share=0.01))

def test_a_late_puzzle_stays_for_late_steps_on_average():
    config = TrainConfig(global_batch_size=10_000, late_share=0.5, late_steps=40, late_stride=3)
    late, least = late_mask(config), torch.arange(10_000)
    drawn = late_stays(config, late, least, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[~late], least[~late]) and set(drawn[late].tolist()) == {0, NEVER}
    leaves = (drawn[late] == 0).float().mean().item() # a share of 4/40: ten training steps of four each
    assert abs(leaves - 0.1) < 0.015

def test_a_late_slot_ages_by_its_stride_and_ordinary_ones_do_not_notice(four):
    "The first training step: late rows are what the model gives after four steps, the others after one."
    config = replace(LATE, lr=1e-30, puzzle_emb_lr=0., weight_decay=0., train_steps=100)
    (trainer, [first]), (plain, _) = stepped(config, four, 1), stepped(replace(config, late_share=0.), four, 1)
    late, model = late_mask(config), trainer.model
    assert first["steps"].tolist() == [4 if is_late else 1 for is_late in late]
    with torch.no_grad():
        x = model.embed(trainer.carry.batch)
        state = model.start(x)
        ages = {age: (state := model.step(x, state)) for age in range(1, 5)}
    for name, z in trainer.carry.state.items():
        assert torch.equal(z[~late], plain.carry.state[name][~late])
        assert torch.allclose(z[late], ages[4][name][late], atol=1e-5)
        assert not torch.allclose(z[late], ages[1][name][late], atol=1e-2)

def test_a_late_puzzle_stays_although_it_would_halt(four):
    "The halting head says yes to all: ordinary slots take a new puzzle at each step, late ones when drawn to."
    trainer = Trainer(replace(LATE, halt_exploration_prob=0., late_steps=40), four)
    with torch.no_grad(): trainer.model.q_head.bias.fill_(9.)
    late, ages = late_mask(LATE), []
    for _ in range(12):
        metrics = trainer.step()
        ages.append(metrics["steps"])
        assert trainer.carry.halted[~late].all() and not metrics["halted"][late].any()
    ages = torch.stack(ages)
    assert (ages[:, ~late] == 1).all() and (ages[:, late] % 4 == 0).all()
    assert ages[:, late].max() > CONFIG.halt_max_steps*4 and (ages[1:, late] == 4).any()

@pytest.mark.parametrize("accumulate", [1, 2])
def test_with_late_slots_a_resumed_run_is_the_same_run(accumulate, four):
    config = replace(LATE, accumulate=accumulate)
    whole, _ = stepped(config, four, 9)
    half, _ = stepped(config, four, 4)
    again = Trainer(config, four)
    again.restore(half.state())
    for _ in range(5): again.step()
    same(everything(again), everything(whole))

def test_without_late_slots_nothing_is_drawn_for_them(four):
    plain, other = (stepped(replace(CONFIG, late_stride=n), four, 5)[0] for n in (1, 9))
    same(everything(plain), everything(other))
    assert plain.late is None

def test_a_state_that_is_older_than_the_settings_goes_on(four):
    trainer, _ = stepped(CONFIG, four, 3)
    state = trainer.state()
    for name in ("late_share", "late_steps", "late_stride"): del state.values["config"][name]
    again = Trainer(CONFIG, four)
    again.restore(state)
    same(everything(again), everything(trainer))
    with pytest.raises(InputError, match="late_share"): Trainer(LATE, four).restore(state)
