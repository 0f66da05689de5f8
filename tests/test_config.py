"""Configurations: what they multiply to, and what every mistake is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from petsard_otel import Config, ConfigError
from petsard_otel.config import MODULES

if TYPE_CHECKING:
    from pathlib import Path


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
        ("Loader: {a: {}}\n---\nLoader: {a: {}}\n", "expected one YAML document, found a second"),
        ("Loader: {a: [1, 2}\n", "line 1: not valid YAML: "),
        ("Loader: {a: !!python/object/apply:os.system [echo]}\n", "line 1: not valid YAML: "),
        ("Loader: {a: {when: 2020-13-45}}\n", "a value cannot be read (ValueError)"),
        (f"Splitter: {{s: {{num_samples: 0x{'f' * 5000}}}}}\n", "a number has over 64 bits"),
        ("Loader: {a: {x: \x07}}\n", "characters that YAML does not allow"),
        ("a: &a [*a]\n", "line 1: an alias contains itself"),
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


@pytest.mark.parametrize("config", [None, 3, ["Loader"], b"Loader: {a: {}}"])
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


yaml_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*MODULES, "Executor", "num_samples", "a"]) | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(yaml_values)
def test_any_value_is_a_configuration_or_a_config_error(value: Any) -> None:
    """Whatever YAML can say, only ConfigError comes out."""
    for config in (value, yaml.safe_dump(value, allow_unicode=True)):
        try:
            found = Config(config)
        except ConfigError as error:
            assert str(error)  # noqa: PT017  a message is all that is asked for
        else:
            assert found.experiment_count >= 1


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    """Whatever is typed, only ConfigError comes out."""
    try:
        Config(text)
    except ConfigError as error:
        assert str(error)  # noqa: PT017  a message is all that is asked for


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
