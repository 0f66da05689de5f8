"""Configurations: what they multiply to, and what every mistake is told."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from petsard_otel import Config, ConfigError, Executor
from petsard_otel.config import MODULES

if TYPE_CHECKING:
    from collections.abc import Callable


def executions(config: Config) -> list[str]:
    """List what a run would do."""
    return [f"{e.module}[{e.experiment}]" for e in config.executions()]


def test_experiments_multiply_depth_first() -> None:
    """Every combination is run, and what they share is run once."""
    config = Config(
        "Loader:\n  a: {}\nSynthesizer:\n  x: {}\n  y: {}\nEvaluator:\n  e: {}\n  f: {}\n"
    )

    assert executions(config) == [
        "Loader[a]",
        "Synthesizer[x]",
        "Evaluator[e]",
        "Evaluator[f]",
        "Synthesizer[y]",
        "Evaluator[e]",
        "Evaluator[f]",
    ]
    assert config.sequence == ["Loader", "Synthesizer", "Evaluator"]
    assert config.experiment_count == 4
    assert config.execution_count == 7


def test_splits_are_written_out_with_zeros_in_front() -> None:
    """`num_samples: 10` becomes ten experiments of one split each."""
    config = Config("Loader: {a: {}}\nSplitter: {s: {num_samples: 10, train_split_ratio: 0.8}}")

    names = list(config.yaml["Splitter"])
    assert names[0] == "s_[10-01]"
    assert names[-1] == "s_[10-10]"
    assert len(names) == 10
    assert config.yaml["Splitter"]["s_[10-01]"] == {"num_samples": 1, "train_split_ratio": 0.8}


def test_a_splitter_without_a_count_is_one_split() -> None:
    """One split is written out as well, as PETsARD names it."""
    assert list(Config("Splitter: {s: {}}").yaml["Splitter"]) == ["s_[1-1]"]


def test_path_text_and_dict_give_the_same(tmp_path: Path) -> None:
    """The three ways to give a configuration agree, and the file's stem names the run."""
    text = "Loader: {a: {filepath: x.csv}}"
    path = tmp_path / "my pipeline.yaml"
    path.write_text(text)

    found = [Config(str(path)), Config(path), Config(text), Config(yaml.safe_load(text))]

    assert {config.hash for config in found} == {found[0].hash}
    assert [config.name for config in found] == ["my pipeline", "my pipeline", None, None]


def test_a_dict_is_not_changed() -> None:
    """The caller's own configuration stays as it was."""
    given_config: dict[str, Any] = {
        "Executor": {"log_level": "INFO"},
        "Loader": {"a": {}},
        "Splitter": {"s": {"num_samples": 2}},
    }

    config = Config(given_config)

    assert given_config == {
        "Executor": {"log_level": "INFO"},
        "Loader": {"a": {}},
        "Splitter": {"s": {"num_samples": 2}},
    }
    assert config.sequence == ["Loader", "Splitter"]
    assert config.executor == {"log_level": "INFO"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the configuration is empty; give the path of a YAML file or YAML text"),
        ("nope.yaml", "there is no file 'nope.yaml' in '"),
        ("- a\n- b\n",
         "expected modules with their experiments (`Loader:` and so on), found a list"),
        ("Loader", "found str"),
        ("Loader:\n\ta: {}\n", "line 2: YAML is indented by spaces, and this line has a tab"),
        ("Loader:\n  a: {}\n  b: {}\n  a: {}\n",
         "line 4: the key 'a' is here twice, first in line 2; rename or remove one"),
        ("Loader: {a: {}}\n\nLoder: {a: {}}\n",
         "line 3: unknown module 'Loder'; did you mean 'Loader'? Valid: Loader, Splitter, "),
        ("Loader:\n", "line 1: Loader: has no experiment; name one"),
        ("Loader: {}\n", "line 1: Loader: has no experiment; name one"),
        ("Loader: [a]\n", "line 1: Loader: expected experiments by name, found list"),
        ("Loader:\n  1: {}\n",
         "line 2: Loader[1]: an experiment's name is text; write '1' in quotes (found int)"),
        ("Loader:\n  '': {}\n", "line 2: Loader[]: an experiment's name is empty"),
        ("Loader:\n  a_[x]: {}\n", "line 2: Loader[a_[x]]: an experiment's name must not end in"),
        ("Loader:\n  a:\n",
         "line 2: Loader[a]: expected parameters such as `method: default`, found nothing"),
        ("Loader:\n  a: 3\n",
         "line 2: Loader[a]: expected parameters such as `method: default`, found int"),
        ("Loader:\n  a:\n    1: x\n", "line 3: Loader[a].1: a parameter's name is text, found int"),
        ("Splitter:\n  s:\n    num_samples: many\n",
         "line 3: Splitter[s].num_samples: expected a whole number from 1, found 'many'"),
        ("Splitter:\n  s:\n    num_samples: true\n", "expected a whole number from 1, found True"),
        ("Splitter:\n  s:\n    num_samples: 0\n", "expected a whole number from 1, found 0"),
        ("Executor: {log_level: INFO}\n", "there is no module to run"),
        ("Executor: loud\nLoader: {a: {}}\n", "line 1: Executor: expected options"),
        ("Executor: {1: INFO}\nLoader: {a: {}}\n",
         "line 1: Executor.1: an option's name is text, found int"),
        ("Loader: {a: {}}\n---\nLoader: {a: {}}\n", "expected one YAML document, found a second"),
        ("Loader: {a: [1, 2}\n", "line 1: not valid YAML: "),
        ("Loader: {a: !!python/object/apply:os.system [echo]}\n", "line 1: not valid YAML: "),
        ("Loader: {a: {when: 2020-13-45}}\n", "a value cannot be read (ValueError)"),
        (f"Splitter: {{s: {{num_samples: 0x{'f' * 5000}}}}}\n", "a number has over 64 bits"),
        ("Loader: {a: {x: \x07}}\n", "characters that YAML does not allow"),
        ("a: &a [*a]\n", "line 1: an alias contains itself"),
        ("Loader: &a\n  x: {<<: *a}\n", "line 1: an alias contains itself"),
        ("Loader: {a: {when: !!timestamp soon}}\n", "a value cannot be read (AttributeError)"),
        ("Loader: {a: {flag: !!bool maybe}}\n", "a value cannot be read (KeyError)"),
        ("Loader: {a: {count: !!int ''}}\n", "a value cannot be read (IndexError)"),
        ("Loader: {a: {count: !!float many}}\n", "a value cannot be read (ValueError)"),
        ("Loader: {a: {x: !!binary 'a'}}\n", "line 1: not valid YAML: "),
        ("Loader: {a: {<<: 3}}\n", "line 1: not valid YAML: expected a mapping"),
        ("? {a: b}\n: c\n", "line 1: not valid YAML: found unhashable key"),
        ("%YAML 9.9\n---\nLoader: {a: {}}\n", "line 1: not valid YAML: "),
        (f"{'x' * 300}/y.yaml", "there is no file 'xxx"),
        ("a\0.yaml", "there is no file 'a\\x00.yaml'"),
        ("\ud800.yaml", "there is no file '\\ud800.yaml'"),
        ("[" * 5000, "nested too deeply"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_where_it_is_and_what_to_do(text: str, message: str) -> None:
    """The error names line, module, experiment and key, and what is expected there."""
    with pytest.raises(ConfigError) as caught:
        Config(text)
    assert message in str(caught.value)


def test_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    """An editor can jump to the place."""
    path = tmp_path / "p.yaml"
    path.write_text("Loader:\n  a: 3\n")

    with pytest.raises(ConfigError) as caught:
        Config(path)
    assert str(caught.value).startswith(f"{path}:2: Loader[a]: ")


def test_a_directory_an_empty_file_and_bytes_are_told_apart(tmp_path: Path) -> None:
    """What is no configuration file says what it is."""
    empty = tmp_path / "empty.yaml"
    empty.write_text(" \n")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"Loader: \xff\xfe")

    with pytest.raises(ConfigError, match="is a directory; give the path of a YAML file in it"):
        Config(tmp_path)
    with pytest.raises(ConfigError, match="the file is empty"):
        Config(empty)
    with pytest.raises(ConfigError, match=r"the file is not UTF-8 text \(byte 8\)"):
        Config(str(binary))


def test_a_near_miss_of_a_file_is_offered(tmp_path: Path) -> None:
    """A misspelt path names the file that was probably meant."""
    (tmp_path / "pipeline.yaml").write_text("Loader: {a: {}}")

    with pytest.raises(ConfigError, match=r"did you mean '.*pipeline\.yaml'\?"):
        Config(tmp_path / "pipelin.yaml")


class Place:
    """The path of a file, in the form that it is given."""

    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> str | bytes:
        return self.path


@pytest.mark.parametrize("name", ["a\0.yaml", "\ud800.yaml", b"a\0", "a\0\n", b"\xff\0"])
def test_a_path_that_cannot_be_is_refused(name: str | bytes) -> None:
    """A name that no file system knows is no reason for another error."""
    with pytest.raises(ConfigError, match="has characters that no path can have"):
        Config(Place(name))  # type: ignore[arg-type]


def test_a_path_in_bytes_is_a_path(tmp_path: Path) -> None:
    """A path-like object may speak in bytes, as `os.scandir` of bytes makes them."""
    (tmp_path / "p.yaml").write_text("Loader: {a: {}}")

    config = Config(Place(bytes(tmp_path / "p.yaml")))  # type: ignore[arg-type]

    assert (config.name, config.sequence) == ("p", ["Loader"])


def test_a_folder_that_is_gone_is_no_reason_for_another_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not there is told so also where nothing is there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(ConfigError, match=r"there is no file 'p\.yaml'$"):
        Config("p.yaml")


class Mute:
    """An object that has no text."""

    def __repr__(self) -> str:
        raise RuntimeError("asked")

    __str__ = __repr__


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({Mute(): 1}, "unknown module '<Mute>'; Valid: Loader, "),
        ({"Loader": {Mute(): {}}}, "Loader[<Mute>]: an experiment's name is text"),
        ({"Loader": {"a": {Mute(): 1}}}, "Loader[a].<Mute>: a parameter's name is text"),
        ({"Loader": {(Mute(),): {}}}, "Loader[<tuple>]: an experiment's name is text"),
        ({"Loader": {b"a": {}}}, "(found bytes)"),
        ({"Splitter": {"s": {"num_samples": Mute()}}}, "from 1, found '<Mute>'"),
        ({"Loader": {"a": {"x": {10**5000}}}}, "a number has over 64 bits"),
        ({10**5000: {}}, "a number has over 64 bits"),
    ],
)
def test_an_object_without_a_text_is_named_by_its_type(config: Any, message: str) -> None:
    """No object is asked for a text that may fail, or be another in each process."""
    with pytest.raises(ConfigError) as caught:
        Config(config)
    assert message in str(caught.value)


def test_a_hash_does_not_depend_on_where_an_object_lies() -> None:
    """Two processes agree on the identity of what holds an object of a foreign type."""
    one, two = (Config({"Loader": {"a": {"x": value}}}) for value in (Mute(), Mute()))
    three, four = (Config({"Loader": {"a": {"x": value}}}) for value in ({1, "a"}, {"a", 1}))

    assert one.hash == two.hash
    assert three.hash == four.hash != one.hash


@pytest.mark.parametrize("config", [None, 3, ["Loader"], b"Loader: {a: {}}", bytearray(b"a"),
                                    memoryview(b"a"), ("Loader",), Mute()])  # fmt: skip
def test_what_is_no_configuration_at_all_is_refused(config: Any) -> None:
    """Another type is named."""
    with pytest.raises(ConfigError, match=r"expected the path of a YAML file, YAML text or a dict"):
        Config(config)


def test_aliases_cannot_blow_the_configuration_up() -> None:
    """Nine lines that stand for a billion values are refused at once."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]

    with pytest.raises(ConfigError, match="more than 200,000 values once its aliases"):
        Config("\n".join(lines))


def test_an_alias_is_written_out() -> None:
    """Sharing parameters by an anchor is ordinary YAML."""
    config = Config("Synthesizer:\n  x: &p {method: default}\n  y: *p\n  z: {<<: *p, seed: 1}\n")

    assert config.yaml["Synthesizer"] == {
        "x": {"method": "default"},
        "y": {"method": "default"},
        "z": {"method": "default", "seed": 1},
    }


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([19, 30, 5000]).map(lambda digits: 10**digits)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.datetimes()
    | st.sets(st.text(max_size=2) | st.integers(), max_size=3)
)
words = st.sampled_from([*MODULES, "Executor", "num_samples", "a", "b_[2-1]", "<<", "method"])
yaml_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(words | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
objects: st.SearchStrategy[Any] = st.recursive(
    scalars | st.builds(Mute) | st.just(...) | st.text(st.characters(), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(
            words | st.integers() | st.binary(max_size=2) | st.none() | st.builds(Mute),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def outcome(make: Callable[[Any], Config | Executor], given_config: Any) -> str:
    """Try a configuration: only ConfigError may come out, and what is taken can be walked."""
    try:
        made = make(given_config)
    except ConfigError as error:
        assert str(error)  # noqa: PT017  a message is all that is asked for
        return "refused"
    config = made.config if isinstance(made, Executor) else made
    assert config.experiment_count >= 1
    assert config.execution_count >= 1
    for execution in itertools.islice(config.executions(), 50):
        assert execution.module in MODULES
        assert isinstance(execution.experiment, str)
        assert isinstance(execution.parameters, dict)
    return "taken"


@given(yaml_values)
def test_any_value_is_a_configuration_or_a_config_error(value: Any) -> None:
    """Whatever YAML can say, only ConfigError comes out."""
    outcome(Config, value)
    with suppress(ValueError):  # PyYAML cannot write the largest numbers.
        outcome(Config, yaml.safe_dump(value, allow_unicode=True))


@given(objects)
def test_any_object_is_a_configuration_or_a_config_error(value: Any) -> None:
    """Whatever Python can hold, only ConfigError comes out."""
    outcome(Config, value)
    outcome(Config, {"Loader": value})
    outcome(Config, {"Loader": {"a": {"filepath": value}}})


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    """Whatever is typed, as text or as a path, only ConfigError comes out."""
    outcome(Config, text)
    outcome(Config, text + ".yaml")
    outcome(Config, Path(text))


tokens = st.sampled_from(
    ["Loader", "Splitter", "Executor", "num_samples", "a", "b", ":", ": ", "\n", "\n  ", "\n    ",
     "\t", "- ", "? ", "{", "}", "[", "]", ", ", "&x ", "*x", "<<: ", "&y ", "*y", "!!set ",
     "!!binary ", "!!timestamp ", "!!bool ", "!!int ", "!!float ", "!!omap ", "!!pairs ",
     "!!null ", "!!str ", "!!merge ", "!!python/name:os.system ", "!<x> ", "!x ", "'", '"', "|\n ",
     ">\n ", "#", "---\n", "...\n", "%YAML 1.2\n", "%TAG ! x\n", "\ufeff", "\0", "\x85",
     "\u2028", "\ud800", "2020-01-01", "2020-13-45", "190:20:30", "0x_", "0b", "_", "=", "~",
     "1e400", "9" * 5000, "@", "`"]
)  # fmt: skip
yaml_texts = st.lists(tokens, max_size=25).map("".join)
valid_text = "Loader:\n  a: {filepath: x.csv}\nSplitter:\n  s: {num_samples: 2}\n"


@given(yaml_texts, st.integers(0, len(valid_text)))
def test_any_yaml_is_a_configuration_or_a_config_error(text: str, at: int) -> None:
    """Tags, anchors, merges, directives: by themselves or inside a good configuration."""
    outcome(Config, text)
    outcome(Executor, valid_text[:at] + text + valid_text[at:])
    outcome(Config, valid_text + text)
    outcome(Config, f"Loader: {{a: {{x: {text}}}}}")


@given(st.binary(max_size=60) | yaml_texts.map(lambda text: text.encode(errors="ignore")))
def test_any_file_is_a_configuration_or_a_config_error(content: bytes) -> None:
    """Whatever a file holds, only ConfigError comes out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "p.yaml")
        path.write_bytes(content)
        outcome(Config, path)
        path.write_bytes(valid_text.encode() + content)
        outcome(Executor, path)


@pytest.mark.parametrize("depth", [50, 100_000])
@pytest.mark.parametrize("kind", ["list", "dict", "text"])
def test_any_depth_is_a_configuration_or_a_config_error(kind: str, depth: int) -> None:
    """However deep a configuration is nested, the stack is never the limit that a user sees."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    lines = (f"{' ' * (number + 4)}a:\n" for number in range(min(depth, 1_000)))
    config: Any = {"Loader": {"a": {"filepath": value}}}
    if kind == "text":
        config = "Loader:\n  a:\n   x:\n" + "".join(lines)

    assert outcome(Config, config) == ("taken" if depth == 50 else "refused")
    assert outcome(Executor, config) == "refused"


@given(
    st.sampled_from(MODULES),
    st.dictionaries(
        st.sampled_from(
            ["method", "filepath", "schema", "nrows", "num_samples", "config", "sequence",
             "source", "target", "output", "granularity", "sample_num_rows", "field_constraints",
             "field_combinations", "field_proportions", "nan_groups", "random_state"]
        ),
        yaml_values | st.sampled_from(["default", "x.csv", "Loader", "custom_data", "save_data"]),
        max_size=4,
    ),
    yaml_values,
)  # fmt: skip
def test_any_parameters_are_taken_or_a_config_error(
    module: str, parameters: dict[str, Any], section: Any
) -> None:
    """Before anything runs, each module says what it cannot use, and by ConfigError alone."""
    loader = {"a": {"filepath": "x.csv"}}

    outcome(Executor, {"Loader": loader, module: {"e": parameters}})
    outcome(Executor, {"Executor": section, "Loader": loader})
    outcome(Executor, {"Executor": {"log_level": section, "log_dir": section}, "Loader": loader})


@given(
    st.dictionaries(
        st.sampled_from(MODULES[2:]),
        st.dictionaries(
            st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.just({"k": 1}), min_size=1, max_size=3
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_counts_agree_with_what_is_run(content: dict[str, Any]) -> None:
    """The announced number of executions is the number that runs."""
    config = Config(content)
    last = config.sequence[-1]

    assert config.execution_count == len(executions(config))
    assert config.experiment_count == sum(e.module == last for e in config.executions())
