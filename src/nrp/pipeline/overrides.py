"""Overrides: any setting of any dataset or model of a profile, and any option of an analysis, replaced."""

from __future__ import annotations

from typing import Any

from nrp.base import InvalidSetting
from nrp.pipeline.profiles import Profile
from nrp.simulation.settings import CampaignSettings


def overridden(
    profile: Profile, overrides: dict[str, dict[str, Any] | None]
) -> tuple[Profile, dict[str, dict[str, Any]]]:
    """Return a profile with other settings, and the options of analyses that are replaced.

    Parameters
    ----------
    profile
        The profile.
    overrides
        By the name of a dataset, a model or, for all else, a result: its new settings, of which those that
        are None change nothing.  A setting of a dataset is one of the campaign, or else of the system that it
        simulates.

    Raises
    ------
    InvalidSetting
        If there is no such setting of a dataset or model, or a value is not allowed.
    """
    datasets, models, options = dict(profile.datasets), dict(profile.models), {}
    for name, given in overrides.items():
        changes = {setting: value for setting, value in (given or {}).items() if value is not None}
        if not changes:
            continue
        if name in datasets:
            datasets[name] = _campaign(datasets[name], changes)
        elif name in models:
            plan = models[name]
            models[name] = plan.replace(settings=plan.settings.replace(**changes))
        else:
            options[name] = changes
    return profile.replace(datasets=datasets, models=models), options


def _campaign(campaign: CampaignSettings, changes: dict[str, Any]) -> CampaignSettings:
    own = type(campaign).model_fields
    inner = type(campaign.system).model_fields
    if unknown := [name for name in changes if name not in own and name not in inner]:
        raise InvalidSetting(f"{unknown[0]}: there is no such setting")
    system = campaign.system.replace(**{name: v for name, v in changes.items() if name not in own})
    return campaign.replace(system=system, **{name: v for name, v in changes.items() if name in own})
