"""Did it work, against the people we left alone.

The rates and their interval are marts (`dbt_project/models/marts/reactivation`); here is what draws them.
"""
