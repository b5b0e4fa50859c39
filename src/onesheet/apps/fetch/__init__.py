"""From ids, titles or a query to a catalogue with posters, by way of TMDB, OMDb or plain addresses."""

from onesheet.apps.fetch.fetching import Fetched, fetch

__all__ = ["Fetched", "fetch"]
