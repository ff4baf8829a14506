select count(*) as leads
from {{ activation }}.sync_lead_contacts
