"""Multi-query associative recall (MQAR): the values of several keys; a task of recall. Source: Arora et al. (2023)."""

import torch
from torch import Tensor

from lib.models.checks import check_count, check_number
from lib.tasks.data.sequences import IGNORE, LONGEST, Task, endless

BLANK = 0  # the token between queries, which is neither key nor value


def mqar(
    generator: torch.Generator,
    length: int = 128,
    pairs: int = 8,
    vocabulary: int = 64,
    alpha: float = 0.1,
    tested: int = 1024,
) -> Task:
    """MQAR: pairs of a key and its value come first; then each key returns once among blanks, and its value is due.

    No two pairs of a sequence have one key. Keys are the lower half of the vocabulary but for its first token, which is
    the blank; values are the upper half. As in its source, later tokens that ask nothing are blanks. Unlike in the
    source's code, two keys may have one value, and alpha is 0.1, not 0.01, so that queries are a little later.

    length   T, at least 3 tokens a pair
    pairs    of a key and a value; the answer to a key stands where the key returns
    alpha    of the power law of gaps: a key returns at a free token g after the pairs with a probability that is
             proportional to g ** (alpha - 1), early ones being the likelier; 1 makes all of them as likely
    tested   sequences of the test, and as many others that are held back
    raises   ValueError, quoting it, for sizes that leave no token for a query, for fewer keys than pairs, and for an
             alpha that is not above 0 and at most 1
    """
    check_count("length", length, 3, LONGEST)
    check_count("pairs", pairs, 1, length // 3, where=f": 3 tokens each in a length of {length}")
    check_count("vocabulary", vocabulary, 2 * pairs + 2, where=f": a blank, and a key for each of {pairs} pairs")
    check_number("alpha", alpha, above=0, most=1)
    check_count("tested", tested)
    values = vocabulary // 2  # the first of them
    gaps = torch.arange(1, length - 2 * pairs + 1)
    likely = (alpha - 1) * gaps.log()

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        keys = 1 + torch.rand(size, values - 1, generator=generator).topk(pairs).indices
        told = torch.randint(values, vocabulary, (size, pairs), generator=generator)
        # The largest of logarithms plus Gumbel noise are a draw one after another, without putting back.
        noise = -(-torch.rand(size, len(gaps), generator=generator).log()).log()
        places = 2 * pairs + (likely + noise).topk(pairs).indices
        x = torch.full((size, length), BLANK)
        x[:, : 2 * pairs : 2], x[:, 1 : 2 * pairs : 2] = keys, told
        answers = torch.full((size, length), IGNORE).scatter(1, places, told)
        return x.scatter(1, places, keys), answers

    return endless("mqar", "recall", length, vocabulary, draw, generator, vocabulary=vocabulary, tested=tested)
