"""Background jobs: progress, cancel and recovery, one worker for each device."""
