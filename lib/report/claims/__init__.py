"""The ledger of claims: `ledger` registers judges, a file per subject holds them, `judging` asks them."""
