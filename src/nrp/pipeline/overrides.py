"""Overrides: any setting of any dataset or model of a profile, and any option of an analysis, replaced."""

from __future__ import annotations

from typing import Any

from nrp.pipeline.profiles import Profile


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
            datasets[name] = datasets[name].changed(**changes)
        elif name in models:
            plan = models[name]
            models[name] = plan.replace(settings=plan.settings.replace(**changes))
        else:
            options[name] = changes
    return profile.replace(datasets=datasets, models=models), options
