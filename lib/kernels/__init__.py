"""Compiled operators: the selective scan's backends (`scan`), the recurrence of damped modes (`modes`)."""
