from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onesheet.errors import ConfigError
from onesheet.options import GROUPS, check_options, option, options_of, read_config, to_toml


@dataclass(frozen=True, kw_only=True)
class Oven:
    heat: float | None = option(
        None, "how hot", group="model", unset="as the dough needs", bounds=(0, 0.5), formerly=("warmth",)
    )
    kind: str = option("gas", "what heats", group="output", choices=("gas", "wood"))
    sizes: tuple[int, ...] = option((1,), "trays", group="output", bounds=(1, 9))
    plain: int = 3

    def __post_init__(self) -> None:
        check_options(self)


KNOWN = options_of(Oven)


def test_a_declaration_says_everything() -> None:
    assert list(KNOWN) == ["heat", "kind", "sizes"]
    assert all(one.group in GROUPS for one in KNOWN.values())
    heat = KNOWN["heat"]
    assert (heat.flag, heat.kind, heat.range, heat.shown_default) == (
        "--heat",
        "float",
        "0 to 0.5",
        "as the dough needs",
    )


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"heat": 0.6}, "the --heat option must be between 0 and 0.5; got 0.6"),
        ({"heat": float("nan")}, "between 0 and 0.5; got nan"),
        ({"heat": True}, "must be a number; got True"),
        ({"kind": "coal"}, "the --kind option must be one of gas, wood; got 'coal'"),
        ({"kind": None}, "must be text in quotes; got None"),
        ({"sizes": [3, 10]}, r"between 1 and 9; got \[3, 10\]"),
        ({"sizes": 3}, "must be a list of whole numbers; got 3"),
    ],
)
def test_a_wrong_value_is_rejected_with_what_is_allowed(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Oven(**choice)  # type: ignore[arg-type]


def test_lists_become_tuples_and_none_stays() -> None:
    oven = Oven(sizes=[1, 2])  # type: ignore[arg-type]
    assert (oven.sizes, oven.heat) == ((1, 2), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sices = [1]\n", r"unknown key 'sices' in .*; did you mean 'sizes'\?"),
        ("xyzzy = 1\n", "use one of heat, kind, sizes"),
        ("warmth = 0.1\n", "unknown key 'warmth' in .*; its name is 'heat' now"),
        ('heat = "hot"\n', "heat in .* must be a number; got 'hot'"),
    ],
)
def test_a_wrong_configuration_names_the_cure(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "config.toml", KNOWN)


@pytest.mark.parametrize("content", [b"a = \n", b"\xff\xfe"], ids=["broken", "not text"])
def test_what_is_not_toml_is_rejected(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(path, KNOWN)
    with pytest.raises(ConfigError, match="cannot read configuration"):
        read_config(tmp_path / "missing.toml", KNOWN)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,10}", fullmatch=True),
        st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF))
        | st.booleans()
        | st.integers(-(2**60), 2**60)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.lists(st.integers(0, 100)),
    )
)
def test_toml_reads_back_as_written(values: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(values)) == values
