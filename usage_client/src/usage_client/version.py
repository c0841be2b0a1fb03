"""Which client this is; the service sees it in User-Agent."""

__version__ = "1.0.0"
