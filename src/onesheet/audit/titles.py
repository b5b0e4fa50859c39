"""Titles whose letters were decoded wrongly ("mojibake"), and what they should read.

The damage is a chain of wrong readings: UTF-8 bytes taken for Latin-1, Windows-1252 or Mac Roman, sometimes
several times over ("Pokémon" -> "PokÃ©mon" -> "PokÌ©mon"). The cure is tried word by word: every short chain
of the reverse steps, until the result reads as ordinary letters and no further step helps.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

MAX_STEPS = 4

# What damaged words turn out to hold besides letters.
_SIGNS = frozenset("¡¿«»°ªº·–—‘’‚“”„…½¼¾²³")
# Letters of living languages in Latin script: no phonetic signs, which accidents of bytes produce.
_LATIN = re.compile("[A-Za-zÀ-ÖØ-öø-ēĖ-žƠơƯưǍ-ǜȘ-țẀ-ẅẞẠ-ỹ]")
_JAPANESE = ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA")
_SCRIPTS = frozenset(("GREEK", "CYRILLIC", "HEBREW", "ARABIC", "DEVANAGARI", "THAI", "HANGUL", "CJK", *_JAPANESE))
# "Ã", "Â" and what Mac Roman makes of it, before a letter that the next encoding did not have.
_LOST = re.compile("[ÃÌíå\x8c]_")


def repaired_title(title: str) -> str | None:
    """What a mis-encoded title should read.

    Returns:
        The right title; "" where letters are lost for good (U+FFFD, or an underscore for a letter); None where
        the title is in order.

    Example:
        >>> repaired_title("PokÌ©mon"), repaired_title("AmÃ©lie"), repaired_title("Amélie")
        ('Pokémon', 'Amélie', None)
    """
    if title.isascii():
        return None
    words = re.split("([ \t\n]+)", title)
    fixed = [_repaired(word) for word in words]
    if any(_lost(word) for word in fixed if not word.isascii()):
        return ""
    return None if fixed == words else "".join(fixed)


def _repaired(word: str) -> str:
    """Undo wrong readings for as long as there are any."""
    for _ in range(MAX_STEPS):
        if word.isascii() or (result := _less_damaged(word)) is None:
            break
        word = result
    return word


def _less_damaged(word: str) -> str | None:
    """Undo the shortest chain of wrong readings that gives a plausible word."""
    seen = {word}
    ways = [word]
    for _ in range(MAX_STEPS):
        following = []
        for way in ways:
            for step in _STEPS:
                result = step(way)
                if result is None or result in seen:
                    continue
                seen.add(result)
                following.append(result)
                if step is not _latin_as_mac and _plausible(result, word):
                    return result
        ways = following
    return None


def _lost(word: str) -> bool:
    """Whether a letter is gone: U+FFFD, a control character, or an underscore (one reading deeper)."""
    deeper = _windows_as_utf8(word) or word
    return "\ufffd" in word or bool(_LOST.search(deeper)) or any("\x80" <= letter < "\xa0" for letter in word + deeper)


def _plausible(word: str, damaged: str) -> bool:
    """Ordinary letters of one script, no capital in mid-word; two accented letters are not a Greek one."""
    scripts = set()
    for before, letter in zip(" " + word, word, strict=False):
        if letter.isascii() or _LATIN.match(letter):
            if letter.isalpha():
                scripts.add("LATIN")
            if not letter.isascii() and letter.isupper() and before.islower():
                return False
        elif letter not in _SIGNS:
            script = unicodedata.name(letter, "?").split()[0]
            if script not in _SCRIPTS:
                return False
            scripts.add("CJK" if script in _JAPANESE else script)
    return len(scripts) <= 1 and (scripts <= {"LATIN"} or not damaged.isalpha())


def _bytes_of(word: str) -> bytes | None:
    """Windows-1252, and Latin-1 for what that leaves open, as browsers do."""
    out = bytearray()
    for letter in word:
        try:
            out += letter.encode("cp1252")
        except UnicodeEncodeError:
            if ord(letter) > 0xFF:
                return None
            out.append(ord(letter))
    return bytes(out)


def _utf8(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _windows_as_utf8(word: str) -> str | None:
    return _utf8(_bytes_of(word))


def _mac_as_utf8(word: str) -> str | None:
    try:
        return _utf8(word.encode("mac_roman"))
    except UnicodeEncodeError:
        return None


def _latin_as_mac(word: str) -> str | None:
    try:
        return word.encode("latin-1").decode("mac_roman")
    except UnicodeEncodeError:
        return None


_STEPS: tuple[Callable[[str], str | None], ...] = (_windows_as_utf8, _mac_as_utf8, _latin_as_mac)
