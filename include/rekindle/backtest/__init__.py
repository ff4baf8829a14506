"""How well the cold score ranks who will not come back, judged on anybody's log.

The score is never spelled a second time: the models of `dbt_project/` are run, by the `dbt` command, over a scratch
warehouse that holds the log, once per past date.
"""
