"""Settings written as YAML read back as the same settings."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from optdet.config import Config
from optdet.config_io import apply_params, config_from, differences, fingerprint, parse_override
from optdet.errors import OptdetError
from optdet.settings_yaml import dump_yaml, parse_yaml

CONFIG = settings(deadline=None, max_examples=60)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=12)
odd_texts = texts | st.sampled_from(
    ["1e-4", "true", "null", "~", "2024-01-01", "a: b", "- x", "#", "<<", "1_0"]
)
numbers = st.floats(1e-12, 1e12)
shares = st.floats(0, 1)
dimensions = st.one_of(
    st.builds(
        lambda low, width, log: {"type": "float", "low": low, "high": low + width, "log": log},
        st.floats(0.01, 0.4),
        st.floats(0.001, 0.5),
        st.booleans(),
    ),
    st.builds(
        lambda choices: {"type": "categorical", "choices": choices},
        st.lists(shares | st.integers(0, 1), min_size=1, max_size=3),
    ),
)
sources = st.fixed_dictionaries({"images": odd_texts, "labels": odd_texts}, optional={"weight": numbers})
trees = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "device": odd_texts,
        "data": st.fixed_dictionaries({"train": st.lists(sources, min_size=1, max_size=2), "val": sources}),
        "model": st.fixed_dictionaries(
            {}, optional={"backbone": odd_texts, "weights": st.none() | odd_texts}
        ),
        "optimizer": st.fixed_dictionaries(
            {}, optional={"lr": numbers, "weight_decay": st.just(0) | numbers}
        ),
        "loss": st.fixed_dictionaries({"prob_weight": numbers}),
        "postprocess": st.fixed_dictionaries(
            {}, optional={"thresh": shares, "tune": st.fixed_dictionaries({"space": st.just({})})}
        ),
    },
)


@CONFIG
@given(trees)
def test_differences_survive_yaml(tree):
    config = config_from(tree)
    text = dump_yaml(differences(config))
    assert config_from(parse_yaml(text, "text")) == config
    assert fingerprint(config_from(parse_yaml(text, "text"))) == fingerprint(config)


@CONFIG
@given(dimensions)
def test_spaces_survive_yaml(dimension):
    config = config_from({"postprocess": {"tune": {"space": {"box_thresh": dimension}}}})
    back = config_from(parse_yaml(dump_yaml(differences(config)), "text"))
    assert back == config
    assert repr(back) == repr(config)  # 1 and 1.0 are equal to ==


@CONFIG
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | odd_texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_plain_value_survives_yaml(value):
    assert parse_yaml(dump_yaml({"value": value}), "text") == {"value": value}


@CONFIG
@given(trees, st.randoms(use_true_random=False))
def test_the_order_of_a_file_is_not_in_its_fingerprint(tree, random):
    config = config_from(tree)
    assert fingerprint(config_from(_shuffled(tree, random))) == fingerprint(config)


def _shuffled(tree, random):
    if not isinstance(tree, dict):
        return tree
    names = list(tree)
    random.shuffle(names)
    return {name: _shuffled(tree[name], random) for name in names}


@CONFIG
@given(numbers, st.integers(1, 500))
def test_a_trial_and_overrides_set_the_same(lr, epochs):
    params = {"optimizer.lr": lr, "train.epochs": epochs}
    overrides = [f"{name}={value!r}" for name, value in params.items()]
    assert apply_params(Config(), params) == config_from({}, overrides)
    assert parse_override(f"optimizer.lr={lr!r}") == ("optimizer.lr", lr)


@CONFIG
@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    with suppress(OptdetError):  # the one error that there may be
        parse_yaml(text, "text")
