"""All SQL: one module for each table, each statement in capitals above the function that runs it."""
