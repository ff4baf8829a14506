insert into {{ state }}.stops (stop_id, scope, name, mode, reason, set_by, set_at)
values ($stop_id, $scope, $name, $mode, $reason, $set_by, $set_at)
