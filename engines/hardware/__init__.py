"""What this machine is: GPU and host snapshots."""
