"""Positions that know a grid: against the same written out cell by cell, through training,
files and changed weights."""
from dataclasses import asdict
from functools import partialmethod
import numpy as np, pytest, torch
from trm_lab.models.checkpoints import load, save_model, write_published
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import make_batch
from trm_lab.core.errors import InputError
from trm_lab.models.layers import (
    Attention, CastCache, Grid, PairBias, Positions, RelativeBias, RowsAndColumns, attend, cast_once)
from trm_lab.models.layers import POSITIONS, recheck_casts, rms_norm, rope_tables, rotary_2d, apply_rope
from trm_lab.core import fused
from trm_lab.models.trm import TRMConfig, fingerprint
from trm_lab.puzzles.maze import Maze
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer
from trm_lab.models.variants import build_model

GRIDS = [Grid(3, 3), Grid(2, 5, front=2), Grid(4, 3, front=1)]
SMALL = dict(seq_len=36, vocab_size=6, hidden_size=16, num_heads=2, swiglu_multiple=16, H_cycles=1,
    L_cycles=1, puzzle_emb_len=2, rope_theta=10.)
NAMES = ["rope_2d+local_bias", "rope_2d+pair_bias", "relative_bias", "rope+relative_bias", "row_col",
    "rope_2d+row_col_box", "learned+local_bias", "rope+learned"]

def small(names, dtype=torch.float32, seed=0, **settings):
    torch.manual_seed(seed)
    box = {"box": "2x3"} if "box" in names else {}
    return build_model("trm", {**SMALL, "pos_encodings": names, **box, **settings}, dtype=dtype)

def asked(cells=36, count=3, seed=0):
    rng = np.random.default_rng(seed)
    return make_batch(rng.integers(1, 6, (count, cells)), rng.integers(1, 6, (count, cells)))

def places(grid):
    "The row and column of each position; None for those in front."
    return [None]*grid.front + [divmod(cell, grid.cols) for cell in range(grid.rows*grid.cols)]

# ---- what each computes ------------------------------------------------------------------------------------

@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_rope_2d_turns_half_of_the_pairs_by_row_and_half_by_column(grid):
    width, theta = 8, 10.
    cos, sin = (t.double() for t in rotary_2d(grid, width, theta))
    x = torch.randn(1, grid.positions, 1, width, dtype=torch.float64)
    turned = torch.view_as_complex(torch.stack(apply_rope(x, cos, sin)[0, :, 0].chunk(2, -1), -1))
    pairs = torch.view_as_complex(torch.stack(x[0, :, 0].chunk(2, -1), -1))
    for s, place in enumerate(places(grid)):
        row, col = place or (0, 0)
        speeds = [1., theta**-0.5] # of two pairs each
        angles = torch.tensor([row*v for v in speeds] + [col*v for v in speeds], dtype=torch.float64)
        assert torch.allclose(turned[s],
            pairs[s]*torch.polar(torch.ones(4, dtype=torch.float64), angles), atol=1e-6)

def test_rope_2d_of_one_row_is_rope_of_half_of_the_channels():
    cos, sin = rotary_2d(Grid(1, 7), 8, 100.)
    assert all(torch.equal(both[:, 2:4], one[:, :2])
        for both, one in zip((cos, sin), rope_tables(7, 4, 100.)))
    assert (cos[:, :2] == 1).all() and (sin[:, :2] == 0).all()

@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_biases_are_those_of_pairs_and_of_ways(grid):
    heads, where = 3, places(grid)
    pair, relative = PairBias(grid, heads), RelativeBias(grid, heads)
    for bias in (pair, relative):
        assert not bias(torch.float32).any() # at the start
        torch.nn.init.normal_(bias.weight)
    of_pairs, of_ways = (bias(torch.float32).detach() for bias in (pair, relative))
    for q, mine in enumerate(where):
        for k, theirs in enumerate(where):
            if mine is None or theirs is None:
                assert not of_pairs[:, q, k].any() and not of_ways[:, q, k].any()
                continue
            assert torch.equal(of_pairs[:, q, k], pair.weight[:, q - grid.front, k - grid.front])
            down, on = theirs[0] - mine[0], theirs[1] - mine[1]
            assert torch.equal(of_ways[:, q, k], relative.weight[:, grid.rows - 1 + down, grid.cols - 1 + on])

def test_a_local_bias_starts_with_the_distance():
    grid = Grid(3, 4, front=1)
    bias = RelativeBias(grid, 4, local=True)(torch.float32)
    for q, mine in enumerate(places(grid)):
        for k, theirs in enumerate(places(grid)):
            distance = (0 if mine is None or theirs is None
                else abs(mine[0] - theirs[0]) + abs(mine[1] - theirs[1]))
            assert bias[:, q, k].tolist() == [-slope*distance for slope in (2., 1., 0.5, 0.25)]

def test_rows_columns_and_boxes_are_summed_with_the_variance_of_one():
    grid = Grid(4, 6, front=2, box=(2, 3))
    table = RowsAndColumns(grid, 8, boxes=True)
    cells = table(torch.float32)
    assert not cells[:2].any() and len(table.boxes.embedding_weight) == 4
    for cell, (row, col) in enumerate(places(grid)[2:]):
        parts = (table.rows, row), (table.cols, col), (table.boxes, row//2*2 + col//3)
        expected = sum(part.embedding_weight[at] for part, at in parts)/3**0.5
        assert torch.allclose(cells[2 + cell], expected, atol=1e-6)

def test_attention_adds_the_bias_to_the_scores():
    torch.manual_seed(0)
    grid = Grid(2, 3, front=1)
    bias = RelativeBias(grid, 2, local=True).double()
    attention = Attention(8, 2, bias).double()
    x = torch.randn(2, 7, 8, dtype=torch.float64)
    turn = tuple(t.double() for t in rotary_2d(grid, 4))
    q, k, v = (t.view(2, 7, 2, 4) for t in attention.qkv_proj(x).chunk(3, -1))
    q, k = apply_rope(q, *turn), apply_rope(k, *turn)
    mixed, laid_out = torch.zeros(2, 7, 2, 4, dtype=torch.float64), bias(torch.float64)
    for h in range(2):
        for b in range(2):
            mixed[b, :, h] = (q[b, :, h] @ k[b, :, h].T/2 + laid_out[h]).softmax(-1) @ v[b, :, h]
    assert torch.allclose(attention(x, turn), attention.o_proj(mixed.flatten(2)), atol=1e-12)

@pytest.mark.parametrize("dtype, near", [(torch.float64, 1e-12), (torch.bfloat16, 0.03)])
def test_what_processors_compute_is_what_torch_does(dtype, near):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 9, 8, dtype=dtype)
    bias = torch.randn(4, 9, 9, dtype=dtype)
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
    assert torch.allclose(attend(q, k, v, bias), theirs, atol=near)

@pytest.mark.parametrize("cached, kept", [(2**18, 16), (100, 16), (100, 0), (30, 0)])
@pytest.mark.parametrize("names", ["rope", "none", "rope_2d+local_bias", "pair_bias"])
def test_half_a_layer_in_one_function_is_what_its_parts_compute(names, cached, kept, monkeypatch):
    "And all gradients, however scores are divided, kept or not. Three heads of an odd width are not rotated."
    torch.manual_seed(0)
    monkeypatch.setattr(fused, "_CACHED", cached)
    monkeypatch.setattr(fused, "_KEPT", kept)
    if not kept: monkeypatch.setattr(fused, "_FEW", 0)
    grid, heads, width = Grid(2, 3, front=1), 3 if names == "none" else 2, 15 if names == "none" else 16
    kinds = Positions.named(names, "test")
    bias = POSITIONS["bias"][kinds.bias](grid, heads).double() if kinds.bias else None
    attention = Attention(width, heads, bias).double()
    turn = kinds.rotation and tuple(t.double()
        for t in POSITIONS["rotation"][kinds.rotation](grid, width//heads, 10.))
    def gradients(half):
        x = torch.randn(3, 7, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        y = half(x.requires_grad_())
        attention.zero_grad()
        (y*torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        return [y, x.grad, *(p.grad.clone() for p in attention.parameters())]
    parts = gradients(lambda x: rms_norm(x + attention(x, turn)))
    def at_once(x):
        qkv, out = attention.qkv_proj.weight, attention.o_proj.weight
        weights = fused.AttentionWeights(qkv.detach(), out.detach(), heads)
        return fused.attention_norm(x, qkv, out, weights, turn, bias and bias(x.dtype), 1e-5)
    for ours, theirs in zip(gradients(at_once), parts, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-10)

def test_half_a_layer_in_bfloat16_is_as_exact_as_its_parts():
    torch.manual_seed(0)
    attention, turn = Attention(64, 4), rope_tables(40, 16)
    x = torch.randn(2, 40, 64)
    exact, half = rms_norm(x + attention(x, turn)), x.bfloat16()
    def apart(y): return ((y.float() - exact).norm()/exact.norm()).item()
    assert apart(attention.add_norm(half, turn, 1e-5)) < 1.2*apart(rms_norm(half + attention(half, turn)))

def test_rows_of_a_bias_begin_where_a_gpu_reads_them():
    "Ten positions: on a GPU, here a device without numbers, sixteen are allocated."
    bias = PairBias(Grid(3, 3, front=1), 2)
    assert bias(torch.bfloat16).stride() == (100, 10, 1)
    on_meta = bias.to("meta")(torch.bfloat16)
    assert on_meta.shape == (2, 10, 10) and on_meta.stride() == (160, 16, 1)

# ---- in a model --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("names", NAMES)
def test_every_part_learns(names, dtype):
    model = small(names, dtype)
    x = model.embed(asked())
    model.read(model.step(x, model.start(x))).logits.float().square().sum().backward()
    parts = [name for name, _ in model.named_parameters()
        if ".bias.weight" in name or name.startswith("embed_pos")]
    per_layer, table = "bias" in names, {"row_col": 2, "row_col_box": 3, "learned": 1}
    assert len(parts) == 2*per_layer + next((n for name, n in table.items() if name in names.split("+")), 0)
    assert all(dict(model.named_parameters())[name].grad.abs().max() > 0 for name in parts)

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("names", ["rope_2d+local_bias", "pair_bias"])
def test_a_bias_that_was_changed_counts_at_once(names, dtype):
    "By an operation of torch, and behind its back, while converted weights are remembered."
    model, batch = small(names, dtype).eval(), asked()
    def say():
        x = model.embed(batch)
        return model.read(model.step(x, model.start(x))).logits
    weight = model.L_level.layers[0].self_attn.bias.weight
    with torch.no_grad(), cast_once(CastCache()):
        before = say()
        assert torch.equal(say(), before)
        weight.add_(torch.randn_like(weight))
        after = say()
        assert not torch.equal(after, before)
        weight.data.numpy()[...] = 0.
        recheck_casts()
        assert not torch.equal(say(), after)

def test_compiled_it_is_the_same(monkeypatch):
    "Traced with its backward pass, as for a compiler; test_trainer.py has torch compile it to the end."
    traced = partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    data = generate_dataset(Maze(4, 4, 5), 32, 4)
    settings = dict(puzzle="maze-4x4", global_batch_size=4, dtype="float32", holdout=0., lr_warmup_steps=1,
        halt_max_steps=2, model={key: SMALL[key] for key in SMALL if key not in ("seq_len", "vocab_size")}
        | {"pos_encodings": "rope_2d+local_bias"})
    plain, compiled = (Trainer(TrainConfig(**settings, compile=on), data) for on in (False, True))
    for _ in range(2):
        a, b = plain.step(), compiled.step()
        assert (torch.allclose(a["loss"], b["loss"], rtol=1e-4)
            and torch.allclose(a["grad_norm"], b["grad_norm"], rtol=1e-3))

@pytest.mark.parametrize("names", NAMES)
def test_to_a_file_and_back(names, tmp_path):
    model = small(names).eval()
    save_model(tmp_path/"model.safetensors", model, None, {}, "binary")
    again = load(tmp_path/"model.safetensors").model
    assert again.config == model.config and fingerprint(again) == fingerprint(model)
    x, y = (m.embed(asked()) for m in (model, again))
    assert torch.equal(model.step(x, model.start(x))["z_H"], again.step(y, again.start(y))["z_H"])

def test_a_grid_that_is_no_square(tmp_path):
    model = small("rope_2d+relative_bias", grid="4x9").eval()
    assert model.L_level.layers[0].self_attn.bias.weight.shape == (2, 7, 17)
    save_model(tmp_path/"model.safetensors", model, None, {}, "binary")
    assert load(tmp_path/"model.safetensors").model.config.grid == "4x9"
    assert fingerprint(model) != fingerprint(small("rope_2d+relative_bias", grid="9x4").eval())

def test_the_published_format_refuses_them(tmp_path):
    model = small("rope_2d", swiglu_multiple=256).eval()
    with pytest.raises(InputError,
            match="the reference has no pos_encodings 'rope_2d', only rope, learned and none"):
        write_published(tmp_path/"step_1", model)
    write_published(tmp_path/"step_1", small("rope", swiglu_multiple=256).eval())
    text = (tmp_path/"all_config.yaml").read_text(encoding="utf-8")
    assert "grid" not in text and "box" not in text

def test_names():
    assert (Positions.named("local_bias+rope_2d", "x") == Positions.named("rope_2d+local_bias", "x")
        == Positions("rope_2d", "local_bias"))
    assert asdict(Positions.named("none", "x")) == {"rotation": None, "bias": None, "embedding": None}
    assert [Positions.named(name, "x").on_grid for name in ("rope+learned", "none", "rope+pair_bias")] == [
        False, False, True]

@pytest.mark.parametrize("settings, what", [
    ({"pos_encodings": "rope2d"}, "pos_encodings 'rope2d' is not known .did you mean 'rope_2d'"),
    ({"pos_encodings": "rope+rope_2d"}, "rope and rope_2d are of the same kind .rotation"),
    ({"pos_encodings": "rope_2d+none"}, "'none' cannot be combined with others"),
    ({"pos_encodings": "rope+"}, "pos_encodings '' is not known"),
    ({"pos_encodings": "rope_2d", "hidden_size": 12},
        "rope_2d needs heads whose width is a multiple of 4, found hidden_size/num_heads = 6"),
    ({"pos_encodings": "local_bias", "mlp_t": True}, "act in attention, which mlp_t replaces"),
    ({"pos_encodings": "rope_2d", "seq_len": 35},
        "35 cells are not 5×5; give rows and columns, as in grid: 6x9"),
    ({"pos_encodings": "rope_2d", "grid": "5x8"}, "36 cells are not 5×8"),
    ({"grid": "six"}, "grid size 'six' is not understood"),
    ({"pos_encodings": "row_col_box"}, "box, as in 2x3, belongs to pos_encodings row_col_box"),
    ({"box": "2x3"}, "give both or neither"),
    ({"pos_encodings": "row_col_box", "box": "4x3"}, "such boxes do not fill a grid of 6×6"),
    ({"pos_encodings": "row_col_box", "box": "0x3"}, "such boxes do not fill")])
def test_what_cannot_be(settings, what):
    with pytest.raises(InputError, match=what): build_model("trm", {**SMALL, **settings})

def test_positions_by_reading_order_need_no_grid():
    build_model("trm", {**SMALL, "seq_len": 35, "pos_encodings": "rope"})
    assert TRMConfig(35, 6).layout() == Grid(1, 35, 16)

# ---- mazes to learn from -----------------------------------------------------------------------------------

def test_mazes_by_the_length_of_their_shortest_path():
    from trm_lab.puzzles.maze import _all_shortest
    maze = Maze(6, 7, 9)
    made = [generate_dataset(maze, 40, 20, seed=1, difficulty="path12", processes=n) for n in (1, 2)]
    questions = np.concatenate([made[0].train.inputs, made[0].test.inputs])
    assert _all_shortest(questions, 6, 7).min() == 12
    assert (made[0].fingerprint == made[1].fingerprint
        and made[0].metadata.origin == "generated by maze-6x7, path12, seed 1")
    usual = generate_dataset(maze, 40, 20, seed=1)
    assert _all_shortest(usual.train.inputs, 6, 7).min() == 9 and maze.difficulties[0] == "path9"
    with pytest.raises(InputError,
            match="maze-6x7 has no difficulties like 'path42'; say how many steps .* as in path9"):
        generate_dataset(maze, 40, 20, difficulty="path42")
