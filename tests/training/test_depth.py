"Settings that train on late latents: what they do to slots, and that a resumed run is the same run."
from dataclasses import replace
import pytest, torch
from test_capture import InPlace
from test_not_finite import CONFIG, everything, same
from trm_lab.core.errors import InputError
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import (
    begin, cycles_at, Disturbance, fill, late_mask, late_stays, NEVER, Trainer)

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
    (trainer, [first]), (plain, _) = (stepped(c, four, 1) for c in (config, replace(config, late_share=0.)))
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
    "The halting head says yes to all: ordinary slots take a new puzzle at each step, late ones when drawn."
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

# ---- random starts and noise ------------------------------------------------------------

RANDOM = {"random_start_share": 0.5, "random_start_std": 2., "latent_noise": 0.1}

def begun(config):
    "The latents of many puzzles that have just come, before and after what the settings do to them."
    dataset = generate_dataset(Sudoku(2, 2), 256, 16)
    trainer = Trainer(replace(CONFIG, global_batch_size=256, **config), dataset)
    slots = fill(trainer.source.draw(1, trainer.source.past(True)), None)
    return begin(trainer.model, slots).state["z_L"], trainer._begun(slots).state["z_L"]

def test_a_share_begins_from_normally_distributed_latents():
    start, random = begun({"random_start_share": 0.5, "random_start_std": 2.})
    drawn = (start != random).flatten(1).any(1)
    assert torch.equal(start[~drawn], random[~drawn]) and 0.4 < drawn.float().mean() < 0.6
    assert abs(random[drawn].mean()) < 0.02 and abs(random[drawn].std() - 2) < 0.02

def test_noise_has_its_size_and_comes_in_every_step(four):
    start, noisy = begun({"latent_noise": 0.3})
    assert abs((noisy - start).std() - 0.3) < 0.01
    still = replace(CONFIG, lr=1e-30, puzzle_emb_lr=0., train_steps=100)
    plain, other = (stepped(replace(still, latent_noise=n), four, 2)[0] for n in (0., 0.3))
    busy = ~plain.carry.halted
    assert busy.any() and not torch.allclose(plain.carry.state["z_H"][busy], other.carry.state["z_H"][busy])

def test_random_latents_come_only_with_a_puzzle(four):
    "In the second step all slots are busy."
    config = replace(CONFIG, random_start_share=1., lr=1e-30, puzzle_emb_lr=0., train_steps=100)
    trainer, _ = stepped(config, four, 1)
    before = trainer.carry
    assert not before.halted.any()
    trainer.step()
    with torch.no_grad(): after = trainer.model.step(trainer.model.embed(before.batch), before.state)
    assert torch.allclose(after["z_H"], trainer.carry.state["z_H"], atol=1e-6)

def test_processes_share_the_random_numbers_of_one():
    config, z = TrainConfig(global_batch_size=8, **RANDOM), torch.zeros(4, 3, 5)
    def drawn(slots):
        torch.manual_seed(3)
        return Disturbance(config, slots)._normal(z)
    whole = torch.cat([drawn(slice(0, 4)), drawn(slice(4, 8))])
    assert torch.equal(whole, drawn(slice(0, 8))) and whole.std() > 0.5

@pytest.mark.parametrize("changes", [RANDOM,
    {**RANDOM, "late_share": 0.25, "late_stride": 2, "accumulate": 2},
    {**RANDOM, "late_share": 0.25, "late_stride": 2, "freeze": "answer"}])
def test_with_random_latents_a_resumed_run_is_the_same_run(changes, four):
    config = replace(CONFIG, **changes)
    whole, _ = stepped(config, four, 9)
    state = stepped(config, four, 4)[0].state()
    torch.manual_seed(99)
    again = Trainer(config, four)
    torch.randn(7)
    again.restore(state)
    for _ in range(5): again.step()
    same(everything(again), everything(whole))

# ---- cycles that grow -------------------------------------------------------------------

GROWING = replace(CONFIG, train_steps=12, L_cycles_start=1, L_cycles_growth=0.5,
    model={**CONFIG.model, "L_cycles": 3})

def test_cycles_grow_by_stages_and_the_finished_model_has_its_own(four):
    trainer, seen = Trainer(GROWING, four), []
    for _ in range(12):
        trainer.step()
        seen.append(len(trainer.model.schedule()) - 1)
        assert trainer.averaged().config.L_cycles == 3
    assert seen == [1]*3 + [2]*3 + [3]*6
    assert [cycles_at(CONFIG, 3, step) for step in (1, 9)] == [3, 3]
    assert cycles_at(replace(GROWING, L_cycles_growth=0.), 3, 1) == 3

def test_a_run_that_is_resumed_between_stages_is_the_same_run(four):
    whole, _ = stepped(GROWING, four, 9)
    for at in (3, 5, 6):
        again = Trainer(GROWING, four)
        again.restore(stepped(GROWING, four, at)[0].state())
        while again.steps_done < 9: again.step()
        same(everything(again), everything(whole))

def test_each_stage_is_captured_again(four):
    "A stand-in takes the step in place, as a replay does; the trainer asks for another one at each stage."
    trainer, made = Trainer(GROWING, four), []
    def capture():
        made.append(InPlace(trainer))
        return made[-1]
    trainer._capture, trainer.captured = capture, capture()
    plain = Trainer(GROWING, four)
    for _ in range(9): assert torch.equal(plain.step()["loss"], trainer.step()["loss"])
    assert [each.of.L_cycles for each in made] == [3, 1, 2, 3]
    same((plain.state().tensors, {}), (trainer.state().tensors, {}))

def test_where_cycles_cannot_grow(four):
    with pytest.raises(InputError, match="L_cycles_start 4 is more than the model's L_cycles, 3"):
        Trainer(replace(GROWING, L_cycles_start=4), four)
    model = {k: v for k, v in CONFIG.model.items() if not k.endswith("_cycles")}
    with pytest.raises(InputError, match="which the architecture 'fixed_point' does not have"):
        Trainer(replace(CONFIG, arch="fixed_point", L_cycles_start=1, model=model), four)
