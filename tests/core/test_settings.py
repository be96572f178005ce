"Settings as people write them, in YAML, in JSON and after -p: one meaning, or one sentence."
import json, math
import pytest, yaml
from trm_lab.cli import _parameters, _value
from trm_lab.core.errors import InputError, Name, given
from trm_lab.core.run import canonical_value, run_id
from trm_lab.core.settings import read_json, read_yaml, yaml_text

NUMBERS = {"08": 8, "010": 10, "-007": -7, "+5": 5, "2e-3": 0.002, "1E3": 1000., "5.": 5., ".5": 0.5,
    "-1.5e+2": -150., "1e3": 1000.,
    ".inf": math.inf, "-.INF": -math.inf, "true": True, "False": False, "null": None, "~": None, "": None}
TEXTS = ["0x10", "0o10", "1_000", "1:30", "190:20:30", "2026-11-26", "2026-11-26T10:00:00", "yes", "no", "on",
    "Off", "y", "n", "=", "nan", "inf", "1e", "e5", "1.2.3", "--5", "１２", "0b1"]

@pytest.mark.parametrize("text", [*NUMBERS, *TEXTS])
def test_a_value_means_the_same_in_a_file_and_on_the_command_line(text, tmp_path):
    (tmp_path/"c.yaml").write_text(f"a: {text}\nb: [{text or 'null'}]\n", encoding="utf-8")
    wanted = NUMBERS.get(text, text)
    for found in (read_yaml(tmp_path/"c.yaml")["a"], read_yaml(tmp_path/"c.yaml")["b"][0], _value(text),
        _value(f" {text} ")):
        assert found == wanted and type(found) is type(wanted)

@pytest.mark.parametrize("text", ["a: b: c", "# no comment", "*star", "&x", "!tag", "@home", "- dash", "a #b",
    "C:\\data", "%x", "|"])
def test_a_text_after_p_is_taken_as_it_stands(text): assert _value(text) == text

def test_a_number_that_is_none_is_refused(tmp_path):
    for text in ("12e456", "123e4567", "-1e999", "[1, 1e400]", "{a: 9e999}", "1" + "0"*5000):
        with pytest.raises(InputError, match="-p lr: .* too large for"): _value(text, "-p lr")
        (tmp_path/"c.yaml").write_text(f"x: 1\nlr: {text}\n")
        with pytest.raises(InputError, match="c.yaml, line 2: .* too large for"): read_yaml(tmp_path/"c.yaml")
    assert _value('"12e456"') == "12e456" # a commit, say
    (tmp_path/"c.json").write_text('{"lr": 1e999}')
    with pytest.raises(InputError, match="too large"): read_json(tmp_path/"c.json")

@pytest.mark.parametrize("text, sentence", [
    ("lr: 1\nsteps: 2\nlr: 1\n", "c.yaml, line 3: the key 'lr' is there twice, first in line 1"),
    ("lr: 1\n'lr': 2\n", "line 2: the key 'lr' is there twice"),
    ("model:\n  a: 1\n  b: 2\n  a: 3\n", "line 4: the key 'a' is there twice, first in line 2"),
    ("x: {a: 1, b: 2, a: 3}", "the key 'a' is there twice"),
    ("x:\n- {a: 1}\n- b: 1\n  b: 2\n", "line 4: the key 'b' is there twice"),
    ("a: &x {p: 1}\nb: &y {q: 1}\nc:\n  <<: *x\n  <<: *y\n", "line 5: the key '<<' is there twice"),
    ("a: !!python/object/apply:os.system [ls]\n",
    "line 1: the tag tag:yaml.org,2002:python/object/apply:os.system is not supported"),
    ("a: !!timestamp 2026-11-26\n", "is not supported"), ("a: !!binary aGk=\n", "is not supported"),
    ("a: !!int 0x10\n", "0x10 is not a number"),
    ("a: &a [*a]\n", "unconstructable recursive node"), ("a: *b\n", "undefined alias 'b'"),
    ("a:\n\tb: 1\n", "line 2: this is not YAML (found character '\\t'"),
    ("---\na: 1\n---\nb: 1\n", "line 3: this is not YAML (expected a single document"),
    ("- a\n- b\n", "expected names with values, found list"),
    ("just text", "expected names with values, found str"), ("0", "expected names with values, found int"),
    ("[]", "expected names with values, found list"),
    ("? [a, b]\n: 1\n", "a name should be text"), ("["*3000, "nested too deeply"),
    ("a: !!bool maybe", "this is not YAML"), ("a: \x07", "this is not YAML"),
], ids=range(22))
def test_what_is_wrong_in_a_yaml_file_is_one_sentence(text, sentence, tmp_path):
    (tmp_path/"c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as e: read_yaml(tmp_path/"c.yaml")
    assert sentence in str(e.value) and len(str(e.value).splitlines()) == 1

def test_anchors_and_merges_are_yaml(tmp_path):
    (tmp_path/"c.yaml").write_text("base: &b {lr: 1, steps: 2}\nmore: &m {<<: *b, steps: 3}\nmine: {<<: [*m, "
        "*b], lr: 4}\n1: one\n01: two\ntrue: three\n")
    assert read_yaml(tmp_path/"c.yaml") == {"base": {"lr": 1, "steps": 2}, "more": {"lr": 1, "steps": 3},
        "mine": {"lr": 4, "steps": 3}, "1": "one", "01": "two", "true": "three"}
    (tmp_path/"c.yaml").write_text("# nothing yet\n"); assert read_yaml(tmp_path/"c.yaml") == {}

@pytest.mark.parametrize("read, text", [(read_yaml, "a: 1"), (read_json, '{"a": 1}')])
def test_text_is_utf8(read, text, tmp_path):
    path = tmp_path/"settings"
    path.write_text(text, encoding="utf-8-sig"); assert read(path) == {"a": 1}
    for data, sentence in ((text.encode("utf-16"), "the file is UTF-16; save it as UTF-8"),
        (text.encode("utf-16-le"), "holds zero bytes"), (text.encode() + b"\xe9", "not UTF-8 text \\(byte")):
        path.write_bytes(data)
        with pytest.raises(InputError, match=sentence): read(path)
    with pytest.raises(InputError, match="cannot be read"): read(tmp_path)
    with pytest.raises(InputError, match="there is no such file"): read(tmp_path/"none")
    with pytest.raises(InputError, match="cannot be read"): read("a\0b")

def test_a_json_key_that_is_there_twice(tmp_path):
    path = tmp_path/"tasks.json"
    path.write_text('{"a": {\n "x": 1,\n "y": 2,\n "x": 3}}')
    with pytest.raises(InputError,
        match=r'tasks.json: the key "x" is there twice in one object \(that key is in lines 2, 4\)'):
        read_json(path)
    path.write_text('[{"é": 1, "\\u00e9": 2}]')
    with pytest.raises(InputError, match='the key "é" is there twice'): read_json(path)
    path.write_text('[{"a": 1}, {"a": NaN}]') # in two objects; a score that nobody could compute
    assert math.isnan(read_json(path)[1]["a"])
    path.write_text("["*100_000)
    with pytest.raises(InputError, match="this is not JSON"): read_json(path)

def test_what_is_written_is_read_as_the_same(tmp_path):
    "By this reader and by those of YAML 1.1."
    values = {"a": "2e-3", "b": "08", "c": "yes", "d": "true", "e": "", "f": None, "g": 1e-5,
        "h": [1, "1", 1.5, {"x": "1:30"}], "i": "2026-11-26", "j": "~", "k": "é: #", "l": "a\nb", "m": 10**20,
        "n": {}}
    (tmp_path/"c.yaml").write_text(yaml_text(values), encoding="utf-8")
    assert read_yaml(tmp_path/"c.yaml") == values == yaml.safe_load(yaml_text(values))

def test_a_parameter_given_twice_is_refused():
    # an entry more
    assert _parameters(None, ["model={a: 1}", "model.b=2"], False)[0] == {"model": {"a": 1, "b": 2}}
    for pairs, sentence in ((["lr=1", "lr=2"], "-p lr: it is given twice; leave one out"),
        (["lr=1", "lr=1"], "given twice"), (["model.a=1", "model={b: 2}"],
        "-p model: it is given twice, also as model.a"), (["m.a.b=1", "m.a={c: 1}"], "also as m.a.b")):
        with pytest.raises(InputError, match=sentence): _parameters(None, pairs, False)
    with pytest.raises(InputError, match="-p looks: this is not YAML"):
        _parameters(None, ["looks=[1, 2"], False)
    with pytest.raises(InputError, match="-p m: the key 'a' is there twice"):
        _parameters(None, ["m={a: 1, a: 2}"], False)

def test_one_value_has_one_identity(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path)); monkeypatch.chdir(tmp_path)
    assert canonical_value({"b": (1, 2.0), "a": 1e3}) == {"b": [1, 2],
        "a": 1000} and json.dumps(canonical_value([True, 1, -0.0])) == "[true, 1, 0]"
    (tmp_path/"data"/"mine").mkdir(parents=True); (tmp_path/"elsewhere").mkdir()
    monkeypatch.chdir(tmp_path/"elsewhere")
    assert canonical_value("../data/mine") == canonical_value(
        str(tmp_path/"data"/"mine")) == "data/mine" != canonical_value("data/mine")
    # not the one in another folder
    assert canonical_value("model.pt") == "elsewhere/model.pt" # not the one in another folder
    (tmp_path/"elsewhere"/"sudoku-6x6").mkdir()
    for text in ("sudoku-6x6", "hf://owner/model/file.pt", "easy+2minimal", "v1.5", "0.5",
            "", "a\nb/c", "..26.4.."):
        assert canonical_value(text) == text
    before = canonical_value("../data/later")
    (tmp_path/"data"/"later").mkdir() # a plan that was made before its data
    assert canonical_value("../data/later") == before == "data/later"
    for value, sentence in ((math.nan, "'x' is not a number"), (tmp_path, "'x' should be a number, text"),
        ({1: 2}, "with texts as names"), ([1, {2}], "found set")):
        with pytest.raises(InputError, match=sentence): canonical_value(value, "x")
    # as before: data that were generated once are found
    assert run_id("demo", {"lr": 1e-3, "seed": 0}) == "demo-3115e886"

@pytest.mark.parametrize("name", ["a/b", "../up", "/tmp", ".", "..", "", " a", "a ", ".hidden", "-p", "~",
    "a:b", "a\nb", "a\\b", "x"*200, "what?", "end.", 5, None])
def test_a_name_is_a_plain_folder_name(name):
    with pytest.raises(InputError, match="here: the name should be"): given(name, Name, "here: the name")

@pytest.mark.parametrize("name", ["sudoku-6x6", "2026-11-26", "ñandú", "a b", "v1.2_x", "x"*150])
def test_good_names(name): assert given(name, Name, "here: the name") == name
