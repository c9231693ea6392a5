"""Selects the requests of the next batch, and pads them."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from undertone_sidecar.backend import Batch
from undertone_sidecar.batching.lane_queue import Entry, LaneQueue
from undertone_sidecar.batching.request import Lane, Request


@dataclass(frozen=True, slots=True, eq=False)
class BatchSelection:
    """Requests of one lane and one model version.

    Attributes:
        requests: The requests.
        length: Length in tokens of the padded rows.
        row_cost: Cost of a padded row, as Request.cost.
    """

    requests: tuple[Request, ...]
    length: int
    row_cost: int

    @property
    def lane(self) -> Lane:
        return self.requests[0].lane

    @property
    def padded_tokens(self) -> int:
        return len(self.requests) * self.length

    @property
    def cost(self) -> int:
        """As Request.cost, for the whole batch."""
        return len(self.requests) * self.row_cost


def no_token_limit(_: Request) -> float:
    """Returns infinity: the deadline of a request limits no batch."""
    return math.inf


def select_batch(
    queue: LaneQueue,
    *,
    budget: int,
    max_padding: float,
    is_wanted: Callable[[Request], bool],
    token_limit: Callable[[Request], float] = no_token_limit,
) -> BatchSelection | None:
    """Selects the next batch. Returns None if the queue has no wanted request.

    `token_limit` returns the maximum padded tokens of a batch that ends before the deadline of a
    request. A request with more tokens stays in the queue.

    Starts with the first request in fair order and the overdue requests that follow it. Then adds
    requests of the nearest lengths, shorter or longer, within `budget` padded tokens. It stops when
    padding to one length would cost more than `max_padding` tokens, because a second call is
    cheaper then. A request that is longer than the budget gets its own batch. A request whose
    deadline does not allow the batch stays in the queue. All tokens are counted as in Request.cost.

    Selected requests stay in the queue. Unwanted requests that are found on the way are removed.
    """
    selected = _select_first(queue, budget, is_wanted, token_limit)
    if not selected:
        return None
    budget = int(min(budget, *map(token_limit, selected)))
    cost = max(request.cost for request in selected)
    padding_left = max_padding - sum(cost - request.cost for request in selected)
    taken = set(selected)
    buckets = queue.buckets(selected[0].version)
    costs = sorted(buckets)
    longer = bisect_right(costs, cost)
    shorter = longer - 1
    while cost * (len(selected) + 1) <= budget:
        # `per_row` is the padding of each added request, `growth` the additional padding of those
        # selected before.
        if shorter >= 0 and (longer == len(costs) or cost - costs[shorter] <= costs[longer] - cost):
            candidate, growth = costs[shorter], 0
            shorter -= 1
            per_row = cost - candidate
        elif longer < len(costs):
            candidate, per_row = costs[longer], 0
            longer += 1
            growth = (candidate - cost) * len(selected)
        else:
            break
        # If this length costs too much, every further length on the same side does too. Equal
        # lengths are free.
        if per_row and per_row > padding_left:
            shorter = -1
            continue
        if growth > max(padding_left, 0):
            longer = len(costs)
            continue
        longest = max(cost, candidate)
        room = len(queue) if per_row == 0 else int(padding_left // per_row)
        found: list[Request] = []
        for request in _available(queue, buckets[candidate], taken, is_wanted):
            tokens = longest * (len(selected) + len(found) + 1)
            if tokens > budget or len(found) == room:
                break
            limit = token_limit(request)
            if tokens <= limit:
                found.append(request)
                budget = int(min(budget, limit))
        if found:
            selected += found
            cost = longest
            padding_left -= growth + per_row * len(found)
    return BatchSelection(tuple(selected), max(request.padded_length for request in selected), cost)


def _select_first(
    queue: LaneQueue, budget: float, is_wanted: Callable[[Request], bool], token_limit: Callable[[Request], float]
) -> list[Request]:
    """The first request, and the overdue requests of its version that fit with it."""
    selected: list[Request] = []
    cost = tokens_before = 0
    for request in queue:
        if not is_wanted(request):
            queue.remove(request)
            continue
        limit = token_limit(request)
        if limit < request.cost:
            tokens_before += request.cost
            continue
        new_cost = max(cost, request.cost)
        if selected:
            if not queue.is_overdue(tokens_before):
                break
            if request.version != selected[0].version:
                tokens_before += request.cost
                continue
            if new_cost * (len(selected) + 1) > min(budget, limit):
                break
        budget = min(budget, limit)
        selected.append(request)
        tokens_before += request.cost
        cost = new_cost
    return selected


def _available(
    queue: LaneQueue, bucket: Sequence[Entry], taken: set[Request], is_wanted: Callable[[Request], bool]
) -> Iterator[Request]:
    for _, _, request in list(bucket):
        if request in taken:
            continue
        if is_wanted(request):
            yield request
        else:
            queue.remove(request)


def pad_batch(selection: BatchSelection) -> Batch:
    """Tensors of a batch. The mask hides the padding, whose token id does not matter."""
    requests = selection.requests
    input_ids = np.zeros((len(requests), selection.length), dtype=np.int32)
    attention_mask = np.zeros_like(input_ids)
    for row, request in enumerate(requests):
        tokens = len(request.token_ids)
        input_ids[row, :tokens] = request.token_ids
        attention_mask[row, :tokens] = 1
    return Batch(requests[0].version, input_ids, attention_mask)
