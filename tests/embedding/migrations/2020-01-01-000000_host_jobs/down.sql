DROP TABLE host_jobs;
