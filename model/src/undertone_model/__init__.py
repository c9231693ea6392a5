"""The emotion model: training, export and verification. The command is `undertone-model`."""
