-- A block of the pipeline is a few tens of thousands of rows. Written as one
-- file a column it cost twice the processor time (a hundred files made and
-- synced per block); below these sizes a part is one file.
ALTER TABLE events MODIFY SETTING min_bytes_for_wide_part = 268435456;
ALTER TABLE quarantine MODIFY SETTING min_bytes_for_wide_part = 268435456;
