"""What probes found, as the Explorer shows it: asked of a kernel, in a saved page, and in a page that goes on
by itself, where a change hides it."""
import base64, json
from dataclasses import replace
import numpy as np, pytest
from test_explorer import ( # noqa: F401
    FORK, Page, arrays, choose, click_cell, keys, pictures, press, small, told, until)
from test_live import change_given, open_live, typed
from test_tasks import watched
from trm_lab.core.errors import InputError
from trm_lab.data.datasets import split_of
from trm_lab.interp.interventions import ZeroAblation
from trm_lab.interp.probes.findings import Findings
from trm_lab.interp.probes.patching import Pairs
from trm_lab.models.checkpoints import Loaded
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.views.explorer import Explorer
from trm_lab.views.page import static_bundle, static_file

FOUR = Sudoku(2, 2)
TEXT = "1..............2"

def planted(explorer):
    "Findings whose every number says where it belongs."
    session = explorer.session
    F, L = session.max_steps*len(session.schedule), FOUR.seq_len
    at_cell = np.zeros((session.max_steps, len(session.names), L), np.float32)
    for step in range(session.max_steps): at_cell[step, :, step] = 0.5, *[-0.25]*(len(session.names) - 1)
    question = FOUR.parse(TEXT)
    other, answers = question.copy(), np.tile(question, (2, 1))
    other[0] = 3
    answers[:, 1:-1], answers[1, 0], answers[1, [4, 5]] = 2, 3, 5 # as if these were right
    pair = Pairs("one given", *(split_of([(q, a)]) for q, a in zip((question, other), answers)))
    numbers = np.arange(1, F + 1, dtype=np.float32)
    return Findings(numbers/100, numbers/F, np.zeros(F, np.float32), at_cell, pair)

@pytest.fixture
def explorer():
    explorer = Explorer(Loaded(small(FOUR), FOUR, {}), f"{TEXT}\n{TEXT[::-1]}", max_steps=3)
    explorer._answers.sides[0].findings[0] = planted(explorer)
    return explorer

def test_the_kernel_asks_probes_once():
    "An answer of their own arrays, which a saved page has too; what is wrong is a sentence."
    explorer = Explorer(Loaded(small(FOUR), FOUR, {}), TEXT, max_steps=2)
    page = Page(explorer)
    answer, (blob,) = page.ask("findings", puzzle=0)
    found = arrays(answer, blob)
    F = 2*len(explorer.session.schedule)
    assert found["residual"].shape == found["at_site"].shape == (F,) and answer["path"]["steps"] == 64
    assert answer["partner"] is None and "at_cell" not in found # an untrained model solves nothing
    assert explorer.findings(0) is explorer.findings(0)
    text = page.ask("page")[0]["text"]
    header = json.loads(text.split('id="trm-header">')[1].split("</script>")[0])
    assert [part["puzzle"] for part in header["findings"]] == [0]
    assert "puzzle 3 is not known; choose from 0" in page.refuse({"id": 7, "ask": "findings", "puzzle": 3})
    with pytest.raises(InputError, match="no such file"):
        Explorer(Loaded(small(FOUR), FOUR, {}), TEXT, findings="nowhere.parquet")

WIDGET = """async ([code, style, header, blob]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), ears = [];
    const page = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    document.head.appendChild(document.createElement("style")).textContent = style;
    const place = document.body.appendChild(document.createElement("div"));
    page.default.render({ el: place, model: {
        get: (name) => (name === "header" ? header : new DataView(bytes(blob).buffer)),
        on: (name, ear) => { if (name === "msg:custom") ears.push(ear); }, off() {},
        send: async (question) => {
            const [content, blobs] = await window.kernel(question);
            ears.forEach((ear) => ear(content, blobs.map((text) => new DataView(bytes(text).buffer))));
        } } });
}"""

def test_in_a_notebook_the_kernel_is_asked_when_they_are_switched_on(open_page):
    "As a widget, over the widget's own line: once for each puzzle, and in a sentence where it cannot be."
    explorer, asked = Explorer(Loaded(small(FOUR), FOUR, {}), f"{TEXT}\n{TEXT[::-1]}", max_steps=2), []
    explorer._answers.sides[0].findings[0] = planted(explorer)
    page = open_page()
    wrong = watched(page)
    def kernel(question):
        asked.append(question["ask"])
        answer, blobs = explorer._answers(question)
        return [json.loads(json.dumps(answer)), [base64.b64encode(blob).decode() for blob in blobs]]
    page.expose_function("kernel", kernel)
    page.evaluate(WIDGET, [static_bundle(), static_file("explorer.css"), explorer.header,
        base64.b64encode(explorer.blob).decode()])
    until(page, probes="off", overview="2/2"); assert "findings" not in asked
    keys(page, "p", "ArrowRight"); until(page, probes="shown", busy="")
    assert np.isclose(float(told(page)["effect"]), explorer.findings(0).at_site[0])
    keys(page, "p", "p"); until(page, probes="shown"); assert asked.count("findings") == 1
    moves = explorer.findings(1).path.motion[0] # is computed here, and known when the page asks
    keys(page, "]"); until(page, puzzle="1", probes="shown", busy="", motion=moves)
    assert "No partner was found" in page.locator(".trm-found").inner_text()
    assert asked.count("findings") == 2 and not wrong, wrong

def test_findings_lie_over_board_and_timeline(explorer, open_page, pictures, tmp_path): # noqa: F811
    "In a page that only replays: by key and button, at every frame what Python found there."
    session, found = explorer.session, explorer.findings(0)
    root, branch = session.root(0), None
    branch = root.branch(root.place(4), ZeroAblation("z_L"))
    explorer.save_html(tmp_path/"page.html")
    page = open_page(offline=True)
    wrong = watched(page)
    page.goto((tmp_path/"page.html").as_uri())
    until(page, probes="off")
    plain = page.locator(".trm-board").first.screenshot()
    keys(page, "p", "Home"); until(page, probes="shown", effect="NaN")
    keys(page, *["ArrowRight"]*5)
    assert np.isclose(float(told(page)["effect"]), found.at_site[4])
    assert np.isclose(float(told(page)["residual"]), found.residual[4])
    click_cell(page, 0, 4, 4); until(page, effectOfCell="0.5")
    keys(page, "v"); until(page, effectOfCell="-0.25")
    keys(page, "Shift+ArrowRight", "ArrowRight"); until(page, effectOfCell="0") # its step has passed
    says = page.locator(".trm-found .trm-says").inner_text()
    assert "the partner has 2 in row 1, column 1, and 2 cells decided otherwise" in says
    page.screenshot(path=pictures/"findings.png")
    assert "probes=on" in page.evaluate("() => new Promise(r => setTimeout(() => r(location.hash), 500))")
    page.evaluate("key => document.querySelector('.trm-explorer').dispatchEvent("
        "new KeyboardEvent('keydown', { key, bubbles: true }))", "5")
    press(page, "A: show branch 1"); until(page, run=branch.key) # a latent was changed at frame 4
    keys(page, "Home", *["ArrowRight"]*3); until(page, probes="shown")
    keys(page, "ArrowRight"); until(page, probes="hidden")
    assert "something was changed" in page.locator(".trm-found").inner_text()
    press(page, "Probes"); until(page, probes="off")
    assert page.locator(".trm-found").is_hidden() and plain and not wrong, wrong

def test_a_change_of_the_puzzle_hides_what_was_found(explorer, open_page, tmp_path):
    "In a live page: another given, another puzzle; and the page that is saved from it keeps what was found."
    page, wrong, asked = open_live(open_page, explorer, tmp_path/"live.html")
    keys(page, "p"); until(page, probes="shown")
    keys(page, "5", "Home"); change_given(page, 0, 4)
    press(page, "Resume from here"); until(page, beside="0.1")
    press(page, "A: show branch 1"); until(page, run="0.1", probes="hidden")
    says = page.locator(".trm-found .trm-says")
    assert "its question is another one" in says.inner_text()
    typed(page, "..3............1"); until(page, puzzle="2", busy="", probes="hidden")
    assert "were not asked about this puzzle" in says.inner_text()
    choose(page, "puzzle", "0"); until(page, run="0", probes="shown")
    press(page, "Export")
    with page.expect_download() as saved: page.get_by_role("menuitem", name="Page (HTML)").click()
    saved.value.save_as(tmp_path/"again.html")
    other = open_page(offline=True)
    other.goto((tmp_path/"again.html").as_uri())
    until(other, run="0", overview="3/3"); keys(other, "p", "ArrowRight"); until(other, probes="shown")
    assert float(told(other)["effect"]) > 0 and not wrong and not asked, (wrong, asked)

def test_without_findings_there_is_nothing_to_switch(open_page, tmp_path):
    Explorer(Loaded(small(FOUR), FOUR, {}), TEXT, max_steps=2).save_html(tmp_path/"page.html")
    page = open_page(offline=True)
    page.goto((tmp_path/"page.html").as_uri())
    keys(page, "p"); until(page, probes="off")
    assert page.get_by_role("button", name="Probes").count() == 0

def test_two_models_have_findings_of_their_own(open_page, tmp_path):
    "Each board and each sentence shows what was found of its model; a kernel is asked about both."
    one, two = (Loaded(small(FOUR, L_layers=layers), FOUR, {}) for layers in (1, 2))
    explorer = Explorer.compare(one, two, TEXT, max_steps=3)
    first, second = explorer._answers.sides
    first.findings[0] = planted(explorer)
    answer, (blob,) = Page(explorer).ask("findings", puzzle=0, side=1)
    assert answer["side"] == 1 and explorer.findings(0, 1) is second.findings[0]
    second.findings[0] = replace(planted(explorer), at_site=second.findings[0].residual + 0.125)
    explorer.save_html(tmp_path/"page.html")
    page = open_page(offline=True)
    wrong = watched(page)
    page.goto((tmp_path/"page.html").as_uri())
    keys(page, "p", "Home", *["ArrowRight"]*2); until(page, probes="shown", beside="B:0")
    effects = [view.findings[0].at_site[1] for view in (first, second)]
    assert np.isclose(float(told(page)["effect"]), effects[0])
    keys(page, "b"); until(page, probes="shown")
    assert page.locator(".trm-found .trm-says").inner_text().startswith("B: All of z_")
    assert np.isclose(float(told(page)["effect"]), effects[1], atol=1e-6) and not wrong, wrong
