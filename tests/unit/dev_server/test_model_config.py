from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from undertone_dev_server import model_config
from undertone_dev_server.errors import SettingsError
from undertone_dev_server.model_config import All, Latest, ModelConfig, Specific

TWO_MODELS = """
model_config_list {
  config {
    name: "emotions" base_path: "/models/emotions" model_platform: "tensorflow"
    model_version_policy { specific { versions: 2 versions: 5 } }
    version_labels { key: "stable" value: 2 }
    version_labels { key: "canary" value: 5 }
  }
  config { name: "tone" base_path: "/models/tone" model_platform: "tensorflow" }
}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "models.config"
    path.write_text(text)
    return path


def config_of(folder: Path, model: str) -> Path:
    return write(folder, f"model_config_list {{ config {{ {model} }} }}")


def test_tf_servings_own_format_is_read(tmp_path: Path) -> None:
    assert model_config.read(write(tmp_path, TWO_MODELS), labels_allowed=True) == (
        ModelConfig("emotions", Path("/models/emotions"), Specific(frozenset({2, 5})), {"stable": 2, "canary": 5}),
        ModelConfig("tone", Path("/models/tone"), Latest(1)),
    )


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", Latest(1)),
        ("model_version_policy { latest { num_versions: 3 } }", Latest(3)),
        ("model_version_policy { latest { } }", Latest(1)),
        ("model_version_policy { all { } }", All()),
        ("model_version_policy { specific { versions: 7 } }", Specific(frozenset({7}))),
    ],
)
def test_policies(tmp_path: Path, text: str, policy: model_config.Policy) -> None:
    path = config_of(tmp_path, f'name: "a" base_path: "/a" model_platform: "tensorflow" {text}')
    assert model_config.read(path, labels_allowed=False)[0].policy == policy


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ('base_path: "/a" model_platform: "tensorflow"', "without a name"),
        ('name: "a" base_path: "/a"', 'the only platform is "tensorflow"'),
        ('name: "a" base_path: "models/a" model_platform: "tensorflow"', "absolute path"),
        (
            'name: "a" base_path: "/a" model_platform: "tensorflow" model_version_policy { specific { } }',
            "names none",
        ),
        (
            'name: "a" base_path: "/a" model_platform: "tensorflow" version_labels { key: "x" value: 1 }',
            "--allow_version_labels_for_unavailable_models=true",
        ),
        ('nam: "a"', "1:30"),
    ],
)
def test_what_tf_serving_would_refuse_is_refused_with_the_remedy(tmp_path: Path, model: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        model_config.read(config_of(tmp_path, model), labels_allowed=False)


def test_two_models_of_one_name(tmp_path: Path) -> None:
    twice = 'config { name: "a" base_path: "/a" model_platform: "tensorflow" }' * 2
    with pytest.raises(SettingsError, match="'a' more than once"):
        model_config.read(write(tmp_path, f"model_config_list {{ {twice} }}"), labels_allowed=False)


@pytest.mark.parametrize("text", ["", "model_config_list { }"])
def test_no_models(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="lists no model"):
        model_config.read(write(tmp_path, text), labels_allowed=False)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="absent cannot be read"):
        model_config.read(tmp_path / "absent", labels_allowed=False)


@given(
    versions=st.sets(st.integers(0, 2**63 - 1), max_size=8), count=st.integers(1, 10), wanted=st.frozensets(st.integers(0, 9))
)
@hypothesis_settings(max_examples=50, deadline=None)
def test_policies_choose_only_what_is_there(versions: set[int], count: int, wanted: frozenset[int]) -> None:
    latest = Latest(count).choose(versions)
    assert latest == set(sorted(versions, reverse=True)[:count])
    assert All().choose(versions) == versions
    assert Specific(wanted).choose(versions) == wanted & versions
