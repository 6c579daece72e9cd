"""Counted features of every user as of a cutoff, and the labels that models learn from."""

from core.features.catalogue import FEATURES, Feature
from core.features.categories import category_counts, category_labels, item_categories, one_category_labels, top_categories
from core.features.labels import act_labels, revenue_labels
from core.features.table import compute_features, nothing_known, price_levels
from core.features.tasks import Task, choose_tasks, task_labels

__all__ = [
    "FEATURES",
    "Feature",
    "Task",
    "act_labels",
    "category_counts",
    "category_labels",
    "choose_tasks",
    "compute_features",
    "item_categories",
    "nothing_known",
    "one_category_labels",
    "price_levels",
    "revenue_labels",
    "task_labels",
    "top_categories",
]
