"""What is right and wrong with telemetry in the environment that a command is started in."""
