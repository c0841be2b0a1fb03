"""The settings of the benchmarks, with the naive view in the place of ours."""

from benchmarks.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.naive_usage"
