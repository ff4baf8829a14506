select max(lifted_at) as lifted_at
from {{ state }}.stops
