"""Docs that cannot drift: what is generated is compared, links lead somewhere, ids are unique, locks are clean.

`python -m tests.docs_in_step` compares and exits 1 on any difference; `--write` writes what is generated.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    "", "up", "broker", "restore", "agent", "tui", "demo", "inspect", "findings", "plan", "apply", "rollback", "ask",
    "announce", "cost", "audit", "audit verify", "rules", "rules list", "rules show", "rules test",
)  # fmt: skip
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home)/\w+")
REGISTRY_ADDRESS = re.compile(r"https?://")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)[^)]*\)")


def cli_page() -> str:
    """`docs/cli.md`: the help text of every command."""
    sections = ["# The command line\n\nGenerated from `--help`; `make docs` writes it.\n"]
    for command in COMMANDS:
        words = command.split()
        shown = " ".join(["streampilot", *words])
        run = subprocess.run(
            [sys.executable, "-m", "agent.cli", *words, "--help"],
            capture_output=True, text=True, timeout=30, check=True, cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"},
        )  # fmt: skip
        text = "\n".join(line.rstrip() for line in run.stdout.strip().splitlines())
        sections.append(f"## {shown}\n\n```text\n{text}\n```\n")
    return "\n".join(sections)


def protocol_page() -> str:
    """`docs/protocol.md`: what the broker's ApiVersions answers, from the same registrations."""
    from broker.api import registry

    rows, notes = [], []
    for api in registry.all_apis():
        said = inspect.getdoc(sys.modules[api.handle.__module__]) or ""
        rows.append(f"| {api.key} | [{api.name}](#{api.name.lower()}) | {api.low} to {api.high} |")
        notes.append(f"## {api.name}\n\n{said}\n")
    return "\n".join(
        [
            "# The Kafka protocol, as the bundled broker speaks it\n",
            "Generated from the registrations in `broker/api/`; `make docs` writes it.\n",
            "| key | API | versions |",
            "|---|---|---|",
            *rows,
            "",
            *notes,
        ]
    )


def metrics_page() -> str:
    """`docs/metrics.md`: every metric of the broker, from the table that its `/metrics` is checked against."""
    from broker.telemetry.catalogue import SECTIONS

    parts = [
        "# The broker's metrics\n",
        "What `GET /metrics` of a broker shows. Generated from `broker/telemetry/catalogue.py`; `make docs` writes it.",
        "There is no `broker` label: whoever scrapes knows whom it asked.\n",
    ]
    for section, families in SECTIONS.items():
        parts += [f"## {section}\n", "| metric | kind | labels | what it is |", "|---|---|---|---|"]
        parts += [
            f"| `{name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} | {family.help} |"
            for name, family in families.items()
        ]
        parts.append("")
    return "\n".join(parts)


def generated() -> Mapping[str, str]:
    """Path below the root to the text that must stand there."""
    from rules import docs

    pages = {f"docs/rules/{name}": text for name, text in docs.pages().items()}
    return {"docs/cli.md": cli_page(), "docs/protocol.md": protocol_page(), "docs/metrics.md": metrics_page(), **pages}


def stale_pages() -> Iterator[str]:
    for name, text in generated().items():
        path = ROOT / name
        if not path.exists() or path.read_text() != text:
            yield f"{name} is not what the code generates: run `make docs` and commit it"


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], capture_output=True, text=True, check=True, cwd=ROOT)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def broken_links() -> Iterator[str]:
    for page in tracked("*.md"):
        for target in LINK.findall(page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)} links to {target}, which is not there"


def repeated_ids() -> Iterator[str]:
    ids = [line.split(":", 1)[1].strip() for page in tracked("rules/catalogue/*.md", "rules/catalogue/**/*.md")
           for line in page.read_text().splitlines()[:5] if line.startswith("id:")]  # fmt: skip
    ids += [f"decision {page.name.split('-')[0]}" for page in tracked("docs/decisions/*.md")]
    for repeated, times in Counter(ids).items():
        if times > 1:
            yield f"id {repeated} stands {times} times: give one of them another"


def missing_targets() -> Iterator[str]:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in tracked("*.md", "docs/*.md"):
        for target in re.findall(r"`make ([a-z0-9-]+)", page.read_text()):
            if target not in targets:
                yield f"{page.relative_to(ROOT)} names `make {target}`, which the Makefile does not have"


def addresses_and_machine_paths() -> Iterator[str]:
    for lock in tracked("*.lock"):
        if REGISTRY_ADDRESS.search(lock.read_text()):
            yield f"{lock.name} holds an address: make it again with `make lock`"
    for path in tracked("*.py", "*.md", "*.toml", "Makefile", ".ci/run", "*.yml", "*.yaml", "*.json"):
        found = MACHINE_PATH.search(path.read_text(errors="replace"))
        if found:
            yield f"{path.relative_to(ROOT)} holds a path of one machine: {found.group()}"


def unexplained_config_keys() -> Iterator[str]:
    from agent.loop.config import KEYS

    page = (ROOT / "docs/config.md").read_text()
    for table, keys in KEYS.items():
        for key in keys:
            if not re.search(rf"\b{key}\b", page):
                yield f"docs/config.md does not explain {table}.{key}"


CHECKS: tuple[Callable[[], Iterator[str]], ...] = (
    stale_pages, broken_links, repeated_ids, missing_targets, unexplained_config_keys, addresses_and_machine_paths,
)  # fmt: skip


def main() -> int:
    if "--write" in sys.argv[1:]:
        for name, text in generated().items():
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(text)
        return 0
    problems = [problem for check in CHECKS for problem in check()]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"docs in step: {len(problems)} problems", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
