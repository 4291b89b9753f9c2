"""Pure: tasks that wait for others, a time or somebody's word; graphs of them; schedules."""
