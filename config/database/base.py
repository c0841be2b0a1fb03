"""PostgreSQL as Django knows it, on a server that starts when a connection is really needed."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psycopg
from django.db.backends.postgresql import base, client
from psycopg import sql

from config import embedded_postgres

_provided: set[tuple[str, str]] = set()  # socket directory and database name, seen to exist


class DatabaseClient(client.DatabaseClient):
    """`manage.py dbshell` with the wheel's own psql."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        (_, *arguments), env = super().settings_to_cmd_args_env(settings_dict, parameters)
        return [str(embedded_postgres.binaries() / "psql"), *arguments], env

    def runshell(self, parameters: Iterable[str]) -> None:
        self.connection.ensure_connection()
        super().runshell(parameters)


class DatabaseWrapper(base.DatabaseWrapper):
    """Wants EMBEDDED_DIR in place of HOST and PORT; NAME is created if it does not exist."""

    client_class = DatabaseClient

    def __init__(self, settings_dict: dict[str, Any], alias: str = "default") -> None:
        self.directory = settings_dict["EMBEDDED_DIR"]
        settings_dict["HOST"] = str(embedded_postgres.socket_directory(self.directory))
        settings_dict["PORT"] = embedded_postgres.PORT
        super().__init__(settings_dict, alias)

    def get_connection_params(self) -> dict[str, Any]:
        # Here and not only on connecting, because procrastinate's worker takes no more than this.
        params = super().get_connection_params()
        database = (params["host"], params["dbname"])
        if database not in _provided or not embedded_postgres.is_used(self.directory):
            _start(self.directory)
            _create_if_missing(*database)
            _provided.add(database)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            _start(self.directory)  # it may have died since
            return super().get_new_connection(conn_params)


def _start(directory: str) -> None:
    try:
        embedded_postgres.start(directory)
    except RuntimeError as error:
        # To whoever asks for a connection it is a database that is away.
        raise psycopg.OperationalError(str(error)) from error


def _create_if_missing(host: str, name: str) -> None:
    maintenance = f"port={embedded_postgres.PORT} user=postgres dbname=postgres"
    with psycopg.connect(maintenance, host=host, autocommit=True) as connection:
        query = "SELECT FROM pg_database WHERE datname = %s"
        # Another process may have the same idea at the same time.
        with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            if not connection.execute(query, [name]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
