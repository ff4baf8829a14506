"""Reads campaign files. Everything that is wrong with them is reported at once and nothing half-right is returned.

DAG files read campaigns every time Airflow parses them, so this imports pydantic, PyYAML and Jinja and nothing heavier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rekindle.campaigns.definition import CampaignDefinition
from rekindle.campaigns.explain import explain
from rekindle.campaigns.findings import Finding, InvalidCampaign, Level, did_you_mean
from rekindle.campaigns.journey_checks import check_journey, check_references
from rekindle.campaigns.journey_graph import build_graph, raw_steps
from rekindle.campaigns.models import Campaign, MessageTemplate
from rekindle.campaigns.yaml_document import YamlDocument, read_document
from rekindle.rendering.render import TemplateFailed, parse_template

_CAMPAIGN_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TEMPLATE_KEYS = ("template", "html_template")


def load_campaign(path: Path, templates_root: Path) -> Campaign:
    """Read one campaign; its templates are in `<templates_root>/<campaign id>/`. Raises `InvalidCampaign`."""
    return load_with_source(path, templates_root)[0]


def load_with_source(path: Path, templates_root: Path) -> tuple[Campaign, YamlDocument]:
    """As `load_campaign`, with the lines of the file for those who have more to say about it."""
    document = read_document(path)
    templates = _Templates(templates_root / path.stem, document)
    findings = [*_check_file_name(path), *check_journey(document), *templates.read_all()]
    try:
        definition = CampaignDefinition.model_validate(document.content)
    except ValidationError as error:
        raise InvalidCampaign([*findings, *explain(error, document)]) from None
    findings += [] if findings else check_references(definition, document)
    if findings:
        raise InvalidCampaign(findings)
    return _assemble(path.stem, definition, templates.found, str(path)), document


def load_campaigns(folder: Path, templates_root: Path) -> list[Campaign]:
    """Read every campaign of a folder, by id. Raises `InvalidCampaign` with the findings of all files together."""
    read = list(load_each(folder, templates_root))
    findings = [finding for _, found in read if isinstance(found, InvalidCampaign) for finding in found.findings]
    if findings:
        raise InvalidCampaign(findings)
    return [found for _, found in read if isinstance(found, Campaign)]


def load_each(folder: Path, templates_root: Path) -> Iterator[tuple[Path, Campaign | InvalidCampaign]]:
    """Every campaign file of a folder with what is in it, or with what is wrong with it: one does not stop another."""
    for path in campaign_files(folder):
        try:
            yield path, load_campaign(path, templates_root)
        except InvalidCampaign as error:
            yield path, error


def campaign_files(folder: Path) -> list[Path]:
    """The campaign files of a folder, sorted. A `.yml` is among them: it is refused by name, not overlooked."""
    files = (path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    return sorted(path for path in files if not path.name.startswith("."))


def restore_campaign(campaign_id: str, definition_json: str, journey_version: str = "") -> Campaign:
    """A version as it was stored in `campaign_versions.definition`, for the leads that are still on it.

    It keeps the `journey_version` it is stored under; without one it is hashed anew.
    """
    stored = json.loads(definition_json)
    templates = {name: MessageTemplate(name, source) for name, source in stored["templates"].items()}
    definition = CampaignDefinition.model_validate(_in_todays_words(stored["definition"]))
    return _assemble(campaign_id, definition, templates, stored_version=journey_version)


def _in_todays_words(stored: dict[str, Any]) -> dict[str, Any]:
    """A campaign used to have one offer without a name, which all of its messages made."""
    if "offer" not in stored:
        return stored
    offer = stored["offer"]
    words = {word: value for word, value in stored.items() if word != "offer"}
    if offer is None:
        return words
    named = [
        step | {kind: step[kind] | {"offer": "offer"} for kind in ("email", "sms") if kind in step}
        for step in words["steps"]
    ]
    return words | {"offers": [{"name": "offer", **offer}], "steps": named}


def _assemble(
    campaign_id: str,
    definition: CampaignDefinition,
    templates: Mapping[str, MessageTemplate],
    source_file: str = "",
    stored_version: str = "",
) -> Campaign:
    graph = build_graph(definition, templates)
    return Campaign(campaign_id, definition, graph.steps, graph.ways, source_file, graph.places, stored_version)


def _check_file_name(path: Path) -> Iterator[Finding]:
    if path.suffix != ".yaml":
        message = f"a campaign file ends in .yaml, not {path.suffix}"
        yield _error(str(path), 1, message, f"Rename it to {path.stem}.yaml.")
    if not _CAMPAIGN_ID.fullmatch(path.stem):
        advice = "Rename it, for example to cold_lead_reengagement.yaml."
        message = f"the file name `{path.stem}` is the campaign's id and must be lower-case letters, digits and _"
        yield _error(str(path), 1, message, advice)


@dataclass
class _Templates:
    """The templates a file names, read from the campaign's own folder and from nowhere else."""

    folder: Path
    document: YamlDocument
    found: dict[str, MessageTemplate] = field(default_factory=dict)

    def read_all(self) -> Iterator[Finding]:
        """Fill `found`; says which files are missing or broken, and which subjects."""
        for location, subject in self._values(("subject",)):
            try:
                parse_template(MessageTemplate("subject", subject))
            except TemplateFailed as error:
                line = self.document.line_of(location)
                message = f"the subject can not be used: {error.reason}"
                yield _error(self.document.file, line, message, "Correct the subject.")
        for location, name in self._values(_TEMPLATE_KEYS):
            if not name.endswith(".j2") or "/" in name:
                continue  # refused by the definition
            if name in self.found:
                continue
            path = self.folder / name
            if not path.is_file() or not path.resolve().is_relative_to(self.folder.resolve()):
                present = sorted(each.name for each in self.folder.glob("*.j2"))
                advice = did_you_mean(name, present) or f"Create {path}."
                line = self.document.line_of(location)
                yield _error(self.document.file, line, f"the template `{name}` is not in {self.folder}", advice)
                continue
            try:
                template = MessageTemplate(name, path.read_text(encoding="utf-8-sig"))
                parse_template(template)
                self.found[name] = template
            except UnicodeDecodeError:
                yield _error(str(path), 1, "the template is not UTF-8 text", "Save it as UTF-8.")
            except TemplateFailed as error:
                message = f"the template can not be used: {error.reason}"
                yield _error(str(path), error.line, message, "Correct this line.")

    def _values(self, keys: Sequence[str]) -> Iterator[tuple[Sequence[str | int], str]]:
        for place, step in raw_steps(self.document.content):
            details = [([kind], step[kind]) for kind in ("email", "sms") if kind in step]
            if isinstance(step.get("ask"), dict):
                details.append((["ask", "sms"], step["ask"].get("sms")))
            for within, detail in details:
                for key in keys:
                    value = detail.get(key) if isinstance(detail, dict) else None
                    if isinstance(value, str):
                        yield [*place, *within, key], value


def _error(file: str, line: int, message: str, advice: str) -> Finding:
    return Finding(file, line, Level.ERROR, message, advice)
