create schema if not exists {{ seeds }}
