"""Reads campaign files. Everything that is wrong with them is reported at once and nothing half-right is returned.

DAG files read campaigns every time Airflow parses them, so this imports pydantic, PyYAML and Jinja and nothing heavier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rekindle.campaigns.definition import (
    CampaignDefinition,
    EmailStepDefinition,
    EndStepDefinition,
    SmsStepDefinition,
    StepDefinition,
    WaitStepDefinition,
)
from rekindle.campaigns.explain import explain
from rekindle.campaigns.findings import Finding, InvalidCampaign, Level, did_you_mean
from rekindle.campaigns.models import Campaign, EmailStep, EndStep, MessageTemplate, SmsStep, Step, WaitStep
from rekindle.campaigns.yaml_document import YamlDocument, read_document
from rekindle.rendering.render import TemplateFailed, parse_template
from rekindle.vocabulary import Exit

_CAMPAIGN_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TEMPLATE_KEYS = ("template", "html_template")


def load_campaign(path: Path, templates_root: Path) -> Campaign:
    """Read one campaign; its templates are in `<templates_root>/<campaign id>/`. Raises `InvalidCampaign`."""
    return load_with_source(path, templates_root)[0]


def load_with_source(path: Path, templates_root: Path) -> tuple[Campaign, YamlDocument]:
    """As `load_campaign`, with the lines of the file for those who have more to say about it."""
    document = read_document(path)
    templates = _Templates(templates_root / path.stem, document)
    findings = [*_check_file_name(path), *_check_journey(document), *templates.read_all()]
    try:
        definition = CampaignDefinition.model_validate(document.content)
    except ValidationError as error:
        raise InvalidCampaign([*findings, *explain(error, document)]) from None
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


def restore_campaign(campaign_id: str, definition_json: str) -> Campaign:
    """A version as it was stored in `campaign_versions.definition`, for the leads that are still on it."""
    stored = json.loads(definition_json)
    templates = {name: MessageTemplate(name, source) for name, source in stored["templates"].items()}
    return _assemble(campaign_id, CampaignDefinition.model_validate(stored["definition"]), templates, "")


def _assemble(
    campaign_id: str, definition: CampaignDefinition, templates: Mapping[str, MessageTemplate], source_file: str
) -> Campaign:
    steps = tuple(_STEP_MAKERS[type(step)](step, templates) for step in definition.steps)
    return Campaign(campaign_id, definition, steps, source_file)


def _email_step(step: EmailStepDefinition, templates: Mapping[str, MessageTemplate]) -> Step:
    html = templates[step.email.html_template] if step.email.html_template else None
    return EmailStep(step.step_id, templates[step.email.template], step.email.subject, html)


def _sms_step(step: SmsStepDefinition, templates: Mapping[str, MessageTemplate]) -> Step:
    return SmsStep(step.step_id, templates[step.sms.template], step.sms.max_segments)


def _wait_step(step: WaitStepDefinition, _: Mapping[str, MessageTemplate]) -> Step:
    return WaitStep(step.step_id, step.wait)


def _end_step(step: EndStepDefinition, _: Mapping[str, MessageTemplate]) -> Step:
    return EndStep(step.step_id, Exit(step.end))


_STEP_MAKERS: dict[type[StepDefinition], Callable[[Any, Mapping[str, MessageTemplate]], Step]] = {
    EmailStepDefinition: _email_step,
    SmsStepDefinition: _sms_step,
    WaitStepDefinition: _wait_step,
    EndStepDefinition: _end_step,
}


def _check_file_name(path: Path) -> Iterator[Finding]:
    if path.suffix != ".yaml":
        message = f"a campaign file ends in .yaml, not {path.suffix}"
        yield _error(str(path), 1, message, f"Rename it to {path.stem}.yaml.")
    if not _CAMPAIGN_ID.fullmatch(path.stem):
        advice = "Rename it, for example to cold_lead_reengagement.yaml."
        message = f"the file name `{path.stem}` is the campaign's id and must be lower-case letters, digits and _"
        yield _error(str(path), 1, message, advice)


def _check_journey(document: YamlDocument) -> Iterator[Finding]:
    """What is wrong between steps. Reads the raw file, so that it is said together with what is wrong inside."""
    steps = document.content.get("steps")
    if not isinstance(steps, list) or not steps:
        return
    first_line: dict[str, int] = {}
    for number, step in enumerate(steps):
        line = document.line_of(["steps", number])
        step_id = step.get("id") if isinstance(step, dict) else None
        if isinstance(step_id, str):
            if step_id in first_line:
                message = f"two steps have the id `{step_id}` (the other is in line {first_line[step_id]})"
                yield _error(document.file, line, message, "Give one of them another id.")
            first_line.setdefault(step_id, line)
        if isinstance(step, dict) and "end" in step and number < len(steps) - 1:
            message = f"nothing comes after the end, but there are {len(steps) - 1 - number} more steps"
            yield _error(document.file, line, message, "Move the end to the end, or remove what follows.")
    if not (isinstance(steps[-1], dict) and "end" in steps[-1]):
        line = document.line_of(["steps", len(steps) - 1])
        advice = "Add a last step: `- id: archive` and under it `end: archived`."
        yield _error(document.file, line, "the journey does not end", advice)


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
        steps = self.document.content.get("steps")
        for number, step in enumerate(steps if isinstance(steps, list) else []):
            for kind, detail in step.items() if isinstance(step, dict) else []:
                for key in keys:
                    value = detail.get(key) if isinstance(detail, dict) else None
                    if isinstance(value, str):
                        yield ["steps", number, kind, key], value


def _error(file: str, line: int, message: str, advice: str) -> Finding:
    return Finding(file, line, Level.ERROR, message, advice)
