"""The ledger of claims: `ledger` registers judges, files hold them, `judging` runs them, `outcomes` sums them up."""
