"""The directives `commands`, usage and options of every command, and `configuration`, every key of `config.toml`.

Both come from the declarations; help is plain text, shown as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from onesheet.__main__ import build_parser
from onesheet.cli.command_parser import FullHelp
from onesheet.options import GROUPS, Option
from onesheet.pipeline.recipe import OPTIONS

WIDTH = 88  # of the usage lines


class Commands(SphinxDirective):
    """A section for each command that does something."""

    def run(self) -> list[nodes.Node]:
        """Sphinx calls this where the directive stands."""
        self.env.note_reread()  # the commands may have changed where this page has not
        return [section(parser) for parser in commands(build_parser())]


class Configuration(SphinxDirective):
    """A section for each group of options."""

    def run(self) -> list[nodes.Node]:
        """Sphinx calls this where the directive stands."""
        self.env.note_reread()
        return [group_section(title) for title in GROUPS]


def group_section(title: str) -> nodes.section:
    """The options of a group."""
    found = nodes.section("", nodes.title("", title.capitalize()), ids=[nodes.make_id(title)])
    keys = [key(option) for option in OPTIONS.values() if option.group == title]
    found += nodes.definition_list("", *keys)
    return found


def key(option: Option) -> nodes.definition_list_item:
    """A key of `config.toml`, what it does, and what it may be."""
    facts = [option.value, option.range, option.shown_default and f"default: {option.shown_default}"]
    text = f"{option.help[0].upper()}{option.help[1:]} ({'; '.join(filter(None, facts))})."
    term = nodes.term("", "", nodes.literal(option.name, option.name))
    return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", text)))


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers at the ends of the tree, in order."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for one in action.choices.values():
            yield from commands(one)


def section(parser: argparse.ArgumentParser) -> nodes.section:
    """A command: what it does, how it is called, what each argument means."""
    found = nodes.section("", nodes.title("", parser.prog), ids=[nodes.make_id(parser.prog)])
    parser.formatter_class = lambda prog: FullHelp(prog, width=WIDTH)
    usage = parser.format_usage().removeprefix("usage: ")
    found += [nodes.paragraph("", parser.description or ""), nodes.literal_block(usage, usage, language="text")]
    arguments = [action for action in parser._actions if action.dest not in ("help", "help_all")]
    found += nodes.definition_list("", *(definition(action) for action in arguments))
    return found


def definition(action: argparse.Action) -> nodes.definition_list_item:
    """An argument and its sentence."""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    takes = "" if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction) else str(value)
    name = " ".join(filter(None, [", ".join(action.option_strings), takes]))
    meaning: dict[str, Any] = vars(action)
    term = nodes.term("", "", nodes.literal(name, name))
    return nodes.definition_list_item(
        "", term, nodes.definition("", nodes.paragraph("", (action.help or "") % meaning))
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.add_directive("commands", Commands)
    app.add_directive("configuration", Configuration)
    return {"parallel_read_safe": True}
