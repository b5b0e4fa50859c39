"""Mis-encoded titles are repaired, right ones left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onesheet.audit.titles import repaired_title

RIGHT = [
    "Amélie", "São Paulo", "Ōkami", "L’étoile", "L’été", "CAFÉ…", "ROSÉ™", "«Œuvre»", "«Aquí»",
    "Þórr", "Naïve Ångström", "Äänekoski", "Île–d’Été", "東京物語", "Сталкер", "Ελλάδα", "Ça ira", "À bout de souffle",
    "Ñandú", "Žižek!", "Łódź", "Đà Nẵng", "Việt Nam", "İstanbul", "Wall·E", "8½", "Alien³",
    "E.T.®", "Ocean’s", "“Quoted”", "naïf — vérité", "Œil", "À l’aube", "Æon Flux", "Björk: Ágætis", "mère—fille",
    "Kāma Sūtra", "Blåbär Ö", "Übergänge", "snake_case", "",
]  # fmt: skip


@pytest.mark.parametrize("title", RIGHT)
def test_right_titles_are_left_alone(title):
    assert repaired_title(title) is None


def misread(title, *readings):
    for written, read in readings:
        title = title.encode(written).decode(read)
    return title


@pytest.mark.parametrize(
    "title", ["Pokémon", "Amélie (2001)", "São Paulo", "Les Misérables", "À bout de souffle", "Año"]
)
def test_chains_of_wrong_readings_are_undone(title):
    chains = [
        [("utf-8", "latin-1")],
        [("utf-8", "mac_roman")],
        [("utf-8", "latin-1"), ("utf-8", "latin-1")],
    ]
    for chain in chains:
        assert repaired_title(misread(title, *chain)) == title


def test_the_chains_of_a_real_table():
    assert repaired_title("PokÌ©mon") == "Pokémon"
    assert repaired_title("PokÃ\x8cÂ©mon") == "Pokémon"  # the same, read as Latin-1 once more
    assert repaired_title("La veritÌÊ prí©fí©rí©e") == "La verità préférée"
    assert repaired_title("Ã¥Ã\x81A volar joven!") == "¡A volar joven!"
    assert repaired_title(misread("千と千尋", ("utf-8", "latin-1"))) == "千と千尋"


def test_windows_1252():
    assert repaired_title("AmÃ©lie â€“ lâ€™Ã©tÃ©") == "Amélie – l’été"


def test_lost_letters_give_no_proposal():
    assert repaired_title("Am\ufffdlie") == ""
    assert repaired_title("MÌ_nner zum Knutschen") == ""
    assert repaired_title("O Costa d'Ì\x81frica") == ""


@given(st.text(alphabet="abcdefghij éèàçñöüåøßłžşőūạ", min_size=1, max_size=20))
def test_any_accented_text_survives_the_trip(title):
    assert repaired_title(title) is None
    broken = misread(title, ("utf-8", "latin-1"))
    assert repaired_title(broken) == (None if title.isascii() else title)
