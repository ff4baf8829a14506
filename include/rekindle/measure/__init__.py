"""Did it work, against the people we left alone. The rates and the interval themselves are marts
(dbt_project/models/marts).
"""
