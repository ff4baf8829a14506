"""A campaign lived through with made-up people, on the statements and the send protocol of production. Nobody is
written to.
"""
