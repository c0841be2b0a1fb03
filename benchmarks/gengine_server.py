"""gengine as a server, run by the interpreter of its own environment; nothing of ours is imported.

`python -P gengine_server.py <database> <port> <variable> <times> <users>` makes its tables, one
achievement and the users, and serves with waitress, as its own development.ini does. The
connection's other parameters are libpq's environment variables.
"""

import logging
import sys
import warnings

warnings.simplefilter("ignore")
# One process, so its caches in memory are right, and the quickest that it offers.
CACHES = (
    "general",
    "achievement_eval",
    "achievements_by_subject_for_today",
    "achievements_subjects_levels",
    "translations",
    "goal_evaluation",
)


def main(database: str, port: str, variable: str, times: str, users: str) -> None:
    import gengine  # type: ignore[import-not-found]
    import waitress  # type: ignore[import-untyped]
    from gengine.base.settings import set_settings  # type: ignore[import-not-found]
    from gengine.maintenance.scripts import initializedb  # type: ignore[import-not-found]

    settings = {
        "sqlalchemy.url": f"postgresql:///{database}",
        "urlcache_active": "false",  # it needs a memcached, and serves nothing that is measured
        "enable_user_authentication": "false",
        "fallback_language": "en",
        **{f"dogpile_cache.{name}.backend": "dogpile.cache.memory" for name in CACHES},
    }
    set_settings(settings)
    initializedb.initialize(settings, {})
    define(variable, times, users)
    application = gengine.main({}, **settings)
    logging.getLogger("waitress").setLevel(logging.CRITICAL)  # a traceback for every event it loses
    waitress.serve(application, host="127.0.0.1", port=int(port), _quiet=True)


def define(variable: str, times: str, users: str) -> None:
    # Its models cannot be imported before it is initialised.
    import transaction  # type: ignore[import-not-found]
    from gengine.app import model  # type: ignore[import-not-found]
    from gengine.metadata import DBSession  # type: ignore[import-not-found]

    with transaction.manager:
        kind = model.SubjectType(name="User")
        DBSession.add_all([kind, model.Variable(name=variable, group="none")])
        DBSession.flush()
        DBSession.add(
            model.Achievement(
                name=variable,
                maxlevel=1,
                hidden=False,
                evaluation="immediately",
                comparison_type="none",
                player_subjecttype_id=kind.id,
                view_permission="own",
                condition=f'{{"term": {{"type": "literal", "variable": "{variable}"}}}}',
                goal=times,
                operator="geq",
            )
        )
        DBSession.execute(
            "INSERT INTO subjects (id, subjecttype_id, timezone, created_at)"
            " SELECT number, :kind, 'UTC', now() FROM generate_series(1, :users) number",
            {"kind": kind.id, "users": int(users)},
        )
        model.update_connection()  # tells the transaction that something was written


if __name__ == "__main__":
    main(*sys.argv[1:])
