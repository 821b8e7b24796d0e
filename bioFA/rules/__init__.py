"""Plasticity rules, one a file."""

from bioFA.rules.base import PlasticityRule, Rule, family

__all__ = ["PlasticityRule", "Rule", "family"]
