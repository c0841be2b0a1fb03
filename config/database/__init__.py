"""Django's PostgreSQL engine on the embedded server, named in ENGINE as "config.database"."""
