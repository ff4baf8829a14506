"""A YAML file with the line of every word in it, and without YAML's traps: repeated keys and aliases are errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rekindle.campaigns.findings import Finding, InvalidCampaign, Level

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # a PyYAML built without libyaml: slower, same result
    from yaml import SafeLoader  # type: ignore[assignment]


@dataclass(frozen=True)
class YamlDocument:
    """The content of a file whose root is a mapping, and where each part of it stands."""

    file: str
    content: dict[str, Any]
    root: yaml.MappingNode

    def line_of(self, location: Sequence[str | int]) -> int:
        """The line of the key or item at `location`; parts that are not in the file are skipped."""
        node: yaml.Node = self.root
        line = 1
        for part in location:
            found = _child(node, part)
            if found is not None:
                line, node = found
        return line


def read_document(path: Path) -> YamlDocument:
    """Read one file; raises `InvalidCampaign` with every place where it is not usable YAML."""
    file = str(path)
    loader = None
    try:
        loader = SafeLoader(path.read_bytes().decode("utf-8-sig"))
        root = loader.get_single_node()
        findings = list(_traps(root, file)) if root is not None else []
        if findings:
            raise InvalidCampaign(findings)
        content = loader.construct_document(root) if root is not None else None
    except UnicodeDecodeError as error:
        raise _invalid(file, 1, f"the file is not UTF-8 text (byte {error.start})", "Save it as UTF-8.") from None
    except OSError as error:
        raise _invalid(file, 1, f"the file can not be read: {error.strerror}", "Check its name and rights.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _invalid(file, mark.line + 1 if mark else 1, f"not YAML: {error.problem}", _yaml_advice(error)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise _invalid(file, 1, f"not YAML: {str(error).splitlines()[0]}", "Remove the odd characters.") from None
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(content, dict) or not isinstance(root, yaml.MappingNode):
        raise _invalid(file, 1, "the file is not a campaign", "Start it with `name: …`, one word a line.")
    return YamlDocument(file, content, root)


def _traps(root: yaml.Node, file: str) -> Iterator[Finding]:
    """Repeated keys (YAML silently keeps the last) and aliases (which can make a file endless)."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        line = node.start_mark.line + 1
        if id(node) in seen:
            message = "the part that starts here is used again by an alias"
            yield Finding(file, line, Level.ERROR, message, "Write it out each time.")
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys: dict[str, int] = {}
            for key, value in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    advice = "Write the words out instead of merging them with `<<`."
                    yield Finding(file, key.start_mark.line + 1, Level.ERROR, "merging is not supported", advice)
                name, at = str(key.value), key.start_mark.line + 1
                if isinstance(key, yaml.ScalarNode) and name in keys:
                    message = f"`{name}` is said twice (first in line {keys[name]})"
                    yield Finding(file, at, Level.ERROR, message, "Keep one of them.")
                keys.setdefault(name, at)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    return None


def _yaml_advice(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if "tab character" in problem:
        return "Indent with spaces; YAML takes no tabs."
    if "start any token" in problem:  # libyaml does not say which character
        return "Indent with spaces, not tabs, and put text that begins with @, % or a back-tick into quotes."
    if "mapping values are not allowed" in problem:
        return "Put text that contains a colon into quotes, and check the indentation."
    if "expected a single document" in problem or "another document" in problem:
        return "Keep one campaign in a file; remove the line `---`."
    return "Check the indentation, the quotes and the brackets of this line and the one before."


def _invalid(file: str, line: int, message: str, advice: str) -> InvalidCampaign:
    return InvalidCampaign([Finding(file, line, Level.ERROR, message, advice)])
