"""The Explorer: what is on the page and what its kernel answers, and that a real browser walks through it,
from a file and in JupyterLab."""
import base64, copy, html.parser, json, os, re, socket, subprocess, sys, time, urllib.request
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
import nbformat, numpy as np, pytest, torch
from PIL import Image
from conftest import PATIENCE
from trm_lab.interp.session import Session, puzzle_batch
from trm_lab.interp.interventions import ZeroAblation
from trm_lab.interp.stages import update_stages
from trm_lab.models.checkpoints import Loaded, load_pretrained
from trm_lab.data.datasets import dataset_of
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import make_batch, ordered_batches
from trm_lab.core.errors import InputError
from trm_lab.views.explorer import REQUESTS, Explorer
from trm_lab.views.packs import VERDICTS
from trm_lab.views.page import html_page, save_html
from trm_lab.models.halting import BinaryHalting, Halting, QLearningHalting
from trm_lab.puzzles.arc import Arc
from trm_lab.puzzles.base import Drawing, Puzzle, Permutation, Verdict, _registered, register
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.rush_hour import RushHour
from trm_lab.puzzles.sokoban import Sokoban
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.solve import solve, solve_by_step
from trm_lab.interp.trace import Site, read_trace, run_with_trace
from trm_lab.models.variants import ARCHITECTURES, build_model

FORK = Site(2, 0, 0, "z_L") # where the browser tests branch off

@pytest.fixture(scope="module")
def loaded(): return load_pretrained("sudoku-6x6")

@pytest.fixture(scope="module")
def solved(loaded):
    "A few fresh puzzles, the first one solved, and their recursion."
    generator = loaded.puzzle.generate(np.random.default_rng(5))
    examples = [next(generator) for _ in range(4)]
    batch = make_batch(*map(np.stack, zip(*examples)))
    trace = run_with_trace(loaded.model, batch, 16)
    order = (trace.tokens[-1] == batch.labels).all(1).int().argsort(descending=True, stable=True)
    trace = run_with_trace(loaded.model, batch.rows(order), 16)
    assert (trace.tokens[-1, 0] == trace.batch.labels[0]).all(), ("none of four puzzles was solved: "
        "is this the shipped model?")
    return trace

def small(puzzle, arch="trm", **settings):
    "An untrained model for a type of puzzle."
    torch.manual_seed(1)
    few = {"H_cycles": 2, "L_cycles": 2, "H_layers": 2, "rounds": 2, "evaluations": 3}
    few = {name: n for name, n in few.items() if hasattr(ARCHITECTURES[arch].Config, name)}
    model = build_model(arch, {"seq_len": puzzle.seq_len, "vocab_size": puzzle.vocab_size, "hidden_size": 16,
        "num_heads": 2, "swiglu_multiple": 16, "puzzle_emb_len": 1, **few, **settings}).eval()
    with torch.no_grad(): model.q_head.weight.normal_()
    return model

def arrays(told, blob):
    "A pack's arrays, read as the page reads them."
    return {a["name"]: np.frombuffer(blob, f"<{a['kind']}", int(np.prod(a["shape"])), a["offset"]).reshape(
            a["shape"]) for a in told["arrays"]}

class Page:
    "Asks an Explorer as its page does: in JSON, and gets bytes."
    def __init__(self, explorer):
        self.explorer, self.heard = explorer, []
        explorer.send = lambda content, buffers=None: self.heard.append(
            (json.loads(json.dumps(content, allow_nan=False)), buffers))

    def ask(self, ask, **what):
        self.explorer._handle_custom_msg(json.loads(json.dumps({"id": 7, "ask": ask, **what})), [])
        answer, blobs = self.heard.pop()
        assert answer["id"] == 7 and not self.heard
        assert "error" not in answer, answer["error"]
        return answer, blobs

    def pack(self, run):
        told, (blob,) = self.ask("run", run=run)
        return told, arrays(told, blob)

    def refuse(self, *message):
        self.explorer._handle_custom_msg(*message, [])
        answer, blobs = self.heard.pop()
        assert (not self.heard and not blobs and isinstance(answer["error"], str)
            and "\n" not in answer["error"] and set(answer) == {"id", "error"})
        return answer["error"]

# ---- what is on the page -----------------------------------------------------

def check_pack(run, told, data):
    "A pack against the run itself, at its ends and at every fifth frame between."
    session, fork, end = run.session, run.fork, run.length
    assert ((told["run"], told["fork"], told["length"], told["steps"]) == (run.key, fork, end, run.steps)
        and len(data["plane"]) == end - fork + 1)
    scale = told["scale"]
    position = lambda kind, low, high, plane: low + data[kind][plane]/255*(high - low)
    for k, f in enumerate(range(fork, end + 1)):
        site = run.place(f)
        if 4 < k < end - fork - 4 and f % 5: continue
        for n, name in enumerate(session.names):
            plane, z = data["plane"][k, n], run.latent(site, name).float()
            if f == 0: assert (data["tokens"][plane] == run.question).all()
            else:
                share, tokens = run.decode(site, name).softmax(-1).max(-1)
                assert (data["tokens"][plane] == tokens.numpy()).all(), f"{name} at {site}"
                assert np.abs(data["confidence"][plane]/255 - share.numpy()).max() <= 0.5/255 + 1e-6
            low, high = scale["norm"]
            assert (np.abs(position("norm", low, high, plane) - z.square().mean(-1).sqrt().numpy()).max()
                <= (high - low)/255 + 1e-6)
        if f and site == run.trace.at(step=site.step)[-1]:
            assert np.isclose(data["halting"][k],
                session.belief(run.trace)[site.step - 1, run.row], atol=1e-6)
            assert (data["tokens"][data["plane"][k, 0]] == run.tokens[site.step - 1].numpy()).all()
        if k and f:
            which, before, now = (site.name,
                run.latent(run.place(f - 1), site.name).float(), run.latent(site).float())
            assert (data["renewed"][k] == session.names.index(which)
                and np.isclose(data["change"][k], (now - before).square().mean().sqrt(), atol=1e-5))
            final = run.latent(run.place(end), which).float()
            assert np.isclose(data["toward"][k],
                torch.cosine_similarity(now.flatten(), final.flatten(), 0), atol=1e-4)
            visits = [g for g in range(fork, f + 1) if g and run.place(g).name == which]
            if len(visits) > 1 and g_own(run, visits[-2]):
                earlier = (run.latent(run.place(visits[-2]), which)
                    - run.latent(run.place(visits[-2] - 1), which))
                assert np.isclose(data["turn"][k], torch.cosine_similarity((now - before).flatten(),
                        earlier.float().flatten(), 0), atol=1e-3)
    for plane, tokens in list(enumerate(data["tokens"]))[::9]:
        try: wrong = session.puzzle.draw(run.question, tokens).wrong
        except InputError: wrong = (False,)*session.puzzle.seq_len
        assert tuple(np.unpackbits(data["wrong"][plane])[:len(wrong)].astype(bool)) == wrong
    assert (data["question"] == run.question).all() and np.isfinite(data["path"]).all()

def g_own(run, frame): return frame > run.fork or run.parent is None

def test_every_frame_is_what_the_run_decodes(loaded, solved):
    explorer = Explorer(solved, puzzle=loaded.puzzle)
    page, header = Page(explorer), explorer.header
    assert (json.loads(json.dumps(header, allow_nan=False)) and header["first"] == "0"
        and header["packs"][0]["run"] == "0")
    assert (told := page.ask("run", run="0"))[1][0] == explorer.blob and {**told[0], "at": 0,
        "size": len(explorer.blob), "id": 0} == {**json.loads(json.dumps(header["packs"][0])), "id": 0}
    for puzzle in range(4):
        told, data = page.pack(str(puzzle))
        check_pack(explorer.session.root(puzzle), told, data)
        assert (data["solution"] == solved.batch.labels[puzzle].numpy()).all() and told["fitted"] == 4
        if puzzle == 0:
            assert (VERDICTS[data["verdict"][data["plane"][-1, 0]]] == "solved"
                and 0 < sum(told["explained"]["z_H"]) <= 1)

def test_packs_of_branches(loaded, solved):
    explorer = Explorer(loaded, solved.batch)
    page, root = Page(explorer), explorer.session.root(1)
    for frame, edits in ((5, [dict(kind="ZeroAblation", name="z_L", cells=[4, 9])]),
            (0, [dict(kind="Noise", name="z_H", size=0.5, seed=3)]), (32, []),
            (15, [dict(kind="Given", cell=0, token=5), dict(kind="MeanAblation", name="z_H")]), (10, [])):
        told, (blob,) = page.ask("branch", run="1", frame=frame, edits=edits)
        run, data = explorer.session.branches[-1], arrays(told, blob)
        check_pack(run, told, data)
        assert (told["parent"] == "1" and told["fork"] == frame and told["sentence"] == run.sentence
            and [e["kind"] for e in told["edits"]] == [e["kind"] for e in edits])
        assert told["identical"] == (not edits) and (not edits) == (not data["divergence"].any())
        whole = page.pack("1")[1]
        if not edits: # the same numbers as its parent's, but for the fork itself
            for name in ("halting", "toward", "path"):
                assert np.allclose(data[name], whole[name][frame:], atol=1e-5, equal_nan=True), name
            for name in ("change", "turn"):
                assert np.allclose(data[name][1:], whole[name][frame + 1:], atol=1e-3, equal_nan=True), name
        for n, name in enumerate(run.session.names):
            f = min(frame + 3, 32)
            assert np.isclose(data["divergence"][f - frame, n],
                (run.latent(run.place(f), name) - root.latent(root.place(f), name)).square().mean().sqrt(),
                atol=1e-6)
        if edits and edits[0]["kind"] != "Given":
            assert (data["renewed"][0] == run.session.names.index(edits[0]["name"])
                and np.isclose(data["change"][0], data["divergence"][0, data["renewed"][0]], atol=1e-6))
        if edits and edits[0]["kind"] == "Given": assert data["question"][0] == 5 and "solution" not in data
    tree = page.ask("tree")[0]["branches"]
    assert ([t["run"] for t in tree] == ["1.1", "1.2", "1.3", "1.4", "1.5"]
        and all("arrays" not in t for t in tree))
    deeper, (blob,) = page.ask("branch", run="1.1", frame=8,
        edits=[dict(kind="ActivationPatch", name="z_H", of="0")])
    assert deeper["parent"] == "1.1" and deeper["edits"][0]["of"] == "0"
    check_pack(explorer.session.branches[-1], deeper, arrays(deeper, blob))
    # up to its fork a branch is its parent
    assert page.ask("branch", run="1.1", frame=2, edits=[])[0]["parent"] == "1"

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_system_is_packed(arch):
    "One latent or seven, one update a supervision step or many."
    four = Sudoku(2, 2)
    explorer = Explorer(small(four, arch), "1" + "."*15 + "\n" + "."*15 + "2", four, 3)
    page, session = Page(explorer), explorer.session
    check_pack(session.root(1), *page.pack("1"))
    for name in session.names:
        told, (blob,) = page.ask("branch", run="0", frame=1,
            edits=[dict(kind="ZeroAblation", name=name, cells=None)])
        check_pack(session.branches[-1], told, arrays(told, blob))
        shares = arrays(*(lambda a: (a[0], a[1][0]))(page.ask("cell", run=told["run"], cell=2)))["share"]
        run = session.branches[-1]
        for k in (0, len(shares) - 1):
            for n, z in enumerate(session.names):
                assert np.abs(
                    shares[k, n]/255 - run.decode(run.place(k + 1), z)[2].softmax(-1).numpy()).max() < 0.6/255
    side = explorer.header["sides"][0]
    assert (side["names"] == side["readings"] == list(session.names)
        and len(side["updates"]) == len(session.schedule) and side["answer"] == session.answer)
    assert [(c, s, side["names"][n]) for c, s, n in side["updates"]] == [
        (u.cycle, u.substep, u.name) for u in session.schedule]

class Hostile(Puzzle):
    "A type that the library has never seen, whose words want out of the page."
    type, vocab_size, rows, cols = "hostile", 3, 1, 3
    name = "</script><img src=x onerror=alert(1)>"
    @classmethod
    def named(cls, size): return cls()
    def spec(self): return {"type": self.type}
    def parse(self, text):
        if set(text) - set("<&") or len(text) != 3: raise InputError(f"{text} is no puzzle")
        return np.array([1 + "<&".index(c) for c in text], np.uint8)
    def print(self, tokens): return "".join("-<&"[t] for t in tokens)
    def check(self, question, answer):
        return Verdict(True, (), ("</script><b>",)*bool((question != answer).any()))
    def symmetries(self, rng, count): return Permutation(np.tile([2, 1, 0], (count, 1)))
    def draw(self, question, answer):
        return Drawing(1, 3, tuple(["", "<script>", "--><img>"][t] for t in answer),
            (False,)*3, (False,)*3, (None,)*3)
    def generate(self, rng, difficulty=None):
        while True: yield np.array([1, 2, 1], np.uint8), np.array([1, 2, 1], np.uint8)

class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text, self.open = [], {}, None
        self.feed(text); self.close()
    def handle_starttag(self, tag, attributes): self.found.append(tag); self.open = dict(attributes).get("id")
    def handle_data(self, data): self.text[self.open] = self.text.get(self.open, "") + data

def test_a_page_of_a_trace_says_what_became_of_all_its_puzzles(tmp_path):
    "The overview of every puzzle, and why nothing can be changed."
    four = Sudoku(2, 2)
    trace = run_with_trace(small(four), puzzle_batch("1..............2\n"*3, four), 2)
    save_html(replace(trace, model=None), four, tmp_path/"three.html")
    header = json.loads(Tags((tmp_path/"three.html").read_text()).text["trm-header"])
    assert sum(part["to"] - part["from"] for part in header["overview"]) == len(header["packs"]) == 3
    assert "has no model" in header["refused"] and header["packs"][0]["fitted"] == 3

def test_the_picture_is_of_the_puzzle_that_is_shown():
    "Where no widget can run, as in a notebook that is only read."
    explorer = Explorer(Loaded(small(four := Sudoku(2, 2)), four, {}),
        "1..............2\n.3............4.", max_steps=1)
    first = explorer._repr_mimebundle_()[0]["image/png"]
    explorer.show(puzzle=1)
    second = explorer._repr_mimebundle_()[0]["image/png"]
    explorer.show(puzzle=0)
    assert first != second and explorer._repr_mimebundle_()[0]["image/png"] == first

def test_no_text_gets_out_of_its_place(tmp_path):
    "Names of models and types, glyphs, sentences: on the page, in the code and in the errors."
    register(Hostile)
    try:
        evil = Hostile()
        model = Loaded(small(evil), evil, {}, source="</script><img src=x onerror=alert(2)>.safetensors",
            load_call="load('</script>')")
        plain = Loaded(small(Sudoku(2, 2)), Sudoku(2, 2), {})
        explorer = Explorer(model, "<&<\n&&<", max_steps=2)
        page = Page(explorer)
        page.ask("branch", run="0", frame=1, edits=[dict(kind="Given", cell=0, token=2)])
        text = page.ask("page")[0]["text"]
        assert sorted(set(Tags(text).found)) == sorted(
            set(Tags(Page(Explorer(plain, "."*16, max_steps=1)).ask("page")[0]["text"]).found))
        header = json.loads(Tags(text).text["trm-header"])
        assert (header["title"] == evil.name and "onerror" in header["model"]
            and header["glyphs"][1] == "<script>" and "img" not in Tags(text).found)
        assert len(header["packs"]) == 2 and header["kernel"] is False and header["refused"] is None
        assert text.count("</script>") == 3 # its own
        assert "error" in page.explorer._answers({"id": 1, "ask": "</script>"})[0]
    finally: _registered.pop("hostile", None)

TYPES = [(Sudoku(2, 2), "12" + "."*14), (Sudoku(3, 2), "1" + "."*35), (Maze(2, 2), "S  G"),
    (Maze(5, 3), "S  ##     ##  G"), (LightsOut(1, 1), "*"), (LightsOut(3, 2), "*....*"), (Arc(), "012|345"),
    (RushHour(4, 5), "ooBBoooCooAACooooCDD"), (Sokoban(5, 6), "#######@---##-$*-##---.#######")]

@pytest.mark.parametrize("puzzle, text", TYPES, ids=lambda p: getattr(p, "name", "x"))
def test_every_type_is_packed(puzzle, text, tmp_path):
    explorer = Explorer(small(puzzle), text, puzzle, 2)
    page, header = Page(explorer), explorer.header
    check_pack(explorer.session.root(0), *page.pack("0"))
    assert (header["rows"], header["cols"], len(header["glyphs"]), len(header["vocab"])) == (puzzle.rows,
        puzzle.cols, puzzle.vocab_size, puzzle.vocab_size)
    drawing = puzzle.draw(explorer.session.root(0).question, explorer.session.root(0).question)
    for i, token in enumerate(explorer.session.root(0).question):
        assert (header["glyphs"][token], header["colours"][token]) == (drawing.glyphs[i], drawing.colours[i])
    if header["symbols"]:
        assert "".join(header["symbols"][t] for t in explorer.session.root(0).question) == puzzle.print(
            explorer.session.root(0).question)
    explorer.save_gif(tmp_path/"walk.gif")
    film = Image.open(tmp_path/"walk.gif")
    assert film.format == "GIF" and film.n_frames >= 2
    for token in header["askable"]:
        page.ask("branch", run="0", frame=2, edits=[dict(kind="Given", cell=0, token=token)])
    explorer.save_html(tmp_path/"walk.html")

def test_a_question_without_an_answer_is_shown():
    "A wall across a maze: the rules cannot judge it, and the page says so."
    explorer = Explorer(small(Maze(2, 3)), "S G   ", Maze(2, 3), 2)
    page = Page(explorer)
    page.ask("branch", run="0", frame=3, edits=[dict(kind="Given", cell=1, token=1)])
    told, (blob,) = page.ask("branch", run="0.1", frame=7, edits=[dict(kind="Given", cell=4, token=1)])
    assert {VERDICTS[v] for v in arrays(told, blob)["verdict"]} == {"cannot be judged"}
    assert page.ask("overview", **{"from": 0})[0]["total"] == 1

@pytest.mark.filterwarnings("error")
def test_latents_out_of_all_bounds():
    "Noise so large that nothing finite remains: still a pack, and still JSON."
    explorer = Explorer(small(Sudoku(2, 2)), "."*16, Sudoku(2, 2), 2)
    page = Page(explorer)
    for size in (1e30, 3e38):
        told, (blob,) = page.ask("branch", run="0", frame=2,
            edits=[dict(kind="Noise", name="z_L", size=size), dict(kind="Noise", name="z_H", size=size)])
        assert not told["identical"] and arrays(told, blob)["tokens"].max() < 6
        page.ask("cell", run=told["run"], cell=0)
    page.ask("overview", **{"from": 0})

def test_a_trace_without_its_model(tmp_path):
    """Boards at the end of each supervision step, latents everywhere; nothing can be
    computed, and errors say why."""
    four = Sudoku(2, 2)
    questions = np.stack([four.parse("12" + "."*14), four.parse("."*14 + "34")])
    run_with_trace(small(four), make_batch(questions, questions), 3, to=tmp_path/"kept")
    trace = read_trace(tmp_path/"kept")
    explorer = Explorer(trace, puzzle=four)
    page, header = Page(explorer), explorer.header
    assert ("has no model" in header["refused"] and header["kernel"] is True
        and header["sides"][0]["readings"] == ["z_H"])
    for puzzle in (0, 1):
        told, data = page.pack(str(puzzle))
        for step in (1, 2, 3):
            assert (data["tokens"][data["plane"][6*step, 0]] == trace.tokens[step - 1, puzzle].numpy()).all()
        assert (np.isnan(data["halting"][:6]).all()
            and np.isclose(data["halting"][6], trace.q_halt[0, puzzle].sigmoid())
            and (data["change"][1:] > 0).all() and data["norm"].any())
    seen, (blob,) = page.ask("overview", **{"from": 0})
    assert np.allclose(arrays(seen, blob)["halt"], trace.q_halt.sigmoid().T)
    for message in (dict(ask="branch", run="0", frame=1, edits=[]), dict(ask="cell", run="0", cell=0)):
        assert "model" in page.refuse({"id": 1, **message})
    explorer.save_html(tmp_path/"walk.html")
    header = json.loads(Tags((tmp_path/"walk.html").read_text()).text["trm-header"])
    assert [p["run"] for p in header["packs"]] == ["0", "1"]

def test_the_overview_comes_in_portions(loaded):
    "64 puzzles: as solving says, whole after a few questions, and then the planes are those of all."
    generator = loaded.puzzle.generate(np.random.default_rng(6))
    batch = make_batch(*map(np.stack, zip(*(next(generator) for _ in range(64)))))
    explorer = Explorer(loaded, batch, max_steps=5)
    page, parts, at = Page(explorer), [], 0
    assert explorer.header["packs"][0]["fitted"] == 1 and len(explorer.header["puzzles"]) == 64
    while at < 64:
        told, (blob,) = page.ask("overview", **{"from": at})
        assert told["from"] == at and told["total"] == 64
        parts.append(arrays(told, blob)); at = told["to"]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    course = solve_by_step(loaded.model, batch, 5)
    assert np.allclose(whole["halt"], course.q_halt.sigmoid().T, atol=1e-4) and (whole["solved"]
        == (course.tokens == batch.labels).all(-1).T.numpy()).mean() > 0.995 # of another batch size
    assert (whole["same"][:, 1:] == (course.tokens[1:] == course.tokens[:-1]).all(-1).T.numpy()).mean() > 0.99
    stop = BinaryHalting(certain=1., threshold=0.5)
    steps = solve(loaded.model, batch, 5, stop).steps.numpy()
    ours = ((whole["halt"] > 0.5) & (whole["same"] == 1)).argmax(1) + 1
    assert ((ours == steps) | (steps == 5)).mean() > 0.98
    told = page.pack("5")[0]
    assert told["fitted"] == 64 and page.pack("0")[0]["explained"] == told["explained"]
    assert page.ask("overview", **{"from": 0})[1][0] # again, for a page that was mounted anew
    assert len(explorer._answers.sides[0].overview.parts) == len(parts)

# ---- what the kernel answers ---------------------------------------------------

def test_code_from_the_page_makes_the_same_tensors(loaded, solved):
    explorer = Explorer(loaded, solved.batch, max_steps=13)
    page, session = Page(explorer), explorer.session
    page.ask("branch", run="0", frame=9, edits=[
        dict(kind="Noise", name="z_L", size=0.5, seed=4, cells=[1, 2]), dict(kind="Given", cell=3, token=2)])
    page.ask("branch", run="2", frame=0, edits=[dict(kind="ZeroAblation", name="z_H", cells=None)])
    page.ask("branch", run="0.1", frame=13,
        edits=[dict(kind="ActivationPatch", name="z_L", of="2.2", cells=None),
            dict(kind="MeanAblation", name="z_H", cells=[7])])
    for run, beside, frame, reading in (("0.3", "0", 24, "z_H"), ("0.1", "0.3", 12, "renewed"),
            ("2", None, 5, "z_L"), ("2.2", "2", 0, "z_H")):
        text = page.ask("code", run=run, beside=beside, frame=frame, reading=reading, puzzle=0)[0]["text"]
        space = {}
        exec(text, space)
        mine = session.rollout(run)
        assert (torch.equal(space["rollout"].logits, mine.logits)
            and all(torch.equal(space["rollout"].latent(s, n), mine.latent(s, n))
                for s in mine.trace.sites for n in session.names))
        if beside:
            assert (torch.equal(space["other"].logits, session.rollout(beside).logits)
                and space["apart"].identical is False)
        if frame:
            assert torch.equal(space["logits"],
                mine.decode(mine.place(frame), mine.place(frame).name if reading == "renewed" else reading))

def test_two_models_side_by_side(loaded, tmp_path):
    other = Loaded(small(loaded.puzzle, "hrm"), loaded.puzzle, {}, "q_learning")
    text = "..3... ....5. 4....1 .1.... ...2.. .6...4"
    explorer = Explorer.compare(loaded, other, text, max_steps=3)
    page = Page(explorer)
    assert [s["names"] for s in explorer.header["sides"]] == [["z_H", "z_L"]]*2
    check_pack(explorer._answers.sides[1].session.root(0),
        *(lambda told, data: ({**told, "run": told["run"].removeprefix("B:")}, data))(*page.pack("B:0")))
    assert (page.ask("branch", run="B:0", frame=2, edits=[dict(kind="ZeroAblation", name="z_L")])[0]["run"]
        == "B:0.1")
    assert ([t["side"] for t in page.ask("tree")[0]["branches"]] == [1]
        and page.ask("overview", side=1, **{"from": 0})[0]["side"] == 1)
    assert "no latents in common" in page.refuse({"id": 1, "ask": "divergence", "a": "0", "b": "B:0"})
    assert page.ask("divergence", a="B:0", b="B:0.1")[0]["identical"] is False
    text = page.ask("code", run="0", beside="B:0.1", frame=3, reading="z_H")[0]["text"]
    space = {"model_2": other.model}
    exec(text, space)
    assert torch.equal(space["other"].decode(space["other"].place(5)),
        explorer._answers.sides[1].session.branches[0].decode(
            explorer._answers.sides[1].session.branches[0].place(5)))
    explorer.save_html(tmp_path/"two.html")
    assert [p["run"] for p in json.loads(
        Tags((tmp_path/"two.html").read_text()).text["trm-header"])["packs"]] == ["0", "B:0", "B:0.1"]
    with pytest.raises(InputError, match="cannot be compared"):
        Explorer(Session(loaded, text := "."*36, 1),
            beside=Session(small(Sudoku(2, 2)), "."*16, 1, Sudoku(2, 2)))

def test_wrong_messages_are_answered_with_a_sentence(loaded, solved, capfd):
    "Whatever comes, nothing is raised and nothing is printed."
    page = Page(Explorer(loaded, solved.batch, max_steps=1))
    good = {"run": dict(run="0"), "tree": {}, "overview": {"from": 0}, "branch":
        dict(run="0", frame=1, edits=[dict(kind="ZeroAblation", name="z_L")]), "cell": dict(run="0", cell=1),
        "latents": dict(run="0", frame=1, name="z_H"), "stages": dict(run="0", frame=1, cell=1),
        "findings": dict(puzzle=0), "divergence": dict(a="0", b="0"),
        "code": dict(run="0", frame=1, reading="z_H"), "gif": dict(run="0"), "page": {}}
    assert set(good) == set(REQUESTS)
    for ask, fields in good.items():
        page.ask(ask, **fields)
        for field in fields:
            for wrong in (None, "nowhere", -5, 999, 1.5, [], {}, [{}], [[1]], "B:0", "0.99", True):
                if ((ask, field) == ("branch", "edits") and wrong == []
                        or (ask, field, wrong) == ("cell", "cell", 1)):
                    continue
                page.refuse({"id": 3, "ask": ask, **fields, field: wrong})
    for message in (None, 3, "run", [], {}, {"id": 1}, {"ask": None}, {"ask": []}, {"ask": "__init__"},
            {"ask": "sides"}, {"ask": "find", "run": "0"}, {"id": {"a": 1}, "ask": "nothing"}):
        page.refuse(message)
    for edit, what in [(dict(kind="ZeroAblation"), "needs name"),
            (dict(kind="ZeroAblation", name="z_Q"), "no latent 'z_Q'"),
            (dict(kind="ZeroAblation", name="z_L", cells=[99]), "no cell 99"),
            (dict(kind="ZeroAblation", name="z_L", cells=[]), "no cells"),
            (dict(kind="ZeroAblation", name="z_L", cells="12"), "list of cells"),
            (dict(kind="Edit"), "is not known"),
            (dict(kind="ActivationPatch", name="z_L", of="9"), "no puzzle 9"),
            (dict(kind="ActivationPatch", name="z_L"), "needs name, of"),
            (dict(kind="Noise", name="z_L", size=-1), "standard deviation"),
            (dict(kind="Noise", name="z_L", size="x"), "could not be computed"),
            (dict(kind="Given", cell=0, token=99), "does not hold the token 99"),
            (dict(kind="Given", cell=0, token=0), "token 0")]:
        assert what in page.refuse({"id": 1, "ask": "branch", "run": "0", "frame": 2, "edits": [edit]})
    assert len(page.explorer.session.branches) == 1
    assert capfd.readouterr() == ("", "")

def test_show_from_code(loaded, solved):
    explorer = Explorer(loaded, solved.batch)
    root = explorer.session.root(2)
    branch = root.branch(root.place(12), ZeroAblation("z_L"))
    explorer.show(rollout=branch, site=branch.site, reading="renewed", beside=root)
    assert explorer.header["view"] == {"run": "2.1", "puzzle": 2, "frame": 12,
        "reading": "renewed", "beside": "2"}
    explorer.show(puzzle=3, site=5)
    assert explorer.header["view"] == {"run": "3", "puzzle": 3, "frame": 5}
    for wrong, what in [(dict(puzzle=9), "no puzzle 9"), (dict(rollout="2.9"), "no rollout"),
            (dict(site=999), "choose from 0 to 32"), (dict(reading="z_Q"), "not known"),
            (dict(rollout="2", beside="x"), "no rollout 'x'")]:
        with pytest.raises(InputError, match=what): explorer.show(**wrong)

def test_a_large_board_is_a_small_page(tmp_path):
    "30×30, sixteen supervision steps of 21 updates: under 5 MB."
    maze = Maze(30, 30)
    rng = np.random.default_rng(0)
    grid = np.where(rng.random((30, 30)) < 0.3, "#", " ")
    grid[0], grid[:, 29] = " ", " "
    grid[0, 0], grid[29, 29] = "S", "G"
    model = small(maze, H_cycles=3, L_cycles=6, hidden_size=8, swiglu_multiple=8, puzzle_emb_len=16)
    explorer = Explorer(model, "".join(grid.ravel()), maze)
    explorer.save_html(tmp_path/"maze.html")
    size = (tmp_path/"maze.html").stat().st_size
    print(f"\n30×30, {explorer.session.root(0).length} updates: pack {len(explorer.blob)/1e6:.2f} MB, "
        f"page {size/1e6:.2f} MB")
    assert explorer.session.root(0).length == 336 and size < 5e6
    told, data = Page(explorer).pack("0")
    assert data["component"].shape == (len(data["norm"]), 3, 916) and len(data["tokens"]) <= 340

def test_puzzles_that_left_end_where_they_left(loaded, solved, tmp_path):
    trace = run_with_trace(loaded.model, solved.batch, 16, BinaryHalting())
    explorer = Explorer(trace, puzzle=loaded.puzzle)
    page = Page(explorer)
    assert ("name the halting rule" in explorer.header["refused"]
        and "halting rule" in page.refuse({"id": 1, "ask": "branch", "run": "0", "frame": 1, "edits": []}))
    for i in range(4):
        told, data = page.pack(str(i))
        assert (told["steps"] == trace.steps[i]
            and told["length"] == told["steps"]*len(trace.schedule) == len(data["plane"]) - 1)
        assert ((data["tokens"][data["plane"][-1, 0]] == trace.tokens[-1, i].numpy()).all()
            and np.isclose(data["halting"][-1], torch.sigmoid(trace.q_halt[-1, i]), atol=1e-5))
    save_html(trace, loaded.puzzle, tmp_path/"walk.html")
    assert len(json.loads(Tags((tmp_path/"walk.html").read_text()).text["trm-header"])["packs"]) == 4

def test_text_becomes_puzzles(loaded, solved, tmp_path):
    one, two = (loaded.puzzle.print(q) for q in solved.batch.inputs[:2].numpy())
    answers = [loaded.puzzle.print(a) for a in solved.batch.labels[:2].numpy()]
    (tmp_path/"two.csv").write_text(
        "source,question,answer,rating\n" + "".join(f"x,{q},{a},0\n" for q, a in zip((one, two), answers)))
    examples = [(solved.batch.inputs[i].numpy(), solved.batch.labels[i].numpy()) for i in range(2)]
    split = dataset_of(loaded.puzzle, examples, examples).test
    for puzzles, count in ((one, 1), (f"{one}\n{two}\n", 2),
            ("\n".join(one[i:i + 6] for i in range(0, 36, 6)), 1), (tmp_path/"two.csv", 2),
            (str(tmp_path/"two.csv"), 2), (split, 2), (solved.batch, 4)):
        explorer = Explorer(loaded, puzzles, max_steps=1)
        assert len(explorer.session) == count and (
            explorer.session.labelled or isinstance(puzzles, str) and "csv" not in puzzles)
        explorer.close()
        assert explorer.blob == b"" and explorer.session is None and repr(explorer) == "Explorer, closed"
    explorer._handle_custom_msg({"id": 1, "ask": "tree"}, []) # a page that has not yet heard of it

# ---- in a browser ------------------------------------------------------------

PANELS = ("path", "halting", "latents", "cell", "branches", "flow") # keys 1 to 6

@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    "Where screenshots go."
    folder = Path(os.environ.get("TRM_LAB_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder

@pytest.fixture(scope="module")
def walked(loaded, solved):
    """An Explorer that has tried something: branch 1 goes on unchanged, branch 2 without z_L, and
    all puzzles were looked at."""
    explorer = Explorer(loaded, solved.batch)
    root = explorer.session.root(0)
    for edits in ((), (ZeroAblation("z_L"),)): root.branch(FORK, *edits)
    for i in range(1, len(solved.batch)): explorer.session.root(i)
    seen = 0
    while seen < len(solved.batch):
        seen = explorer._answers({"id": "test", "ask": "overview", "from": seen})[0]["to"]
    return explorer

def explorer_on(page): return page.locator(".trm-explorer")
def told(page): return explorer_on(page).evaluate("e => ({...e.dataset})") # what the page says that it shows

def keys(page, *names):
    explorer_on(page).focus()
    for name in names: page.keyboard.press(name)

def until(page, **said):
    "Wait until the page says so."
    page.wait_for_function("said => { const d = document.querySelector('.trm-explorer')?.dataset; "
        "return d && Object.entries(said).every(([k, v]) => d[k] === v); }", arg=said)

def press(page, name): page.get_by_role("button", name=name).first.click()
def choose(page, what, value): page.get_by_role("combobox", name=what, exact=True).select_option(value)

def click_cell(page, cell, rows=6, cols=6):
    box = page.locator(".trm-board").first.bounding_box()
    side = min((box["width"] - 4)/cols, (box["height"] - 4)/rows)
    page.mouse.click(box["x"] + (box["width"] - side*cols)/2 + (cell % cols + 0.5)*side,
        box["y"] + 2 + (cell//cols + 0.5)*side)

def drag_threshold(page, to):
    "Move the handle in the chart of the halting probability."
    box = page.locator(".trm-drag").bounding_box()
    y = lambda share: box["y"] + 6 + (box["height"] - 12)*(1 - share)
    page.mouse.move(box["x"] + box["width"] - 8, y(float(told(page)["threshold"])))
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"]/2, y(0.5))
    page.mouse.move(box["x"] + box["width"]/2, y(to))
    page.mouse.up()

def walk_to_the_end(page):
    "Press the right arrow from the question to the end; what the page said at each frame."
    keys(page, "Home")
    said = [told(page)]
    for _ in range(int(said[0]["frames"])):
        page.keyboard.press("ArrowRight")
        said.append(told(page))
    return said

def check_walk(said, run):
    "Every update was shown, in order, and the last board is the solution."
    puzzle, trace = run.session.puzzle, run.trace
    assert [s["site"] for s in said] == ["question",
        *(f"{s.step}.{s.cycle}.{s.substep}.{s.name}" for s in trace.sites)]
    assert said[0]["board"] == puzzle.print(run.question)
    for step in range(1, 17):
        assert said[step*len(trace.schedule)]["board"] == puzzle.print(run.tokens[step - 1].numpy())
    assert said[-1]["verdict"] == "solved"

def check_halting(page, session):
    "Where the page would stop is where the library stops."
    keys(page, "2", "Home")
    for threshold in (0.2, 0.97):
        drag_threshold(page, threshold)
        said = told(page)
        assert abs(float(said["threshold"]) - threshold) < 0.03 and said["policy"] == "settled"
        stopped = run_with_trace(session.model, session.batch.rows([0]), 16,
            BinaryHalting(threshold=float(said["threshold"])))
        assert said["stop"] == str(int(stopped.steps[0])), threshold
    slider = page.get_by_role("slider", name="threshold")
    slider.focus(); page.keyboard.press("ArrowLeft")
    assert (abs(float(told(page)["threshold"]) - float(said["threshold"]) + 0.01) < 1e-6
        and told(page)["frame"] == "0") # the arrow was the slider's
    press(page, "verified")
    legal = [session.puzzle.check(session.root(0).question, t.numpy()).solved for t in session.root(0).tokens]
    assert told(page)["stop"] == str(legal.index(True) + 1)
    press(page, "fixed")
    assert told(page)["stop"] == "16"
    page.get_by_role("slider", name="supervision steps").focus(); page.keyboard.press("Home")
    assert told(page)["stop"] == "1"
    press(page, "settled")

def check_flow(page, rollout, cell, channel, frame=None):
    "The panel One update has every number of a cell's channel, as Python takes the update apart."
    frame = int(told(page)["frame"]) if frame is None else frame
    page.wait_for_function("end => document.querySelector('.trm-explorer').dataset.stages.endsWith(end)",
        arg=f" {frame} {cell}")
    page.get_by_role("spinbutton", name="channel of the vectors").fill(str(channel))
    stages = update_stages(rollout, frame)
    position = len(stages.old) - rollout.question.size + cell
    at = lambda z: float(z.expand(len(stages.old), -1)[position, channel])
    wanted = [*map(at, stages.terms.values()), at(stages.sum)]
    for layer in stages.layers: wanted += map(at, (layer.mix, layer.mixed, layer.mlp, layer.after))
    wanted += map(at, (stages.old, stages.new) if stages.update.name in stages.terms else (stages.new,))
    rows = page.locator(".trm-flow tbody tr").evaluate_all(
        "rows => rows.map(row => row.children[2].textContent).filter(text => text)")
    found = [float(text.replace("−", "-")) for text in rows]
    assert np.allclose(found, wanted, atol=0.0051), (found, wanted)
    for layer, list_ in enumerate(page.locator(".trm-heard").all()):
        loudest = int(stages.listens(layer, position).mean(0).argmax()) + cell - position
        name = "itself" if loudest == cell else rollout.session.place(loudest)
        assert list_.locator("li").first.inner_text().startswith(f"{name}: ")

def apart(page):
    "A against B at every frame from the start to the present one, largest over the latents."
    return [float(v) for v in told(page)["divergence"].split(",")]

def pace(page, steps):
    """Milliseconds from a key to the frame that the browser paints after it, and those of them in which the
    page worked, for each of the first steps."""
    return explorer_on(page).evaluate("""async (root, steps) => {
        const key = name => root.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
        const frames = [], work = [];
        key("Home");
        while (Number(root.dataset.frame) < Math.min(steps, root.dataset.frames)) {
            const start = performance.now();
            key("ArrowRight"); work.push(performance.now() - start);
            await new Promise(requestAnimationFrame); frames.push(performance.now() - start);
        }
        return [frames, work];
    }""", steps)

def check_pace(where, page, steps=400):
    frames, work = pace(page, steps)
    percentile = lambda values: quantiles(values, n=20)[-1]
    print(f"\n{where}: {len(frames)} steps, from key to frame median {median(frames):.1f} ms, "
        f"95th percentile {percentile(frames):.1f} ms; "
        f"handling and drawing median {median(work):.1f} ms, 95th percentile {percentile(work):.1f} ms")
    assert median(work) < 30

def each_panel(page, pictures, name):
    "A picture of every panel."
    for number, panel in enumerate(PANELS, 1):
        keys(page, str(number))
        until(page, panel=panel)
        page.screenshot(path=pictures/f"{name}-{panel}.png")

@pytest.mark.pace
def test_the_page_walks_from_a_file(walked, open_page, pictures, tmp_path):
    path, session = tmp_path/"walk <b>.html", walked.session
    walked.save_html(path)
    fork, inner = session.root(0).frame(FORK), len(session.schedule)
    for theme in ("light", "dark"):
        page, asked, wrong = open_page(color_scheme=theme, offline=True), [], []
        page.on("request", lambda r: asked.append(r.url))
        page.on("console", lambda m: wrong.append(m.text))
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.goto(path.as_uri())
        page.wait_for_selector(".trm-explorer[data-frame]")
        if theme == "light":
            check_walk(walk_to_the_end(page), session.root(0))
            check_pace("HTML page", page)
            for key, frame in (("Home", 0), ("Shift+ArrowRight", inner), ("ArrowRight", inner + 1),
                    ("Shift+ArrowRight", 2*inner), ("Shift+ArrowLeft", inner), ("ArrowLeft", inner - 1),
                    ("End", 16*inner), ("ArrowRight", 16*inner)):
                page.keyboard.press(key)
                assert told(page)["frame"] == str(frame), key
            page.keyboard.press("Home"); page.keyboard.press(" ") # play, and pause
            page.wait_for_timeout(700)
            page.keyboard.press(" ")
            paused = told(page)["frame"]; page.wait_for_timeout(300)
            assert 0 < int(paused) < 16*inner and told(page)["frame"] == paused
            choose(page, "puzzle", "1"); until(page, puzzle="1", run="1")
            keys(page, "["); until(page, puzzle="0", run="0")
            keys(page, "?"); assert page.locator(".trm-help").is_visible()
            page.keyboard.press("Escape"); assert page.locator(".trm-help").is_hidden()
            keys(page, "Home", *["ArrowRight"]*(inner + 3), "v")
            assert told(page)["reading"] == "z_L" and told(page)["board"] == session.puzzle.print(
                session.root(0).decode(session.root(0).place(inner + 3), "z_L").argmax(-1).numpy())
            page.keyboard.press("v"); page.keyboard.press("v")
            check_halting(page, session)
        keys(page, "Home", *["ArrowRight"]*(fork + 2), "4")
        assert "No cell" in page.locator(".trm-says:visible").inner_text()
        page.locator(".trm-board").first.focus()
        for key in ("Enter", "ArrowRight", "ArrowDown", "Enter"):
            page.keyboard.press(key) # from the first cell
        assert told(page)["cell"] == "7"
        click_cell(page, 3)
        assert (told(page)["cell"] == "3" and told(page)["frame"] == str(fork + 2)
            and "without a kernel" in page.locator(".trm-says:visible").inner_text())
        each_panel(page, pictures, f"page-{theme}")
        assert "only replays" in page.locator(".trm-flow").inner_text()
        keys(page, "5")
        assert "need a kernel" in page.locator(".trm-editor").inner_text()
        press(page, "B: show branch 1"); until(page, beside="0.1")
        assert told(page)["identical"] == "true" and told(page)["differs"] == "never" and not any(apart(page))
        press(page, "B: show branch 2"); until(page, beside="0.2")
        assert told(page)["identical"] == "false" and not any(apart(page)[:fork]) and all(apart(page)[fork:])
        page.screenshot(path=pictures/f"page-{theme}-beside.png")
        press(page, "Export")
        assert page.get_by_role("menuitem", name="Film").is_disabled()
        with page.expect_download() as saved: page.get_by_role("menuitem", name="Picture").click()
        saved.value.save_as(pictures/f"page-{theme}-taken.png")
        assert len(np.unique(np.asarray(Image.open(pictures/f"page-{theme}-taken.png").convert("RGB"))[
                ::20, ::20].reshape(-1, 3), axis=0)) > 5
        page.set_viewport_size({"width": 600, "height": 900}) # one column
        assert explorer_on(page).evaluate("e => e.scrollWidth <= e.clientWidth")
        assert asked == [path.as_uri()] and wrong == [], (asked, wrong)

@pytest.mark.pace
def test_a_large_trace_stays_quick(open_page, pictures, tmp_path):
    "A 30×30 board, 16 supervision steps of 21 updates."
    puzzle = Maze(30, 30)
    question, answer = next(puzzle.generate(np.random.default_rng(0)))
    model = small(puzzle, H_cycles=3, L_cycles=6)
    save_html(run_with_trace(model, make_batch(question[None], answer[None]), 16),
        puzzle, tmp_path/"large.html")
    size, page = (tmp_path/"large.html").stat().st_size, open_page(offline=True)
    page.goto((tmp_path/"large.html").as_uri())
    page.wait_for_selector(".trm-explorer[data-frame]")
    assert told(page)["frames"] == "336" and size < 5_000_000
    drawn = page.evaluate("performance.getEntriesByName('trm-drawn')[0].startTime")
    print(f"\n30×30, 336 updates: {size/1e6:.2f} MB, read and drawn {drawn:.0f} ms after the page began")
    click_cell(page, 465, 30, 30)
    for number, panel in enumerate(PANELS, 1):
        keys(page, str(number))
        check_pace(f"30×30, {panel}", page, 400 if panel == "path" else 60)
    page.screenshot(path=pictures/"page-large.png")

def test_whatever_is_missing_is_said(loaded, solved, open_page, tmp_path):
    "No model, one site, one puzzle: every panel says what it has not."
    without, tiny = replace(solved, model=None), LightsOut(2, 2)
    question, answer = next(tiny.generate(np.random.default_rng(0)))
    one = run_with_trace(small(tiny, "direct_transformer"), make_batch(question[None], answer[None]), 1)
    for name, trace, puzzle, cells in (("without", without, loaded.puzzle, 6), ("one", one, tiny, 2)):
        save_html(trace, puzzle, tmp_path/f"{name}.html")
        page, wrong = open_page(offline=True), []
        page.on("console", lambda m: wrong.append(m.text))
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.goto((tmp_path/f"{name}.html").as_uri())
        page.wait_for_selector(".trm-explorer[data-frame]")
        keys(page, "End")
        click_cell(page, 0, cells, cells)
        for number in range(1, 7):
            keys(page, str(number), "v", "m", "Home", "End")
            assert page.locator(".trm-panel:visible").inner_text().strip()
        assert told(page)["cell"] == "0" and told(page)["overview"] == "/".join(2*[str(len(trace.batch))])
        assert not wrong, (name, wrong)

def test_two_models_stand_side_by_side(loaded, solved, open_page, pictures, tmp_path):
    other = small(loaded.puzzle, "trm_hier6")
    explorer = Explorer.compare(loaded, Loaded(other, loaded.puzzle, {}), solved.batch.rows([0]), max_steps=4)
    for side in explorer._answers.sides: side.session.root(0)
    explorer.save_html(tmp_path/"two.html")
    page, wrong = open_page(offline=True), []
    page.on("console", lambda m: wrong.append(m.text)); page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto((tmp_path/"two.html").as_uri())
    page.wait_for_selector(".trm-explorer[data-frame]")
    until(page, beside="B:0")
    inner = len(solved.schedule)
    keys(page, "Home", "Shift+ArrowRight", "Shift+ArrowRight")
    boards = [side.session.puzzle.print(side.session.root(0).tokens[1].numpy())
        for side in explorer._answers.sides]
    assert ([told(page)[name] for name in ("board", "boardBeside")] == boards
        and told(page)["frame"] == str(2*inner)) # after as many supervision steps
    for number in range(1, 7): keys(page, str(number))
    assert page.locator(".trm-tree li").count() == 2 and told(page)["divergence"] == ""
    page.screenshot(path=pictures/"page-two.png")
    assert not wrong, wrong

# ---- the rule to stop ----------------------------------------------------------

class Patient(BinaryHalting):
    "A rule of one's own, over one of the library's."
    def stop(self, output, before=None): return super().stop(output, before) & (output.q_halt > 4)

class Bold(Halting):
    "Another, which overrides what Halting leaves open."
    def losses(self, output, solved, steps, ahead): return {}
    def done(self, output): return output.q_halt > 0
    def sure(self, output): return output.q_halt > -1

RULES = {"usual": None, "default": BinaryHalting(), "strict": BinaryHalting(threshold=0.9, certain=1.),
    "eager": BinaryHalting(threshold=0.125, certain=0.),
    "q": QLearningHalting(certain=0.95), "patient": Patient(), "bold": Bold()}
LIKE_OTHERS = "default", "eager", "patient"

@pytest.fixture(scope="module")
def many(loaded):
    "Puzzles of which some need many steps."
    return next(ordered_batches(generate_dataset(loaded.puzzle, 1, 24, seed=77).test, 24))

@pytest.fixture(scope="module")
def preferring(loaded):
    "The shipped model with a second action, so that Q-learning's comparison is not one with zero."
    model = copy.deepcopy(loaded.model)
    with torch.no_grad():
        model.q_head.weight[1] = 0.3*model.q_head.weight[0] + 0.02*torch.randn_like(model.q_head.weight[1])
    return replace(loaded, model=model)

def marked(page, count, prefix=""):
    "Where the page says that each puzzle stops."
    stops = []
    for i in range(count):
        choose(page, "puzzle", str(i)); until(page, puzzle=str(i), run=f"{prefix}{i}")
        stops.append(int(told(page)["stop"]))
    return stops

def mean_steps(page):
    return float(re.search(r"24 puzzles: ([\d.]+) steps on average",
        page.locator(".trm-panel:visible").inner_text())[1])

@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.soak]*(name in LIKE_OTHERS))
    for name in RULES])
def test_the_page_stops_by_the_rule_that_was_given(loaded, preferring, many, open_page, tmp_path, name):
    "Each puzzle's mark, and the mean over all, are where Python's runs ended, whatever the rule."
    rule, model = RULES[name], preferring if name == "q" else loaded
    session = Session(model, many, halting=rule)
    explorer = Explorer(session)
    ended = [session.root(i).steps for i in range(24)]
    assert set(ended) == {16} if rule is None else len(set(ended)) > 1
    if rule is None: ended = solve(model.model, many, 16, model.policy(16)).steps.tolist()
    overview = explorer._answers.sides[0].overview
    while len(overview) < 24: overview.part(len(overview))
    explorer.save_html(tmp_path/"walk.html")
    page = open_page(offline=True)
    page.goto((tmp_path/"walk.html").as_uri())
    page.wait_for_selector(".trm-explorer[data-frame]")
    said = told(page)
    assert (said["policy"] == "given"
        and said["rule"] == {"usual": "usual", "patient": "own", "bold": "own"}.get(name, "given"))
    keys(page, "2")
    assert marked(page, 24) == ended
    panel, slider = page.locator(".trm-panel:visible"), page.get_by_role("slider", name="threshold")
    assert abs(mean_steps(page) - np.mean(ended)) < 0.051
    if said["rule"] == "own":
        assert slider.is_hidden() and f"{type(rule).__name__}, is your own Python code" in panel.inner_text()
        return
    shown = (rule or model.policy(16)).threshold
    assert float(said["threshold"]) == shown and f"above {100*shown:g} %" in panel.inner_text()
    slider.focus(); page.keyboard.press("Home")
    # moved: it is the given rule no more
    assert told(page)["policy"] == "settled" and told(page)["threshold"] == "0"
    press(page, "given")
    assert marked(page, 24) == ended

def test_two_models_stop_by_a_rule_each(loaded, many, open_page, tmp_path):
    first, second = (Session(loaded, many.rows(range(6)), halting=rule)
        for rule in (BinaryHalting(), BinaryHalting(threshold=0.97, certain=1.)))
    ended = [[session.root(i).steps for i in range(6)] for session in (first, second)]
    assert ended[0] != ended[1]
    Explorer(first, beside=second).save_html(tmp_path/"two.html")
    page = open_page(offline=True)
    page.goto((tmp_path/"two.html").as_uri())
    until(page, beside="B:0")
    keys(page, "2")
    for i in range(6):
        choose(page, "puzzle", str(i)); until(page, run=str(i), beside=f"B:{i}")
        assert [told(page)["stop"], told(page)["stopBeside"]] == [str(steps[i]) for steps in ended]
    said = page.locator(".trm-panel:visible").inner_text()
    assert "above 50 %" in said and "above 97 %" in said

def test_a_recording_shows_where_its_puzzles_left(loaded, many, open_page, tmp_path):
    "Whether or not the rule is named."
    rule = BinaryHalting(threshold=0.95, certain=1.)
    trace = run_with_trace(loaded.model, many, 16, rule)
    for kind, halting in (("recorded", None), ("given", rule)):
        save_html(trace, loaded.puzzle, tmp_path/f"{kind}.html", halting)
        page = open_page(offline=True)
        page.goto((tmp_path/f"{kind}.html").as_uri())
        page.wait_for_selector(".trm-explorer[data-frame]")
        assert told(page)["rule"] == kind
        keys(page, "2")
        assert marked(page, 24) == trace.steps.tolist()
        assert abs(mean_steps(page) - trace.steps.float().mean()) < 0.051

def test_a_walk_brings_its_own_rule(loaded, many):
    with pytest.raises(InputError, match="a session already has its puzzles and its halting rule"):
        Explorer(Session(loaded, many), halting=BinaryHalting(threshold=0.9))
    with pytest.raises(InputError, match="a session already has its puzzles and its halting rule"):
        Explorer(Session(loaded, many), many)

HOSTILE = '</script><script>window.hit = 1</script><img src="x" onerror="window.hit = 1">'

def test_no_text_becomes_markup(walked, open_page, tmp_path):
    text = walked._answers({"id": "test", "ask": "page"})[0]["text"]
    header = json.loads(re.search(r'id="trm-header">(.*?)</script>', text).group(1))
    spoil = (lambda value, key="": {k: spoil(v, k) for k, v in value.items()} if isinstance(value, dict)
        else [spoil(v, key) for v in value] if isinstance(value, list)
        else value + HOSTILE if isinstance(value, str) and key in ("title", "model", "label", "vocab",
            "verdicts", "glyphs", "sentence", "pooling", "says") else value)
    (tmp_path/"hostile.html").write_text(html_page(spoil(header),
        base64.b64decode(re.search(r'id="trm-bytes">(.*?)</script>', text).group(1))))
    page = open_page(offline=True)
    page.goto((tmp_path/"hostile.html").as_uri())
    page.wait_for_selector(".trm-explorer[data-frame]")
    click_cell(page, 3)
    for number in range(1, 7): keys(page, str(number), "End")
    keys(page, "t", "Escape", "5")
    press(page, "B: show branch 2"); until(page, beside="0.2")
    assert (page.evaluate("window.hit") is None
        and page.locator(".trm-explorer img, .trm-explorer script").count() == 0)
    assert HOSTILE in page.locator(".trm-model").inner_text()

# ---- in JupyterLab -----------------------------------------------------------

@pytest.fixture(scope="module")
def lab(tmp_path_factory, solved, loaded):
    "A JupyterLab with a notebook that opens an Explorer; gives its address."
    folder, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    (settings/"@jupyterlab"/"apputils-extension").mkdir(parents=True)
    (settings/"@jupyterlab"/"apputils-extension"/"notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}')
    (settings/"labconfig").mkdir() # else every page has Node look whether JupyterLab should be built again
    (settings/"labconfig"/"page_config.json").write_text('{"buildCheck": false, "buildAvailable": false}')
    boards = "\n".join(loaded.puzzle.print(q) for q in solved.batch.inputs.numpy())
    cells = ["import torch; torch.set_num_threads(1)\nfrom trm_lab.models.checkpoints "
        "import load_pretrained\nfrom trm_lab.views.explorer import Explorer\n"
        f"loaded, boards = load_pretrained('sudoku-6x6'), '''{boards}'''",
        "explorer = Explorer(loaded, boards)\nexplorer", "import gc; gc.collect()\n"
        "from ipywidgets.widgets.widget import _instances\nprint('live', sum(isinstance(w, Explorer) "
        "for w in _instances.values()), 'bytes', int(open('/proc/self/statm').read().split()[1])*4096 "
        "if __import__('os').path.exists('/proc/self/statm') else 0)",
        "# the code that was copied from the page"]
    many = ["import torch; torch.set_num_threads(1)\nfrom itertools import islice\n"
        "import numpy as np\nfrom trm_lab.models.checkpoints import load_pretrained\n"
        "from trm_lab.data.batches import make_batch\nfrom trm_lab.views.explorer import Explorer\n"
        "from trm_lab.puzzles.maze import Maze\nfrom trm_lab.models.variants import build_model\n"
        "def drawn(puzzle, count, level=None): return make_batch(*map(np.stack, "
            "zip(*islice(puzzle.generate(np.random.default_rng(0), level), count))))\n"
        "nine, maze = load_pretrained('sudoku-9x9-laptop', dtype=torch.bfloat16), Maze(30, 30)\n"
            "boards, way = drawn(nine.puzzle, 64, 'easy'), drawn(maze, 1)\n"
        "large = build_model('trm', dict(seq_len=900, vocab_size=maze.vocab_size, hidden_size=32, "
            "num_heads=2, swiglu_multiple=16, H_cycles=3, L_cycles=6)).eval()",
        "Explorer(nine, boards)", "Explorer(large, way, maze)"]
    for name, sources in (("walk", cells), ("many", many)):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in sources],
            metadata={"kernelspec": {"name": "python3", "display_name": "python3"}})
        nbformat.write(notebook, folder/f"{name}.ipynb")
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]
    with open(folder/"lab.log", "w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root",
                "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--ServerApp.token=",
                "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"], stdout=log, stderr=log,
            env={**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(settings), "JUPYTERLAB_WORKSPACES_DIR":
                str(settings/"workspaces"), "JUPYTER_CONFIG_DIR": str(settings), "OMP_NUM_THREADS": "1"})
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE/1000
        while True:
            try: urllib.request.urlopen(f"{address}/api", timeout=1); break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, (folder/"lab.log").read_text()
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        try: server.wait(10)
        except subprocess.TimeoutExpired: server.kill()

def run_cell(page, number, source=None):
    "Run a cell as Shift+Enter would, and wait until the kernel is idle; gives what it printed."
    ran = page.evaluate("""async ([number, source]) => {
        const panel = window.jupyterapp.shell.currentWidget, notebook = panel.content;
        await panel.sessionContext.ready; // the indicator says idle a moment before
        await panel.sessionContext.session.kernel.info;
        notebook.activeCellIndex = number;
        if (source) notebook.activeCell.model.sharedModel.setSource(source);
        await window.jupyterapp.commands.execute("notebook:run-cell");
        const { executionCount, outputs } = notebook.activeCell.model;
        const said = o => o.ename ? `${o.ename}: ${o.evalue}` : o.text || o.output_type;
        return { count: executionCount, outputs: outputs.toJSON().map(said) };
    }""", [number, source])
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    assert ran["count"], f"cell {number} was not executed: {ran}"
    return "".join("".join(o) for o in ran["outputs"])

def live(page):
    "Live Explorers in the kernel, and its memory in bytes."
    words = run_cell(page, 2).split()
    return int(words[1]), int(words[3])

@pytest.mark.pace
def test_many_puzzles_and_large_boards_in_jupyterlab(open_page, lab):
    "64 puzzles at once, and a 30×30 board with 16 × 21 sites; the times are only printed."
    page, wrong = open_page(), []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(f"{lab}/lab/workspaces/many/tree/many.ipynb")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    run_cell(page, 0)
    for cell, what in ((1, "64 puzzles 9×9"), (2, "30×30, 336 updates")):
        start = time.monotonic()
        page.evaluate("number => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = number; "
            "window.jupyterapp.commands.execute('notebook:run-cell'); }", cell)
        # while the kernel goes on with the overview
        page.wait_for_selector(".jp-Cell:nth-child(%d) .trm-explorer[data-frame]" % (cell + 1))
        print(f"\nJupyterLab, {what}: first drawing {time.monotonic() - start:.1f} s after the "
            "cell was started", end="")
        if cell == 1:
            explorer_on(page).evaluate("e => e.scrollIntoView()")
            until(page, overview="64/64")
            print(f"; all in the overview after {time.monotonic() - start:.1f} s", end="")
            start = time.monotonic()
            choose(page, "puzzle", "40")
            until(page, puzzle="40", run="40", busy="")
            print(f"; puzzle 41 after {time.monotonic() - start:.2f} s", end="")
            keys(page, "Home", *["Shift+ArrowRight"]*8, "5")
            choose(page, "what to change", "ZeroAblation"); choose(page, "latent", "z_L"); press(page, "Add")
            start = time.monotonic(); press(page, "Resume from here"); until(page, beside="40.1")
            print(f"; a branch from its middle after {time.monotonic() - start:.2f} s", end="")
    assert not wrong, wrong

@pytest.mark.pace
def test_the_widget_walks_in_jupyterlab(loaded, solved, open_page, pictures, lab):
    page, wrong = open_page(), []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(f"{lab}/lab/workspaces/walk/tree/walk.ipynb")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    # the file browser takes a quarter of the width
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    run_cell(page, 0)
    start = time.monotonic()
    run_cell(page, 1)
    page.wait_for_selector(".trm-explorer[data-frame]")
    print(f"\nJupyterLab: first drawing {time.monotonic() - start:.1f} s after the cell was started")
    explorer_on(page).evaluate("e => e.scrollIntoView()")
    root = Session(loaded, solved.batch).root(0)
    check_walk(walk_to_the_end(page), root)
    # the notebook took none of the keys
    assert page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex") == 1
    check_pace("JupyterLab", page)
    until(page, overview=f"{len(solved.batch)}/{len(solved.batch)}")
    check_halting(page, root.session)
    # a cell, and what each token's probability is there
    fork = root.frame(FORK)
    keys(page, "Home", *["ArrowRight"]*fork, "4")
    click_cell(page, 3)
    page.wait_for_function(
        "!document.querySelector('.trm-panel:not([hidden]) .trm-says').textContent.includes('asking')")
    assert told(page)["cell"] == "3" and told(page)["site"] == "2.0.0.z_L"
    keys(page, "6"); check_flow(page, root, 3, 5)
    # resume unchanged; without z_L; and with another given
    keys(page, "5"); press(page, "Resume from here"); until(page, beside="0.1")
    assert told(page)["identical"] == "true" and told(page)["differs"] == "never"
    choose(page, "what to change", "ZeroAblation"); choose(page, "latent", "z_L"); press(page, "Add")
    start = time.monotonic(); press(page, "Resume from here"); until(page, beside="0.2")
    print(f"JupyterLab: a branch is there {time.monotonic() - start:.2f} s after resuming")
    given = int(np.flatnonzero(root.question > 1)[0])
    click_cell(page, given)
    choose(page, "what to change", "Given")
    choose(page, "token", str(int(root.question[given]) % 6 + 2))
    press(page, "Add")
    press(page, "Resume from here"); until(page, beside="0.3")
    # the root and three branches
    assert page.locator(".trm-tree li").count() == 4 and told(page)["boardBeside"]
    keys(page, "ArrowRight", "ArrowRight")
    for name, differs in (("branch 1", False), ("branch 2", True), ("branch 3", True)):
        press(page, f"B: show {name}"); until(page, beside=f"0.{name[-1]}")
        assert not any(apart(page)[:fork]) and any(apart(page)[fork:]) == differs, name
    press(page, "B: show branch 2"); until(page, beside="0.2")
    page.screenshot(path=pictures/"lab-beside.png")
    # the code that the page gives makes the same branch, bit for bit
    press(page, "Export"); page.get_by_role("menuitem", name="Copy as code").click()
    page.wait_for_selector(".trm-code:not([hidden])")
    code = page.locator(".trm-code pre").inner_text()
    page.screenshot(path=pictures/"lab-code.png")
    page.keyboard.press("Escape"); assert page.locator(".trm-code").is_hidden()
    said = run_cell(page, 3,
        f"{code}\nmade = explorer.session.rollout('0.2')\nprint('equal', torch.equal(other.logits, "
        "made.logits), all(torch.equal(other.latent(s), made.latent(s)) for s in made.trace.sites))")
    assert "equal True True" in said, said
    for what, name in (("Film", "lab.gif"), ("Page", "lab.html")):
        press(page, "Export")
        with page.expect_download() as saved: page.get_by_role("menuitem", name=what).click()
        saved.value.save_as(pictures/name)
    assert Image.open(pictures/"lab.gif").n_frames > 16 and "branch" in (pictures/"lab.html").read_text()
    for theme in ("Light", "Dark"):
        page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: "
            "`JupyterLab ${name}` })", theme)
        page.wait_for_selector(f".trm-explorer[data-theme={theme.lower()}]")
        page.wait_for_timeout(500) # the theme's own style sheet
        each_panel(page, pictures, f"lab-{theme.lower()}")
    # running the cell again leaves one widget, and the memory where it was
    for _ in range(4): run_cell(page, 1)
    count, before = live(page)
    assert count == 1
    for _ in range(16): run_cell(page, 1)
    count, after = live(page)
    page.wait_for_selector(".trm-explorer[data-frame]")
    one = len(solved.sites)*36*128*4 # the latents of a puzzle
    print(f"21 runs of the cell: {count} live widget, kernel grew by {(after - before)/2**20:.1f} MiB since "
        f"the 5th; a run's latents take {one/2**20:.1f} MiB")
    assert count == 1 and explorer_on(page).count() == 1
    assert after - before < 16*one, "sixteen more runs should not keep what they held"
    # without its kernel it says so, and what is there stays usable
    page.evaluate(
        "async () => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()")
    keys(page, "5", "End"); press(page, "Resume from here")
    page.wait_for_function(
        "document.querySelector('.trm-explorer').dataset.notice?.includes('kernel is gone')")
    keys(page, "Home", "ArrowRight")
    assert told(page)["frame"] == "1"
    page.screenshot(path=pictures/"lab-gone.png")
    assert not wrong, wrong
