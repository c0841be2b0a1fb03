"""What may still be awarded: the budgets of programmes and the caps of incentives."""

from collections.abc import Collection

from incentives.models import Achievement, Incentive, Programme


class Purse:
    """The budgets and caps of some programmes, locked until the transaction ends.

    Taken last and in the order of ids, so that workers wait for each other briefly and not in a
    ring.
    """

    def __init__(self, incentives: Collection[int]) -> None:
        of_incentives = Incentive.objects.filter(pk__in=incentives).values("programme")
        self.programmes = {
            each.pk: each
            for each in Programme.objects.select_for_update(no_key=True)
            .filter(pk__in=of_incentives)
            .order_by("pk")
        }
        self.incentives = {
            each.pk: each
            for each in Incentive.objects.select_for_update(no_key=True)
            .filter(pk__in=incentives)
            .order_by("pk")
        }

    def take(self, achievement: Achievement, max_awards: int | None) -> bool:
        """Whether there was enough for it."""
        incentive = self.incentives[achievement.incentive_id]
        programme = self.programmes[incentive.programme_id]
        is_over = programme.budget is not None and (
            programme.spent + achievement.cost > programme.budget
        )
        if is_over or (max_awards is not None and incentive.awarded >= max_awards):
            return False
        programme.spent += achievement.cost
        incentive.awarded += 1
        return True

    def give_back(self, achievement: Achievement) -> None:
        incentive = self.incentives[achievement.incentive_id]
        self.programmes[incentive.programme_id].spent -= achievement.cost
        incentive.awarded -= 1

    def close(self) -> None:
        Programme.objects.bulk_update(self.programmes.values(), ["spent"])
        Incentive.objects.bulk_update(self.incentives.values(), ["awarded"])
