update {{ state }}.stops
set lifted_at = $lifted_at, lifted_by = $lifted_by
where lifted_at is null and scope = $scope and name is not distinct from $name
