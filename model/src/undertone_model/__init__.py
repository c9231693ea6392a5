"""The emotion model: training, evaluation, export and verification."""
