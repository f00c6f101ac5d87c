"""Child processes that hold what may crash: started, watched, reaped."""
