describe
select * from read_parquet($path, file_row_number = true, hive_partitioning = false)
