"""A drawn library in every layout that people use."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from onesheet.data.film_library import scan_library

NFO = "<movie><title>{}</title><year>{}</year><genre>Drama</genre></movie>"
# {t} = "Title 7", {y} = its year, {s} = "Title.7.1999"; a folder of the film's own ends in "/".
OWN = (
    ["{t} ({y}).mkv", "movie.nfo", "poster.jpg"],
    ["{t} ({y}).mkv", "{t} ({y}).nfo", "{t} ({y})-poster.jpg", "fanart.jpg"],
    ["{t}.avi", "folder.jpg"],
    ["{t} ({y}) - 1080p.mkv", "{t} ({y}) - 2160p.mkv", "movie.nfo", "poster.jpg"],
    ["{t} ({y}) [1080p].mp4", "{t} ({y}) [720p].mp4", "poster.png"],
    ["{t} ({y}) {{edition-Final Cut}}.mkv", "{t} ({y}).mkv", "poster.jpg"],
    ["{t} ({y})-cd1.avi", "{t} ({y})-cd2.avi", "{t} ({y}).nfo", "poster.jpg"],
    ["{t} ({y}) part1.mkv", "{t} ({y}) part2.mkv", "movie.nfo"],
    ["{s}.1080p.BluRay.x264-GRP.mkv", "{s}.1080p.BluRay.x264-GRP.nfo", "sample/{s}-sample.mkv", "poster.jpg"],
    ["{s}.1080p-GRP.mkv", "{s}.2160p-GRP.mkv", "movie.nfo"],
    ["VIDEO_TS/VIDEO_TS.IFO", "VIDEO_TS/VTS_01_1.VOB", "movie.nfo", "poster.jpg"],
    ["VIDEO_TS.IFO", "VIDEO_TS.VOB", "VTS_01_0.VOB", "VTS_01_1.VOB", "movie.nfo", "poster.jpg"],
    ["BDMV/index.bdmv", "BDMV/STREAM/00001.m2ts", "CERTIFICATE/id.bdmv", "movie.nfo"],
    ["CD1/{t}.avi", "CD2/{t}.avi", "movie.nfo"],
    ["Disc 1/VIDEO_TS/VTS_01_1.VOB", "Disc 2/VIDEO_TS/VTS_01_1.VOB", "poster.jpg"],
    ["{t} ({y}).mkv", "{t} ({y})-trailer.mp4", "poster.jpg"],
    ["{t} ({y}).mkv", "{t} ({y})-trailer1.mp4", "{t} ({y})-trailer2.mp4", "movie.nfo"],
    ["{t} ({y}).mkv", "{t} ({y}) trailer.mp4", "sample.mkv"],
    ["{t} ({y}).mkv", "Extras/a.mkv", "Behind The Scenes/b.mkv", "Trailers/c.mkv"],
    ["{t} ({y}).mkv", "{t} ({y})-featurette.mkv", "{t} ({y})-deleted.mkv", "{t} ({y})-behindthescenes.mkv"],
    ["{t} ({y}).mkv", "Plex Versions/Optimized for TV/{t} ({y}).mp4"],
    ["{t} ({y}).mkv", "@eaDir/{t} ({y}).mkv/SYNOVIDEO.jpg", "Subs/en.srt"],
    ["{t} ({y}).mkv", "extrafanart/fanart1.jpg", ".actors/A.jpg", "theme-music/theme.mp3"],
    ["{t} ({y}).iso", "poster.jpg"],
    ["{t} ({y}).wtv", "{t} ({y}).tbn"],
    ["{t} ({y}).mk3d", "cover.jpg"],
    ["{t} ({y}).dvr-ms"],
    ["{t} ({y}).strm", "movie.nfo"],
    ["{t} ({y}).disc", "poster.jpg"],
    ["movie.nfo", "poster.jpg"],
    ["poster.jpg"],
    ["{t} ({y}).ts", "{t} ({y}).jpg", "poster.jpg", "landscape.jpg"],
    ["{t} ({y}).mkv", "{t} ({y}).en.srt", "{t} ({y}).nfo", "movie.nfo"],
)
TAGGED = ("{t} ({y}) [imdbid-tt{n:07d}]", "{t} ({y}) {{tmdb-{n}}}")
SHARED = (
    ["{t} ({y}).mkv"],
    ["{t} ({y}).mkv", "{t} ({y}).nfo", "{t} ({y})-poster.jpg"],
    ["{s}.720p.WEB-DL.mkv", "{s}.720p.WEB-DL.nfo"],
    ["{t} ({y})-cd1.avi", "{t} ({y})-cd2.avi"],
    ["{t} ({y}) {{edition-Uncut}}.mkv", "{t} ({y}).mkv"],
)
LAYOUTS = len(OWN) + len(TAGGED) + len(SHARED)


def lay_out(root: Path, films: int) -> set[str]:
    """Draw the library; the path of each film's own folder, or of its files without suffix."""
    names = set()
    junk = ["#recycle/Z (1999).mkv", "$RECYCLE.BIN/Z (1999).mkv", "lost+found/Z.mkv", ".Trash-1000/files/Z (1999).mkv"]
    junk += ["Old/.nomedia", "Old/Z (1999).mkv", "Older/.ignore", "Older/Z (1999).mkv"]
    junk += ["Show/tvshow.nfo", "Show/Season 1/Show S01E01.mkv", "Loose Show/Season 01/Loose Show S01E01.mkv"]
    for name in junk:
        _lay(root / name, "")
    for number in range(films):
        layout, year = number % LAYOUTS, 1930 + number % 90
        words = {"t": f"Title {number}", "y": year, "s": f"Title.{number}.{year}", "n": number + 1}
        if layout < len(OWN):
            folder, files = "{t} ({y})", OWN[layout]
        elif layout < len(OWN) + len(TAGGED):
            folder, files = TAGGED[layout - len(OWN)], ["{t} ({y}).mkv", "movie.nfo", "poster.jpg"]
        else:
            folder, files = "Shared", SHARED[layout - len(OWN) - len(TAGGED)]
            words["t"] = f"Title {chr(97 + number % 26)}{number}x"  # whose number ends no name as a part's would
        inside = Path(folder.format(**words))
        if folder != "Shared":
            inside = Path(f"{number // 1000}") / inside
            names.add(str(inside))
        else:
            names.add(str(inside / (Path(files[-1]).stem.removesuffix("-cd2").removesuffix("-poster")).format(**words)))
        for file in files:
            path = inside / file.format(**words)
            _lay(root / path, NFO.format(words["t"], year) if path.suffix == ".nfo" else "")
    return names


def _lay(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Draw a library and measure a scan."""
    parser = argparse.ArgumentParser(description="Draw a film library in every layout and scan it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=int, default=2000)
    arguments = parser.parse_args()
    wanted = lay_out(arguments.folder, arguments.films)
    began = time.monotonic()
    found = Counter(film.name for film in scan_library(arguments.folder).films)
    seconds = time.monotonic() - began
    right = sum(found[name] == 1 for name in wanted)
    others = len(found - Counter(wanted))
    print(f"{len(wanted):,} films in {LAYOUTS} layouts: {right:,} found once, {others:,} others, {seconds:.1f} s")


if __name__ == "__main__":
    main()
