"""Genre names of IMDb, TMDB, OMDb, MovieLens, TVDB, Kodi and Jellyfin, and of six languages, made one.

Exact synonyms (`Science Fiction` = `Sci-Fi`) are applied wherever genres of two origins meet. Near ones
(`Children` ~ `Family`) are only suggested. A user's genre map wins over both.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# IMDb's name (or TMDB's or TVDB's where IMDb has none) -> its synonyms. Of TMDB's 19 genres the first seven are
# TMDB's German, French, Spanish, Italian, Brazilian, Portuguese and Dutch names.
_SYNONYMS = {
    "Action": "Action; Action; Acción; Azione; Ação; Acção; Actie; Actionfilm; Aksiyon",
    "Adventure": "Abenteuer; Aventure; Aventura; Avventura; Aventura; Aventura; Avontuur; Abenteuerfilm; Aventuras",
    "Animation": "Animation; Animation; Animación; Animazione; Animação; Animação; Animatie; Animated; Animationsfilm",
    "Comedy": "Komödie; Comédie; Comedia; Commedia; Comédia; Comédia; Komedie; Comedies; Komoedie",
    "Crime": "Krimi; Crime; Crimen; Crime; Crime; Crime; Misdaad; Policier; Policíaco; Poliziesco; Policial",
    "Documentary": "Dokumentarfilm; Documentaire; Documental; Documentario; Documentário; Documentário; Documentaire; "
    "Documentaries; Dokumentation; Doku; Doc",
    "Drama": "Drama; Drame; Drama; Dramma; Drama; Drama; Drama; Dramas; Drammatico; Dramatique",
    "Family": "Familie; Familial; Familia; Famiglia; Família; Família; Familie; Familienfilm; Famille; Familiar; "
    "Per famiglie; Kinder-/Familienfilm",
    "Fantasy": "Fantasy; Fantastique; Fantasía; Fantasy; Fantasia; Fantasia; Fantasie; Fantastico; Fantasyfilm",
    "History": "Historie; Histoire; Historia; Storia; História; História; Historisch; Historical; Historique; Storico; "
    "Geschichte; Historienfilm; Histórico",
    "Horror": "Horror; Horreur; Terror; Horror; Terror; Terror; Horror; Horrorfilm; Épouvante-Horreur; Horror Movies",
    "Music": "Musik; Musique; Música; Musica; Música; Música; Muziek; Musikfilm",
    "Mystery": "Mystery; Mystère; Misterio; Mistero; Mistério; Mistério; Mysterie; Mysteries",
    "Romance": "Liebesfilm; Romance; Romance; Romance; Romance; Romance; Romantiek; Romanze; Romantic; Romántico; "
    "Romántica; Sentimentale; Romantique; Romantik; Liebe/Romantik",
    "Sci-Fi": "Science Fiction; Science-Fiction; Ciencia ficción; Fantascienza; Ficção científica; Ficção científica; "
    "Sciencefiction; SF; Scifi; Sci-Fi & Futuristic",
    "TV Movie": "TV-Film; Téléfilm; Película de TV; televisione film; Cinema TV; Telefilme; TV film; "
    "Película de la televisión; Television Movie; Fernsehfilm; Film TV",
    "Thriller": "Thriller; Thriller; Suspenso; Thriller; Thriller; Thriller; Thriller; Thrillers",
    "War": "Kriegsfilm; Guerre; Bélica; Guerra; Guerra; Guerra; Oorlog; Bélico; Krieg; War Movies",
    "Western": "Western; Western; Western; Western; Faroeste; Western; Western; Westerns; Oeste; Del oeste",
    "Adult": "Adults only",
    "Biography": "Biopic; Biographical; Biographie; Biografía; Biografico; Biografie; Biopics",
    "Children": "Children's; Kids; Kinderfilm; Childrens; Jeunesse; Infantil",
    "Film-Noir": "Film Noir; Noir; Cine negro",
    "Game-Show": "Game Show; Gameshow",
    "Musical": "Musicals; Comédie musicale; Musicale; Musicales",
    "News": "Nachrichten; Newsreel",
    "Reality-TV": "Reality; Reality TV; Reality Show",
    "Short": "Short Film; Shorts; Kurzfilm; Court métrage; Cortometraje; Cortometraggio; Curta-metragem",
    "Sport": "Sports; Sportfilm; Deporte; Deportes",
    "Talk-Show": "Talk Show; Talk",
    "Soap": "Soap Opera",
    "Mini-Series": "Miniseries",
    "Martial Arts": "Arts martiaux; Artes marciales; Artes marciais; Arti marziali",
    "Anime": "",
    "Indie": "Independent",
    "Stand-Up": "Standup Comedy; Stand-Up Comedy",
    "IMAX": "",
    "Experimental": "",
    "Superhero": "Superheroes",
    "Disaster": "",
    "Erotic": "Erotica; Erotik; Érotique",
    "Holiday": "",
    "Food": "",
    "Travel": "",
    "Nature": "",
    "LGBT": "LGBTQ; LGBTQ+",
    "Action & Adventure": "Action and Adventure",
    "Sci-Fi & Fantasy": "Science Fiction & Fantasy",
    "War & Politics": "",
}
TMDB_GENRES = {
    **{28: "Action", 12: "Adventure", 16: "Animation", 35: "Comedy", 80: "Crime", 99: "Documentary", 18: "Drama"},
    **{10751: "Family", 14: "Fantasy", 36: "History", 27: "Horror", 10402: "Music", 9648: "Mystery"},
    **{10749: "Romance", 878: "Science Fiction", 10770: "TV Movie", 53: "Thriller", 10752: "War", 37: "Western"},
    **{10759: "Action & Adventure", 10762: "Kids", 10763: "News", 10764: "Reality", 10765: "Sci-Fi & Fantasy"},
    **{10766: "Soap", 10767: "Talk", 10768: "War & Politics"},
}
"""TMDB's numbers of genres, of films and of series, and their English names."""

# Alike and not the same: suggested in both directions, the likeliest first.
_NEAR = (
    *(("Children", "Family"), ("Suspense", "Thriller"), ("Anime", "Animation"), ("Cartoon", "Animation")),
    *(("Suspense", "Mystery"), ("Musical", "Music"), ("Film-Noir", "Crime"), ("Neo-Noir", "Film-Noir")),
    *(("Biography", "History"), ("Martial Arts", "Action"), ("Superhero", "Action"), ("Slasher", "Horror")),
    *(("Period", "History"), ("Detective", "Mystery"), ("Detective", "Crime"), ("Gangster", "Crime")),
    *(("Romantic Comedy", "Romance"), ("Rom-Com", "Romance"), ("Dark Comedy", "Comedy"), ("Stand-Up", "Comedy")),
    *(("Psychological Thriller", "Thriller"), ("Spy", "Thriller"), ("Zeichentrick", "Animation"), ("Giallo", "Horror")),
    *(("Action & Adventure", "Action"), ("Sci-Fi & Fantasy", "Sci-Fi"), ("War & Politics", "War")),
    *(("Supernatural", "Horror"), ("Épouvante", "Horror"), ("Concert", "Music"), ("Docudrama", "Documentary")),
)
# Names that people and services use besides, without a synonym.
_OTHERS = (
    *("Art House", "Buddy", "Christmas", "Cult", "Dance", "Dark Comedy", "Dystopia", "Epic"),
    *("Faith", "Foreign", "Heist", "Historical Drama", "Kaiju", "Legal", "Medical", "Melodrama", "Monster", "Opera"),
    *("Parody", "Political", "Psychological", "Religious", "Road Movie", "Satire", "Silent", "Slapstick", "Splatter"),
    *("Survival", "Swashbuckler", "Sword and Sorcery", "Teen", "Time Travel", "Tragedy", "Vampire", "Werewolf"),
    *("Wuxia", "Zombie", "Steampunk", "Cyberpunk", "Mockumentary", "Podcast", "Stand-Up", "Home and Garden"),
)
_JOINTS = re.compile(r"(?<=\w)[\s\-_.'’‐‑–]+(?=\w)")
_ACCENTS = re.compile("[\u0300-\u036f]")


@lru_cache(maxsize=100_000)
def genre_key(name: str) -> str:
    """What spellings of one name share: case, spaces, accents and hyphens make no difference.

    Example:
        >>> genre_key("Film-Noir") == genre_key(" film  noir"), genre_key("Komödie")
        (True, 'komodie')
    """
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name)).casefold()
    return _JOINTS.sub("", plain).strip()


_CANONICAL = {
    genre_key(name): canonical
    for canonical, names in _SYNONYMS.items()
    for name in (canonical, *names.split(";"))
    if name
}
_CANONICAL |= {str(number): _CANONICAL[genre_key(name)] for number, name in TMDB_GENRES.items()}
_KNOWN = frozenset(_CANONICAL) | {genre_key(name) for name in (*_OTHERS, *(one for pair in _NEAR for one in pair))}
# TMDB's Spanish and Portuguese call a thriller "Suspense", which English has as a genre of its own.
_IBERIAN = {
    *("accion", "acao", "accao", "aventura", "animacion", "animacao", "comedia", "crimen", "documental"),
    *("documentario", "familia", "fantasia", "historia", "terror", "musica", "misterio", "cienciaficcion"),
    *("ficcaocientifica", "belica", "guerra", "faroeste", "cinematv", "peliculadetv"),
}


def canonical(name: str) -> str | None:
    """IMDb's name for a genre (TMDB's or TVDB's where IMDb has none); None for a name that no service has.

    TMDB's numbers are names too.

    Example:
        >>> canonical("Science Fiction"), canonical("878"), canonical("Krimi"), canonical("Christmas")
        ('Sci-Fi', 'Sci-Fi', 'Crime', None)
    """
    return _CANONICAL.get(genre_key(name))


def is_known(name: str) -> bool:
    """Whether a name is a genre of some service, or one that people often use; numbers are none.

    Example:
        >>> is_known("film noir"), is_known("Heist"), is_known("Rated_PG"), is_known("28")
        (True, True, False, False)
    """
    key = genre_key(name)
    return key in _KNOWN and not key.isdigit()


def synonym_key(name: str) -> str:
    """What all exact synonyms of one genre share; numbers stand for themselves.

    Example:
        >>> synonym_key("sci fi") == synonym_key("Science-Fiction"), synonym_key("Christmas"), synonym_key("28")
        (True, 'christmas', '28')
    """
    key = genre_key(name)
    return key if key.isdigit() else genre_key(_CANONICAL.get(key, key))


def match(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Names of one origin -> the names of another, by spelling and then by exact synonyms.

    Args:
        names: genre names of any service and language, or TMDB's numbers.
        known: the names they are to become.

    Returns:
        Each name that has one -> its name in `known`, spelt as there.

    Example:
        >>> match(["science fiction", "27", "Christmas"], ["Horror", "Sci-Fi"])
        {'science fiction': 'Sci-Fi', '27': 'Horror'}
    """
    names, known = list(dict.fromkeys(names)), list(known)
    spelt = {genre_key(name): name for name in reversed(known)}
    meant = {found: name for name in reversed(known) if (found := canonical(name))}
    if sum(genre_key(name) in _IBERIAN for name in names) > len(names) / 3 and "Thriller" in meant:
        spelt.setdefault("suspense", meant["Thriller"])
    targets = {name: spelt.get(genre_key(name)) or meant.get(canonical(name) or "") for name in names}
    return {name: target for name, target in targets.items() if target}


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The genre of `known` that a name may stand for, for a person to confirm; None where none is like it.

    Example:
        >>> suggest("Children", ["Drama", "Family"]), suggest("Anime", ["Drama", "Family"])
        ('Family', None)
    """
    known = list(known)
    if exact := match([name], known):
        return exact[name]
    meant = {synonym_key(one): one for one in reversed(known)}
    key = synonym_key(name)
    for pair in _NEAR:
        keys = [synonym_key(one) for one in pair]
        if key in keys and (found := meant.get(keys[1 - keys.index(key)])):
            return found
    spelt = {genre_key(one): one for one in reversed(known)}
    near = difflib.get_close_matches(genre_key(name), spelt, n=1, cutoff=0.75)
    return spelt[near[0]] if near else None
