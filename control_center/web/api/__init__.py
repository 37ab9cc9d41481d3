"""The JSON API: one table of routes, from which the calls are served and the OpenAPI document is written."""
