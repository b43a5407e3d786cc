"""Sequence tasks, and what a trained model has to beat on them."""

from lib.names.rows import Method, Sequences

_DATA = "lib.tasks.data"
SEQUENCES = {  # sequence tasks
    "digits": Sequences("digits", f"{_DATA}.digits", "scikit-learn's digits, read pixel by pixel", split=(449, 1348)),
    "clocks": Sequences("synthetic oscillators", f"{_DATA}.clocks", "two superposed frequencies, with noise"),
    "motions": Sequences(
        "BasicMotions", f"{_DATA}.motions", "what a wrist does, by accelerometer and gyroscope", split=(40, 40)
    ),
    "plugs": Sequences("PLAID", f"{_DATA}.plugs", "the current that an appliance draws", split=(534, 535)),
    "copying": Sequences("selective copying", f"{_DATA}.copying", "repeat the items hidden in noise, in order"),
    "induction": Sequences("induction heads", f"{_DATA}.induction", "repeat what once followed a token", solved=0.9),
}
BENCHMARKS = {  # sequence tasks with sequences held back, by which settings are chosen; trained by the fair protocol
    "cifar": Sequences("CIFAR-10, 2 x 2 patches", f"{_DATA}.cifar", "256 colour patches of an image, row by row"),
    "cifar_grey": Sequences("CIFAR-10, pixels", f"{_DATA}.cifar_grey", "1,024 grey pixels of an image, row by row"),
    "characters": Sequences("characters", f"{_DATA}.characters", "the King James Bible's next character", tokens=True),
    "tagging": Sequences("tagging", f"{_DATA}.tagging", "which slow and which fast process is on", tokens=True),
    "forecasting": Sequences("forecasting", f"{_DATA}.forecasting", "a current, some samples ahead", tokens=True),
    "filling": Sequences("filling in", f"{_DATA}.filling", "samples missing from an appliance's current", tokens=True),
    "mqar": Sequences("MQAR", f"{_DATA}.mqar", "the values of several keys, each when its key returns", solved=0.9),
    "copying_long": Sequences("selective copying, long", f"{_DATA}.copying_long", "16 items in noise", solved=0.9),
    "induction_long": Sequences("induction, long", f"{_DATA}.induction_long", "what once followed a token", solved=0.9),
    "plaid": Sequences("PLAID, its own split", f"{_DATA}.plaid", "which appliance draws a current"),
    "vowels": Sequences("JapaneseVowels", f"{_DATA}.vowels", "which of nine speakers says two vowels"),
    "basic_motions": Sequences("BasicMotions, its own split", f"{_DATA}.basic_motions", "what a wrist does"),
}
_REFERENCES = "lib.tasks.references"
REFERENCES = {  # of a sequence task: what a trained model has to beat
    "majority": Method("most frequent class", f"{_REFERENCES}.majority", "the same answer to everything"),
    "nearest_neighbour": Method("1-NN", f"{_REFERENCES}.nearest_neighbour", "the answer of the nearest sequence"),
    "logistic": Method("logistic regression", f"{_REFERENCES}.logistic", "linear in all features, or in a window's"),
    "ngram": Method("n-grams", f"{_REFERENCES}.ngram", "counts of characters, smoothed by Kneser and Ney's method"),
    "cnn": Method("CNN", f"{_REFERENCES}.cnn", "five residual blocks of dilated causal convolutions, trained alike"),
}
