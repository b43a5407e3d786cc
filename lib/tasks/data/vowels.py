"""JapaneseVowels in its published split: which speaker says two vowels; a smooth task.

Source: Kudo et al. (1999), in the UEA archive of Bagnall et al. (2018), as sktime ships it.
"""

import torch

from lib.models.checks import check_count
from lib.tasks.data.archive import of_archive
from lib.tasks.data.sequences import LONGEST, Task


def vowels(generator: torch.Generator, length: int = 29) -> Task:
    """JapaneseVowels: which of nine men says /ae/, in the archive's 270 training and 370 test utterances.

    A token is 12 cepstrum coefficients of a frame; an utterance has 7 to 29 frames, the last `length` of which are
    kept. A fifth of the training utterances is held back.

    length   T
    raises   ValueError, quoting it, for a length below 1 or above 65,536
    """
    check_count("length", length, 1, LONGEST)
    return of_archive("vowels", "smooth", "load_japanese_vowels", length, generator)
