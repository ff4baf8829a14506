{% if is_new %}
create table {{ target }} as
{% else %}
insert into {{ target }}
{% endif %}
select * from arriving
