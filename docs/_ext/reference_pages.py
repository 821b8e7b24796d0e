"""Write the reference pages from the docstrings, as Markdown: one for the public functions,
one for each family of parts, one for the command line.

Docstrings of bioFA are plain text with indented equations and Google sections. Equations become code blocks, sections
lists; nothing is left out, so a page says what `help()` says.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import click

import bioFA
from bioFA import neurons, rules, tasks, weights
from bioFA.__main__ import main as command_line
from bioFA.components import Component, Family
from bioFA.exchange import FORMATS, module
from bioFA.schemes import family as schemes

FAMILIES: dict[str, tuple[str, Family[Any]]] = {
    "neurons": ("Neuron models", neurons.family),
    "rules": ("Plasticity rules", rules.family),
    "schemes": ("Learning schemes", schemes),
    "tasks": ("Tasks", tasks.family),
    "weights": ("Weights", weights.family),
}
SECTIONS = re.compile(r"^(Args|Returns|Raises):$")


def prose(text: str) -> str:
    """Plain text in Markdown: what Markdown would take for a sign of its own is escaped, outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[\]|~])", r"\\\1", part) for part in parts)


def markdown(docstring: str) -> str:
    """A docstring as Markdown."""
    lines, out, section = inspect.cleandoc(docstring).splitlines(), [], ""
    block: list[str] = []

    def close() -> None:
        while block and not block[-1].strip():
            block.pop()
        if block:
            out.extend(["", "```text", *(line[4:] for line in block), "```", ""])
        block.clear()

    for line in lines:
        if match := SECTIONS.match(line):
            close()
            section = match[1]
            out.extend(["", f"**{ {'Args': 'Arguments'}.get(section, section) }**", ""])
        elif section and line.startswith("    "):
            told = line.strip()
            item = re.match(r"(\w[\w, ]*): (.*)", told) if len(line) - len(line.lstrip()) == 4 else None
            out.append(
                f"- `{item[1]}`: {prose(item[2])}"
                if item
                else f"  {prose(told)}" if out[-1].startswith(("- ", "  ")) else prose(told)
            )
        elif line.startswith("    ") or (block and not line.strip()):
            block.append(line)
        else:
            close()
            section = section if not line.strip() else ""
            out.append(prose(line))
    close()
    return "\n".join(out)


def fields(part: type[Component]) -> str:
    """The fields of a part as a table."""
    rows = []
    for name, field in part.model_fields.items():
        unit = part.unit_of(name)
        default = "needed" if field.is_required() else f"`{_short(field.get_default(call_default_factory=True))}`"
        bounds = ", ".join(
            f"{sign} {getattr(m, key)}"
            for m in field.metadata
            for key, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
            if getattr(m, key, None) is not None
        )
        rows.append(f"| `{name}` | {default} | {'' if unit == '1' else unit} | {bounds.replace('<', chr(92) + '<')} |")
    return "\n".join(["| field | default | unit | bounds |", "|---|---|---|---|", *rows]) if rows else ""


def _short(value: Any) -> str:
    text = repr(value).replace("|", "/").replace("\n", " ")
    return text if len(text) < 60 else text[:57] + "..."


def family_page(title: str, family: Family[Any]) -> str:
    """All parts of a family, with the docstrings of their files."""
    out = [f"# {title}", ""]
    for name in family.names():
        part = family.get(name)
        home = inspect.getmodule(part)
        text = (
            (home.__doc__ or "")
            if home and sum(isinstance(v, type) and v.__module__ == home.__name__ for v in vars(home).values()) == 1
            else part.__doc__ or ""
        )
        out += [f"## {name}", "", f"`{part.__module__}.{part.__name__}`", "", markdown(text), ""]
        if text is not part.__doc__ and part.__doc__ and not part.__doc__.startswith(part.__name__ + "("):
            out += [markdown(part.__doc__), ""]
        out += [fields(part), ""]
    return "\n".join(out)


def python_page() -> str:
    """The public names of `bioFA`."""
    out = ["# Python", "", "Everything below is `bioFA.<name>`.", ""]
    for name in bioFA.__all__:
        thing = getattr(bioFA, name)
        out += [f"## {name}", ""]
        if inspect.isfunction(thing):
            out += ["```python", f"{name}{_signature(thing)}", "```", ""]
        out += [markdown(thing.__doc__ or ""), ""]
        if inspect.isclass(thing) and issubclass(thing, Component):
            out += [fields(thing), ""]
        elif inspect.isclass(thing) and not issubclass(thing, Exception):
            for member, value in vars(thing).items():
                value = getattr(value, "func", getattr(value, "fget", value))
                if not member.startswith("_") and inspect.isfunction(value) and value.__doc__:
                    out += [f"### {name}.{member}", "", markdown(value.__doc__), ""]
    return "\n".join(out)


def _signature(function: Any) -> str:
    return (
        str(inspect.signature(function)).replace("'", "").replace(", ", ",\n    ").replace("(", "(\n    ", 1)
        if len(str(inspect.signature(function))) > 80
        else str(inspect.signature(function)).replace("'", "")
    )


def command_page() -> str:
    """The help of every command."""
    out = [
        "# Command line",
        "",
        "```text",
        command_line.get_help(click.Context(command_line, info_name="biofa")),
        "```",
        "",
    ]
    for name in sorted(command_line.commands):
        command = command_line.commands[name]
        out += [
            f"## biofa {name}",
            "",
            "```text",
            command.get_help(
                click.Context(command, info_name=f"biofa {name}", terminal_width=100, max_content_width=100)
            ),
            "```",
            "",
        ]
    return "\n".join(out)


def format_page() -> str:
    """The docstring of every exchange format."""
    out = ["# Exchange formats", ""]
    for name, format in FORMATS.items():
        out += [
            f"## {name}",
            "",
            f"{format.headline}.{' Also read.' if format.reads else ''}",
            "",
            markdown(module(name).__doc__ or ""),
            "",
        ]
    return "\n".join(out)


def pages() -> dict[str, str]:
    """Every reference page by its name."""
    written = {name: family_page(title, family) for name, (title, family) in FAMILIES.items()}
    return written | {"python": python_page(), "command_line": command_page(), "formats": format_page()}


def write(app: Any) -> None:
    """Write the pages where they are not as they should be."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("builder-inited", write)
    return {"version": "1", "parallel_read_safe": True}
