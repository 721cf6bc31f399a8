"""Builds images: when their inputs changed, with or without a network."""

from __future__ import annotations

from orchestrator.images.builder import ImageBuilder
from orchestrator.images.reach import Reach, reach_from_environment
from orchestrator.images.recipe import LABEL_INPUTS, BuildRecipe, inputs_digest, make_recipe
from orchestrator.images.scratch import default_cache_dir

__all__ = [
    "LABEL_INPUTS",
    "BuildRecipe",
    "ImageBuilder",
    "Reach",
    "default_cache_dir",
    "inputs_digest",
    "make_recipe",
    "reach_from_environment",
]
