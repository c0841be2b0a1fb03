"""What the apps' back offices share: lists, pages of their own, and charts."""

from common.back_office.charts import bar_data, bar_options
from common.back_office.lists import (
    DayRange,
    LongList,
    LookOnly,
    MonthFilter,
    OfUsers,
    how_many,
    moment,
    unbroken,
)
from common.back_office.pages import anchor, expect, form_page, link, own_page, page_of

__all__ = [
    "DayRange",
    "LongList",
    "LookOnly",
    "MonthFilter",
    "OfUsers",
    "anchor",
    "bar_data",
    "bar_options",
    "expect",
    "form_page",
    "how_many",
    "link",
    "moment",
    "own_page",
    "page_of",
    "unbroken",
]
