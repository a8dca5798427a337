"""Starts, follows and limits process trees."""
