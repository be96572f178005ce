"""A training step beside the reference implementation's, in turn in one process.

PYTHONPATH=. python3 benchmarks/against_reference.py CHECKOUT [--size a128x32x81 …] [--pairs 9] [--seconds 1]

A size is HIDDENxBATCHxTOKENS, with `a` in front for attention in place of an MLP over positions. CHECKOUT is
one of the reference implementation; its model and loss head run as they are. AdamATan2, the moving average
and the boards are ours on both sides. Each pair is a turn of ours and a turn of theirs of at least so many
seconds. Their ratio is taken pair by pair, so that a slow minute falls on both sides; the table
has medians and quartiles. Processor time is fair where others use the machine; wall time stands beside it.
"""
import argparse, statistics, sys, time, types
from collections.abc import Callable
from dataclasses import fields
from itertools import repeat
from pathlib import Path
import torch
from trm_lab.checks.bench import TrainCase, step_flops
from trm_lab.core.device import describe_device
from trm_lab.data.batches import Batch
from trm_lab.training.config import TrainConfig
from trm_lab.training.optimizers import EMA, AdamATan2
from trm_lab.training.trainer import Trainer

SIZES = ("a128x32x81", "a128x8x225", "a128x2x900", "128x32x81", "512x16x81")

def case_of(size:str, device:str="cpu", dtype:str="bfloat16")->TrainCase:
    hidden, batch, tokens = map(int, size.lstrip("a").split("x"))
    return TrainCase(hidden=hidden, batch=batch, tokens=tokens, attention=size[0] == "a", dtype=dtype,
        device=device)

def boards(case:TrainCase)->Batch:
    inputs, labels = torch.randint(1, 11, (2, case.batch, case.tokens),
        generator=torch.Generator().manual_seed(0))
    return Batch(inputs, labels, torch.zeros(case.batch, dtype=torch.long))

def our_step(case:TrainCase)->Callable[[], object]:
    config = TrainConfig("ours", global_batch_size=case.batch, loss="stablemax", optimizer="adam_atan2",
        lr=1e-4, device="cpu", dtype=case.dtype)
    return Trainer(config, None, repeat(boards(case)), case.model()).step

def stand_ins():
    "What the reference needs of einops and pydantic, where they are not installed: one function, one class."
    try: import einops # noqa: F401
    except ImportError:
        from functorch.einops import rearrange
        sys.modules["einops"] = types.ModuleType("einops")
        sys.modules["einops"].rearrange = rearrange
    try: import pydantic # noqa: F401
    except ImportError:
        class BaseModel: # it only keeps settings
            def __init__(self, **given): vars(self).update(given)
        sys.modules["pydantic"] = types.ModuleType("pydantic")
        sys.modules["pydantic"].BaseModel = BaseModel

def their_step(case:TrainCase, compiled:bool=False)->Callable[[], dict]: # metrics of a step
    "A training step as the reference's `pretrain.py` takes it on one device."
    from models.losses import ACTLossHead
    from models.recursive_reasoning.trm import TinyRecursiveReasoningModel_ACTV1
    from models.sparse_embedding import CastedSparseEmbeddingSignSGD_Distributed
    asked = {"batch_size": case.batch, "seq_len": case.tokens, "puzzle_emb_ndim": case.hidden,
        "num_puzzle_identifiers": 1, "vocab_size": 11, "H_cycles": 3, "L_cycles": 6, "H_layers": 0,
        "L_layers": 2, "hidden_size": case.hidden, "expansion": 4., "num_heads": 8,
        "pos_encodings": "rope" if case.attention else "none", "halt_max_steps": 16,
        "halt_exploration_prob": 0.1, "mlp_t": not case.attention, "puzzle_emb_len": 16,
        "no_ACT_continue": True, "forward_dtype": case.dtype, "rms_norm_eps": 1e-5, "rope_theta": 10000.}
    given = {f.name: getattr(boards(case), f.name).int().to(case.device) for f in fields(Batch)}
    with torch.device(case.device):
        head = ACTLossHead(TinyRecursiveReasoningModel_ACTV1(asked), "stablemax_cross_entropy").train()
        carry = head.initial_carry(given)
    rows = CastedSparseEmbeddingSignSGD_Distributed(head.model.puzzle_emb.buffers(), world_size=1,
        lr=1e-4, weight_decay=1.)
    weights, average = AdamATan2(head.parameters(), 1e-4, (0.9, 0.95), 1.), EMA(head, 0.999, False)
    model = torch.compile(head) if compiled else head
    def step():
        nonlocal carry
        carry, loss, metrics, _, _ = model(carry=carry, batch=given, return_keys=[])
        (loss/case.batch).backward()
        for optimizer in (rows, weights): optimizer.step(); optimizer.zero_grad()
        average.update(head)
        return metrics
    return step

def turn(step:Callable[[], object], seconds:float)->tuple[float, float]:
    "Processor and wall seconds of a step."
    begun, calls = (time.process_time(), time.perf_counter()), 0
    while not calls or time.perf_counter() - begun[1] < seconds:
        step()
        calls += 1
    return (time.process_time() - begun[0])/calls, (time.perf_counter() - begun[1])/calls

def peak()->float:
    "The rate of large bfloat16 matrix products now, in operations a second of processor time."
    a, b = torch.rand(2, 1024, 1024).bfloat16()
    return max(2*1024**3/turn(lambda: a @ b, 0.05)[0] for _ in range(3))

def compare(size:str, pairs:int, seconds:float):
    case = case_of(size)
    torch.manual_seed(0)
    ours, theirs, flops = our_step(case), their_step(case), case.batch*step_flops(case.model(), learning=True)
    for _ in range(2): ours(); theirs()
    taken = []
    for i in range(pairs):
        rate = peak()
        if i % 2: b = turn(theirs, seconds); a = turn(ours, seconds)
        else: a = turn(ours, seconds); b = turn(theirs, seconds)
        taken.append((b[0]/a[0], b[1]/a[1], 1e3*a[0], 1e3*b[0], 100*flops/a[0]/rate, 100*flops/b[0]/rate))
    cpu, wall, mine, reference, share, their_share = (statistics.median(column) for column in zip(*taken))
    low, _, high = statistics.quantiles([row[0] for row in taken], n=4) if pairs > 1 else [cpu]*3
    print(f"{size:12} {cpu:6.2f} ({low:.2f}–{high:.2f})  {wall:6.2f}  {mine:8.0f}  {reference:9.0f}"
        f"  {share:11.0f}  {their_share:14.0f}", flush=True)

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", help="of the reference implementation")
    parser.add_argument("--size", action="append",
        help="HIDDENxBATCHxTOKENS, with `a` in front for attention")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1., help="that a turn takes at least")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(given.checkout).resolve()))
    stand_ins()
    torch.set_num_threads(1)
    print(f"{describe_device(torch.device('cpu'), torch.bfloat16)}; torch {torch.__version__}, "
        f"{torch.get_num_threads()} thread, bfloat16, {given.pairs} pairs")
    print("size         times the reference    wall   ours ms  reference  ours % peak  reference % peak")
    for size in given.size or SIZES: compare(size, given.pairs, given.seconds)

if __name__ == "__main__": main()
