"""kill -9 between any two steps of an award: evaluated once, granted once, paid once."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from common.tests.running import Service, wait_for
from tests.test_crashes import HALT, Database, expect_success, halt_at, kill

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.django_db(transaction=True),
]

COINS = 70
STEPS = ("incentives_progress", "incentives_achievement", "wallet_entry")
HALTS = f"""
{HALT}
{"".join(halt_at(table) for table in STEPS)}
CREATE TRIGGER halt BEFORE DELETE ON incentives_waiting
    FOR EACH STATEMENT EXECUTE FUNCTION halt('take');
CREATE CONSTRAINT TRIGGER halt_commit AFTER INSERT ON incentives_achievement
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION halt('commit');
"""
PROGRAMME = f"""
INSERT INTO incentives_employer (slug, name, timezone) VALUES ('crashes', 'Crashes', 'UTC');
INSERT INTO incentives_programme (slug, name, employer_id, starts_on, published_at)
SELECT 'crashes', 'Crashes', id, '2026-01-01', now() FROM incentives_employer
WHERE slug = 'crashes';
INSERT INTO incentives_incentive (slug, name, programme_id)
SELECT 'five-days', 'Five days', id FROM incentives_programme WHERE slug = 'crashes';
INSERT INTO incentives_rule (incentive_id, number, structure, reward, coins, published_at)
SELECT id, 1, '{{"structure": "consecutive_days", "event": "health_data_logged", "days": 5}}',
       'Coins', {COINS}, now()
FROM incentives_incentive WHERE slug = 'five-days';
"""


class Member:
    def __init__(self, service: Service, user: int, key: str) -> None:
        self.base, self.user = f"http://127.0.0.1:{service.port}/api/v1", str(user)
        self.key = key

    def report_five_days(self) -> None:
        events = [
            {
                "id": f"{self.user}-{day}",
                "user_id": self.user,
                "type": "health_data_logged",
                "occurred_at": f"2026-06-0{day}T12:00:00Z",
            }
            for day in range(1, 6)
        ]
        headers = {"Authorization": f"Bearer {self.key}"}
        response = requests.post(
            f"{self.base}/incentives/events/", json=events, headers=headers, timeout=30
        )
        assert response.json() == {"accepted": 5, "duplicates": 0}

    def get(self, path: str):
        headers = {"x-zmrn-user-id": self.user}
        return requests.get(f"{self.base}{path}", headers=headers, timeout=30).json()

    @property
    def is_whole(self) -> bool:
        """Awarded and paid, or neither."""
        statuses = self.statuses
        return self.balance == COINS * len(statuses) and statuses in ([], ["fulfilled"])

    @property
    def balance(self) -> int:
        return int(self.get("/wallet/balance/")["balance"])

    @property
    def statuses(self) -> list[str]:
        return [each["status"] for each in self.get("/incentives/achievements/")["results"]]


def test_wherever_a_worker_dies_an_award_is_whole_and_happens_once(tmp_path: Path) -> None:
    with Database("worker_crashes").existing() as database:
        service = Service(tmp_path / "web", {"DATABASE_URL": database.url, "WORKER_HEARTBEAT": "1"})
        expect_success(service.manage("migrate", "--verbosity=0"))
        points = ["commit", "take", *STEPS]
        file = tmp_path / "members.csv"
        people = [f"{user},2026-01-01,," for user in range(1, len(points) + 1)]
        file.write_text("\n".join(["user_id,starts_on,ends_on,timezone", *people]))
        with database.connect() as own:
            own.execute(PROGRAMME)
        expect_success(service.manage("import_eligibility", str(file), "--employer", "crashes"))
        made = service.manage("create_api_key", "--owner", "app", "--scopes", "incentives.write")
        with database.connect() as own:
            own.execute(HALTS)
        with service.running("web"):
            everybody = []
            for user, point in enumerate(points, start=1):
                member = Member(service, user, made.stdout.strip())
                everybody.append(member)
                with database.halted(point):
                    member.report_five_days()
                    # It takes up what the last one left, and stands still there or with this one.
                    worker = start_worker(service)
                    database.wait_until_somebody_stands_still()
                    kill(worker)
                    halted = database.who_stands_still()
                database.wait_until_gone(halted)
                # A COMMIT that was sent takes effect, though who sent it is dead.
                assert member.statuses == (["fulfilled"] if point == "commit" else []), point
                assert all(each.is_whole for each in everybody), point
                assert member.get("/incentives/progress/")[0]["achieved"], point
            worker = start_worker(service)
            try:
                for member in everybody:
                    wait_for(lambda member=member: member.statuses == ["fulfilled"])
                    assert member.balance == COINS
            finally:
                kill(worker)
        expect_success(service.manage("verify_incentives"))
        expect_success(service.manage("verify_wallet"))


def start_worker(service: Service) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "run", "worker"],
        env=service.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
